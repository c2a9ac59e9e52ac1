import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { finishChecksum, sumWords } from '../../src/ip/checksum.ts';
import { writeIcmp6Unreachable } from '../../src/ip/icmp6-unreachable.ts';
import { clampMss } from '../../src/ip/mss-clamp.ts';
import { ethernetHeaderLength, InnerPacket } from '../../src/ip/packet.ts';
import { ipPacket, tcpPacket, transportChecksum } from './packets.ts';

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const parsed = (bytes: Uint8Array) => {
  const packet = new InnerPacket();
  return packet.parse(view(bytes), 0, bytes.length) ? packet : undefined;
};

const four = { source: '10.8.0.2', destination: '1.1.1.1' };
const six = { source: 'fd00::2', destination: '2606:4700::1111' };
const SYN = 0x02;
const mssOption = (mss: number) => [2, 4, mss >> 8, mss & 0xff];

describe('inner packet', () => {
  it('finds addresses, protocol and transport header', () => {
    expect(parsed(ipPacket(four))).toMatchObject({
      version: 4,
      source: 12,
      destination: 16,
      protocol: 17,
      transport: 20,
    });
    expect(parsed(ipPacket(six))).toMatchObject({
      version: 6,
      source: 8,
      destination: 24,
      protocol: 17,
      transport: 40,
    });
  });

  it('refuses a packet that is cut anywhere', () => {
    for (const whole of [ipPacket(four), ipPacket(six)]) {
      for (let length = 0; length < whole.length; length++) expect(parsed(whole.slice(0, length))).toBeUndefined();
    }
  });

  it('refuses a header length or total length that lies', () => {
    const short = ipPacket(four);
    short[0] = 0x44;
    expect(parsed(short)).toBeUndefined();
    const long = ipPacket(four);
    long[3] = 19;
    expect(parsed(long)).toBeUndefined();
  });

  it('sees no transport header in a later fragment', () => {
    const fragment = ipPacket(four);
    fragment[7] = 1;
    expect(parsed(fragment)!.transportLength).toBe(0);
  });

  it('never throws and never points outside, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const packet = parsed(bytes);
        if (packet === undefined) return;
        expect(packet.transport).toBeLessThanOrEqual(packet.length);
        expect(packet.length).toBeLessThanOrEqual(bytes.length);
        clampMss(view(bytes), packet, 500);
      }),
    );
  });

  it('finds the IP packet of an Ethernet frame, behind one VLAN tag too', () => {
    const frame = new Uint8Array(60);
    frame.set([0x08, 0x00], 12);
    expect(ethernetHeaderLength(view(frame), 0, frame.length)).toBe(14);
    frame.set([0x81, 0x00, 0, 5, 0x86, 0xdd], 12);
    expect(ethernetHeaderLength(view(frame), 0, frame.length)).toBe(18);
    expect(ethernetHeaderLength(view(frame), 0, 17)).toBe(-1);
    frame.set([0x08, 0x06], 12);
    expect(ethernetHeaderLength(view(frame), 0, frame.length)).toBe(-1);
  });
});

describe('checksum', () => {
  it('is the complement of the folded sum, odd lengths padded with zero', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(finishChecksum(sumWords(view(bytes), 0, 8, 0))).toBe(0x220d);
    expect(finishChecksum(sumWords(view(bytes), 0, 1, 0))).toBe(0xffff);
    expect(finishChecksum(sumWords(view(bytes), 0, 3, 0))).toBe(~0xf201 & 0xffff);
  });
});

describe('MSS clamp', () => {
  it.each([
    ['IPv4', four, []],
    ['IPv6', six, []],
    ['an option at an odd place', four, [1]],
    ['an option behind others', six, [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]],
  ])('lowers the MSS and keeps the checksum right: %s', (_name, addresses, before) => {
    const options = [...before, ...mssOption(1460)];
    while (options.length % 4 !== 0) options.push(0);
    const bytes = tcpPacket({ ...addresses, flags: SYN, options });
    const packet = parsed(bytes)!;
    expect(clampMss(view(bytes), packet, 1300)).toBe(true);
    const at = packet.transport + 20 + before.length + 2;
    expect(view(bytes).getUint16(at)).toBe(1300);
    expect(transportChecksum(bytes, packet.transport)).toBe(0);
  });

  it.each([
    ['a lower MSS', SYN, mssOption(1200)],
    ['a packet that is no SYN', 0x10, mssOption(1460)],
    ['an option of length 0', SYN, [8, 0, ...mssOption(1460), 0, 0]],
    ['an option of length 1', SYN, [8, 1, ...mssOption(1460), 0, 0]],
    ['an option beyond the header', SYN, [8, 40, ...mssOption(1460), 0, 0]],
    ['an option behind the end of the list', SYN, [0, 0, 0, 0, ...mssOption(1460)]],
    ['an MSS option cut at the end', SYN, [1, 1, 1, 2]],
    ['an MSS option of the wrong length', SYN, [2, 6, 5, 180, 0, 0, 0, 0]],
  ])('leaves %s alone', (_name, flags, options) => {
    const bytes = tcpPacket({ ...four, flags, options });
    const before = bytes.slice();
    expect(clampMss(view(bytes), parsed(bytes)!, 1300)).toBe(false);
    expect(bytes).toEqual(before);
  });

  it('keeps every checksum right for any MSS', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.boolean(),
        (mss, limit, odd) => {
          const options = odd ? [1, ...mssOption(mss), 0, 0, 0] : mssOption(mss);
          const bytes = tcpPacket({ ...four, flags: SYN, options });
          clampMss(view(bytes), parsed(bytes)!, limit);
          expect(transportChecksum(bytes, 20)).toBe(0);
        },
      ),
    );
  });
});

describe('ICMPv6 unreachable', () => {
  const answerTo = (packet: Uint8Array) => {
    const memory = new Uint8Array(4096);
    memory.set(packet, 2048);
    const inner = new InnerPacket();
    expect(inner.parse(view(memory), 2048, packet.length)).toBe(true);
    return memory.slice(0, writeIcmp6Unreachable(memory, view(memory), inner, 0));
  };

  it('goes back to the sender, quotes the packet and has a right checksum', () => {
    const packet = ipPacket({ ...six, payload: Uint8Array.from({ length: 33 }, (_, index) => index) });
    const answer = answerTo(packet);
    expect(parsed(answer)).toMatchObject({ version: 6, protocol: 58 });
    expect(answer.slice(24, 40)).toEqual(packet.slice(8, 24));
    expect(answer.slice(40, 42)).toEqual(Uint8Array.of(1, 0));
    expect(answer.slice(48)).toEqual(packet);
    expect(transportChecksum(answer, 40, 58)).toBe(0);
  });

  it('comes from fe80::7, or from the address that is given', () => {
    const packet = ipPacket(six);
    expect(formatAddress(answerTo(packet).slice(8, 24))).toBe('fe80::7');
    const memory = new Uint8Array(4096);
    memory.set(packet, 2048);
    const inner = new InnerPacket();
    inner.parse(view(memory), 2048, packet.length);
    const length = writeIcmp6Unreachable(memory, view(memory), inner, 0, parseAddress('fd00::99'));
    const answer = memory.slice(0, length);
    expect(formatAddress(answer.slice(8, 24))).toBe('fd00::99');
    expect(transportChecksum(answer, 40, 58)).toBe(0);
  });

  it('is never longer than the minimum MTU', () => {
    expect(answerTo(ipPacket({ ...six, payload: new Uint8Array(1400) }))).toHaveLength(1280);
  });

  it.each([
    ['an ICMPv6 error', { ...six, protocol: 58, payload: Uint8Array.of(1, 0, 0, 0) }],
    ['a packet to a multicast group', { ...six, destination: 'ff02::2' }],
    ['a packet from nowhere', { ...six, source: '::' }],
  ])('does not answer %s', (_name, fields) => {
    expect(answerTo(ipPacket(fields))).toHaveLength(0);
  });
});
