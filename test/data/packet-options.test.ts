import { beforeEach, describe, expect, it } from 'vitest';
import { createArena } from '../../src/data/arena.ts';
import type { PeerOptions } from '../../src/data/plane.ts';
import type { PlaneCore } from '../../src/data/plane-core.ts';
import { ipv4ToNumber } from '../../src/ip/address-arithmetic.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { PING } from '../../src/wire/in-band.ts';
import { FarKey } from '../conformance/far-peer.ts';
import { packetFault } from '../ip/packet-verifier.ts';
import { ipPacket, tcpPacket } from '../ip/packets.ts';
import { ARENA_BYTES, at, build, DEVICE, KEY, LINK, PEER, peerOptions } from './engine-rig.ts';

const outward = (length = 40, more: Partial<Parameters<typeof ipPacket>[0]> = {}) =>
  ipPacket({ source: '10.8.0.2', destination: '10.8.0.1', payload: new Uint8Array(length), ...more });
const withClass = (packet: Uint8Array, trafficClass: number) => {
  if (packet[0]! >> 4 === 4) packet[1] = trafficClass;
  else packet.set([0x60 | (trafficClass >> 4), (trafficClass & 15) << 4]);
  return packet;
};

describe('what a peer may want of its packets', () => {
  let plane: ReturnType<typeof build>;
  let core: PlaneCore;
  let far: FarKey;
  const connect = (change: Partial<PeerOptions> = {}) => {
    core.addPeer(PEER, 0, peerOptions(change));
    core.addKey(PEER, KEY, far.keyOptions);
    core.useKey(PEER, KEY);
  };
  beforeEach(() => {
    plane = build(createNodePacketCrypto(createArena(ARENA_BYTES)));
    core = plane.core;
    far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    core.addDevice(DEVICE, { layer: 'tun', mtuBytes: 1500, blockIpv6: false });
    core.addLink(LINK, { framing: 'udp', remote: undefined });
  });

  describe('passtos', () => {
    const six = { source: 'fd00::2', destination: 'fd00::1' };

    it('gives the TOS byte or traffic class of each packet to its link, and none to pings', () => {
      connect({ copyTrafficClass: true });
      plane.fromDevice(withClass(outward(), 0xb8));
      plane.fromDevice(withClass(outward(40, six), 0x2e));
      core.sendInBand(PEER, PING);
      plane.fromDevice(outward());
      expect(plane.sent.map(({ trafficClass }) => trafficClass)).toEqual([0xb8, 0x2e, 0, 0]);
    });

    it('gives it to every part of a packet', () => {
      connect({ copyTrafficClass: true, fragmentBytes: 400 });
      plane.fromDevice(withClass(outward(900), 0x10));
      expect(plane.sent.length).toBeGreaterThan(1);
      expect(new Set(plane.sent.map(({ trafficClass }) => trafficClass))).toEqual(new Set([0x10]));
    });

    it('is not done for peers that did not ask for it', () => {
      connect();
      plane.fromDevice(withClass(outward(), 0xb8));
      expect(plane.sent.map(({ trafficClass }) => trafficClass)).toEqual([0]);
    });
  });

  describe('client-nat', () => {
    const number = (text: string) => ipv4ToNumber(text)!;
    const natRules = [
      { type: 'snat', network: number('10.8.0.0'), netmask: number('255.255.255.0'), foreign: number('10.99.0.0') },
    ] as const;

    it('translates on both ways, beneath a lowered MSS, with right checksums', () => {
      connect({ natRules, mssBytes4: 1300 });
      const syn = tcpPacket({ source: '10.8.0.2', destination: '192.0.2.7', flags: 2, options: [2, 4, 0x05, 0xb4] });
      plane.fromDevice(syn);
      const there = far.open(plane.sent[0]!.bytes).payload;
      expect([...there.subarray(12, 16)]).toEqual([10, 99, 0, 2]);
      expect([...there.subarray(42, 44)]).toEqual([1300 >> 8, 1300 & 0xff]);
      expect(packetFault(there)).toBeUndefined();

      plane.fromLink(far.seal(tcpPacket({ source: '192.0.2.7', destination: '10.99.0.2', flags: 0x10, options: [] })));
      const back = plane.written[0]!;
      expect([...back.subarray(16, 20)]).toEqual([10, 8, 0, 2]);
      expect(packetFault(back)).toBeUndefined();
    });

    it('can be taken away again', () => {
      connect({ natRules });
      core.setPeer(PEER, { natRules: [] });
      plane.fromDevice(outward());
      expect([...far.open(plane.sent[0]!.bytes).payload.subarray(12, 16)]).toEqual([10, 8, 0, 2]);
    });
  });

  describe('packets of their own tunnel', () => {
    const datagram = (port: number, length = 8) =>
      Uint8Array.of(0, 99, port >> 8, port & 0xff, 0, 8, 0, 0).subarray(0, length);
    const to = (source: string, destination: string, protocol = 17, payload = datagram(1194)) =>
      ipPacket({ source, destination, protocol, payload });

    it.each<[string, string, string, string[]]>([
      ['IPv4', '10.8.0.2', '198.51.100.7', ['198.51.100.8', '198.51.101.7']],
      // Of four words one differs each time.
      ['IPv6', 'fd00::2', '2001:db8::7', ['2001:db9::7', '2001:db8:1::7', '2001:db8::1:0:7', '2001:db8::8']],
    ])('are not sent over %s, and whatever differs in anything is', (_, source, address, others) => {
      connect({ dropRecursive: true, address: at(address) });
      plane.fromDevice(to(source, address));
      expect(plane.drops('recursive')).toBe(1);
      const foreign = [
        // What is missing of its port is still there from the packet before.
        to(source, address, 17, datagram(1194, 3)),
        ...others.map((other) => to(source, other)),
        to(source, address, 6),
        to(source, address, 17, datagram(1195)),
      ];
      for (const packet of foreign) plane.fromDevice(packet);
      expect(plane.sent).toHaveLength(foreign.length);
      expect(plane.drops('recursive')).toBe(1);
    });

    it('are of its own family: an IPv6 address can begin as an IPv4 one', () => {
      connect({ dropRecursive: true, address: at('32.1.13.184') });
      plane.fromDevice(to('fd00::2', '2001:db8::'));
      expect(plane.sent).toHaveLength(1);
    });

    it('are sent where they may be', () => {
      connect({ dropRecursive: false, address: at('198.51.100.7') });
      plane.fromDevice(to('10.8.0.2', '198.51.100.7'));
      expect(plane.sent).toHaveLength(1);
    });
  });

  describe('shaper', () => {
    it('lets the device rest for as long as what was sent takes at that rate', () => {
      connect({ bytesPerSecond: 10_000 });
      expect(core.paces).toBe(true);
      core.setNow(1000);
      expect(core.deviceRestMs(DEVICE)).toBe(0);
      plane.fromDevice(outward(400));
      const bytes = plane.sent[0]!.bytes.length + 28;
      expect(core.deviceRestMs(DEVICE)).toBeCloseTo(1000 - 10 + bytes / 10);
      core.setNow(1000 + bytes / 10);
      expect(core.deviceRestMs(DEVICE)).toBe(0);
    });

    it('keeps the rate over many packets', () => {
      connect({ bytesPerSecond: 100_000 });
      let nowMs = 1000;
      let bytes = 0;
      while (nowMs < 11_000) {
        core.setNow(nowMs);
        plane.fromDevice(outward(1000));
        bytes += plane.sent.at(-1)!.bytes.length + 28;
        // The loop wakes at a whole millisecond, a little late.
        nowMs = Math.max(nowMs, Math.ceil(core.deviceRestMs(DEVICE)) + 1);
      }
      expect(bytes / 10).toBeGreaterThan(90_000);
      expect(bytes / 10).toBeLessThan(102_000);
    });

    it('drops what a device that cannot rest gives more than a second early, and no packet costs more than ten', () => {
      connect({ bytesPerSecond: 100 });
      plane.fromDevice(outward(1400));
      expect(core.deviceRestMs(DEVICE)).toBeLessThanOrEqual(11_000);
      plane.fromDevice(outward());
      expect(plane.sent).toHaveLength(1);
      expect(plane.drops('link-full')).toBe(1);
      core.setNow(12_000);
      plane.fromDevice(outward());
      expect(plane.sent).toHaveLength(2);
    });

    it('limits nobody who has no limit', () => {
      connect();
      for (let count = 0; count < 100; count++) plane.fromDevice(outward(1400));
      expect(plane.sent).toHaveLength(100);
      expect(core.deviceRestMs(DEVICE)).toBe(0);
      expect(core.paces).toBe(false);
      core.setPeer(PEER, { bytesPerSecond: 10_000 });
      expect(core.paces).toBe(true);
    });
  });
});
