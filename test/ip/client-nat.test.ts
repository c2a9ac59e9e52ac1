import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/ip/address.ts';
import { ipv4ToNumber } from '../../src/ip/address-arithmetic.ts';
import { type NatRule, translate } from '../../src/ip/client-nat.ts';
import { InnerPacket } from '../../src/ip/packet.ts';
import { packetFault } from './packet-verifier.ts';
import { ipPacket, tcpPacket, transportChecksum } from './packets.ts';

const rule = (type: 'snat' | 'dnat', network: string, netmask: string, foreign: string): NatRule => ({
  type,
  network: ipv4ToNumber(network)!,
  netmask: ipv4ToNumber(netmask)!,
  foreign: ipv4ToNumber(foreign)!,
});
const SNAT = rule('snat', '192.168.0.0', '255.255.0.0', '10.64.0.0');
const DNAT = rule('dnat', '10.200.0.0', '255.255.0.0', '192.168.0.0');

const udpPacket = (source: string, destination: string, payload: readonly number[] = [1, 2, 3]) => {
  const datagram = Uint8Array.from([0x30, 0x39, 0, 53, 0, 8 + payload.length, 0, 0, ...payload]);
  const packet = ipPacket({ source, destination, protocol: 17, payload: datagram });
  new DataView(packet.buffer).setUint16(26, transportChecksum(packet, 20, 17) || 0xffff);
  return packet;
};
const tcp = (source: string, destination: string) => tcpPacket({ source, destination, flags: 0x10, options: [] });

const run = (packet: Uint8Array, rules: readonly NatRule[], direction: 'out' | 'in') => {
  const view = new DataView(packet.buffer);
  const inner = new InnerPacket();
  expect(inner.parse(view, 0, packet.length)).toBe(true);
  const changed = translate(view, inner, rules, direction);
  const [source, destination] = [packet.subarray(12, 16), packet.subarray(16, 20)].map((each) => formatAddress(each));
  return { changed, way: `${source} > ${destination}` };
};

describe('client-nat', () => {
  it.each([
    ['snat, out: the source of our network', SNAT, 'out', '192.168.7.9', '10.0.0.1', '10.64.7.9 > 10.0.0.1'],
    ['snat, in: the destination, back', SNAT, 'in', '10.0.0.1', '10.64.7.9', '10.0.0.1 > 192.168.7.9'],
    ['dnat, out: the destination', DNAT, 'out', '10.8.0.2', '10.200.3.4', '10.8.0.2 > 192.168.3.4'],
    ['dnat, in: the source, back', DNAT, 'in', '192.168.3.4', '10.8.0.2', '10.200.3.4 > 10.8.0.2'],
  ] as const)('translates under %s', (_title, natRule, direction, source, destination, way) => {
    for (const packet of [udpPacket(source, destination), tcp(source, destination)]) {
      expect(run(packet, [natRule], direction)).toEqual({ changed: true, way });
      expect(packetFault(packet)).toBeUndefined();
    }
  });

  it('leaves what no rule fits, byte for byte', () => {
    for (const [source, destination] of [
      ['10.0.0.1', '192.168.0.1'],
      ['192.169.0.1', '10.0.0.1'],
    ] as const) {
      const packet = udpPacket(source, destination);
      const before = packet.slice();
      expect(run(packet, [SNAT], 'out').changed).toBe(false);
      expect(packet).toEqual(before);
    }
  });

  it('takes the first rule that fits each of the two addresses, and no second one', () => {
    const rules = [SNAT, rule('snat', '10.64.0.0', '255.255.0.0', '172.16.0.0'), DNAT];
    expect(run(tcp('192.168.1.1', '10.200.1.1'), rules, 'out').way).toBe('10.64.1.1 > 192.168.1.1');
    const later = [rule('snat', '192.168.0.0', '255.255.0.0', '10.1.0.0'), SNAT];
    expect(run(tcp('192.168.1.1', '10.0.0.1'), later, 'out').way).toBe('10.1.1.1 > 10.0.0.1');
  });

  it('lets a UDP checksum that says "none" say so, and never makes one', () => {
    const without = udpPacket('192.168.0.1', '10.0.0.1');
    without.fill(0, 26, 28);
    run(without, [SNAT], 'out');
    expect(without.subarray(26, 28)).toEqual(new Uint8Array(2));
    expect(packetFault(without)).toBeUndefined();
    // Some payload makes the checksum 0 after the change; it must be written as 0xffff then.
    let met = 0;
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        const packet = udpPacket('192.168.0.1', '10.0.0.1', [first, second]);
        run(packet, [SNAT], 'out');
        expect(packet[26]! + packet[27]!).toBeGreaterThan(0);
        if (packet[26] === 0xff && packet[27] === 0xff) met++;
      }
    }
    expect(met).toBeGreaterThan(0);
  });

  it('touches nothing of the payload in a later fragment, and nothing of IPv6', () => {
    const fragment = udpPacket('192.168.0.1', '10.0.0.1');
    fragment[7] = 1;
    const payload = fragment.slice(20);
    expect(run(fragment, [SNAT], 'out').way).toBe('10.64.0.1 > 10.0.0.1');
    expect(fragment.slice(20)).toEqual(payload);
    const six = ipPacket({ source: 'fd00::1', destination: 'fd00::2' });
    const before = six.slice();
    const inner = new InnerPacket();
    inner.parse(new DataView(six.buffer), 0, six.length);
    expect(translate(new DataView(six.buffer), inner, [rule('snat', '0.0.0.0', '0.0.0.0', '1.1.1.1')], 'out')).toBe(
      false,
    );
    expect(six).toEqual(before);
  });

  it('comes back to the same packet on the way in, whatever the addresses and the payload', () => {
    const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        octets,
        octets,
        fc.uint8Array({ maxLength: 40 }),
        fc.integer({ min: 0, max: 32 }),
        (a, b, data, bits) => {
          const netmask = bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
          const network = (((a[0]! << 24) | (a[1]! << 16) | (a[2]! << 8) | a[3]!) & netmask) >>> 0;
          const natRule: NatRule = { type: 'snat', network, netmask, foreign: (0x0a400000 & netmask) >>> 0 };
          const out = udpPacket(a.join('.'), b.join('.'), [...data]);
          run(out, [natRule], 'out');
          expect(packetFault(out)).toBeUndefined();
          const back = udpPacket(b.join('.'), formatAddress(out.slice(12, 16)), [...data]);
          expect(run(back, [natRule], 'in').way).toBe(`${b.join('.')} > ${a.join('.')}`);
          expect(packetFault(back)).toBeUndefined();
        },
      ),
    );
  });
});
