import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/ip/address.ts';
import { finishChecksum, sumPseudoHeader, sumWords } from '../../src/ip/checksum.ts';
import { echoReply } from '../../src/ip/echo-reply.ts';
import { ipPacket } from './packets.ts';

/** An echo request with a right checksum; `data` follows identifier and sequence number. */
function request(source: string, destination: string, data: readonly number[] = [1, 2, 3]): Uint8Array {
  const ipv4 = source.includes('.');
  const payload = new Uint8Array([ipv4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 7, ...data]);
  const packet = ipPacket({ source, destination, protocol: ipv4 ? 1 : 58, payload });
  const view = new DataView(packet.buffer);
  const at = ipv4 ? 20 : 40;
  const pseudo = ipv4 ? 0 : sumPseudoHeader(view, 8, 16, 58, payload.length);
  view.setUint16(at + 2, finishChecksum(sumWords(view, at, payload.length, pseudo)));
  return packet;
}

describe('echoReply', () => {
  it.each([
    ['10.8.0.2', '10.77.0.1', 20, 12, 4, 0],
    ['fd00:8::2', 'fd00:77::1', 40, 8, 16, 129],
  ])('answers %s → %s with addresses exchanged and right checksums', (source, destination, at, first, bytes, type) => {
    const asked = request(source, destination);
    const before = asked.slice();
    const reply = echoReply(asked)!;
    expect(asked).toEqual(before);
    const view = new DataView(reply.buffer);
    expect(formatAddress(reply.subarray(first, first + bytes))).toBe(destination);
    expect(formatAddress(reply.subarray(first + bytes, first + 2 * bytes))).toBe(source);
    expect([...reply.subarray(at, at + 2)]).toEqual([type, 0]);
    expect([...reply.subarray(at + 4)]).toEqual([0x12, 0x34, 0, 7, 1, 2, 3]);
    const length = reply.length - at;
    const pseudo = bytes === 4 ? 0 : sumPseudoHeader(view, 8, 16, 58, length);
    expect(finishChecksum(sumWords(view, at, length, pseudo))).toBe(0);
    if (bytes === 4) expect(finishChecksum(sumWords(view, 0, 20, 0))).toBe(0);
  });

  it('answers nothing else', () => {
    const ping = request('10.8.0.2', '10.77.0.1');
    const changed = (at: number, value: number) => {
      const packet = ping.slice();
      packet[at] = value;
      return packet;
    };
    expect(echoReply(changed(20, 0)), 'a reply').toBeUndefined();
    expect(echoReply(changed(21, 1)), 'another code').toBeUndefined();
    expect(echoReply(changed(9, 17)), 'UDP').toBeUndefined();
    expect(echoReply(changed(7, 1)), 'a later fragment').toBeUndefined();
    for (let length = 0; length < ping.length; length++) {
      expect(echoReply(ping.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(
      echoReply(
        ipPacket({ source: '10.8.0.2', destination: '10.77.0.1', protocol: 1, payload: new Uint8Array([8, 0, 0]) }),
      ),
    ).toBeUndefined();
  });
});
