// The part of the data plane's conformance suite that is about what stands between cipher and inner packet: compression
// framing and fragments.

import { describe, expect, it } from 'vitest';
import type { DataPlane, DropCause, KeyHandle, PeerHandle, PeerOptions, PlaneEvent } from '../../src/data/plane.ts';
import type { DeviceEnd, LinkEnd, PlaneHarness } from './data-plane.ts';
import type { FarKey, FarKeyOptions } from './far-peer.ts';
import { CIPHERS, type CipherCase, inward, numbered, outward } from './plane-packets.ts';

/** What a test of the suite works with; made anew for each. */
export interface PlaneRig {
  plane(): DataPlane;
  /** A peer without keys. */
  addPeer(change?: Partial<PeerOptions>): PeerHandle;
  /** A good packet comes through next, so nothing that was sent before was delivered. */
  expectOnlyGoodPacket(farKey: FarKey, packetId?: number): Promise<void>;
  harness(): PlaneHarness;
  device(): DeviceEnd;
  far(): LinkEnd;
  /** A peer with one key that is in use. */
  connect(
    key?: Partial<FarKeyOptions>,
    change?: Partial<PeerOptions>,
  ): { peer: PeerHandle; farKey: FarKey; handle: KeyHandle };
  dropped(cause: DropCause): number;
  untilDropped(cause: DropCause, count: number): PromiseLike<void>;
  eventsOf<T extends PlaneEvent['type']>(type: T): Extract<PlaneEvent, { type: T }>[];
  /** The event of that type with that number. */
  untilEvent<T extends PlaneEvent['type']>(type: T, count?: number): Promise<Extract<PlaneEvent, { type: T }>>;
}

/** Describes compression framing and fragments. */
export function payloadConformance(rig: PlaneRig): void {
  describe('compression framing', () => {
    const packet = inward(numbered(30));
    const [first = 0, ...rest] = packet;
    it.each([
      ['comp-lzo', [0xfa, ...packet]],
      ['stub', [0xfb, ...rest, first]],
      ['stub-v2', [...packet]],
      ['stub-v2', [0x50, 0x00, ...packet]],
      ['stub-v2', [0x50, 0x0a, ...packet]],
    ] as const)('%s is taken off', async (compression, framed) => {
      const { farKey } = rig.connect({}, { compression });
      rig.far().send(farKey.seal(Uint8Array.from(framed)));
      expect(await rig.device().read()).toEqual(packet);
    });

    it.each([
      ['comp-lzo', (bytes: Uint8Array) => [0xfa, ...bytes]],
      ['stub', (bytes: Uint8Array) => [0xfb, ...bytes.slice(1), bytes[0]!]],
      ['stub-v2', (bytes: Uint8Array) => [...bytes]],
    ] as const)('%s is put on', async (compression, framed) => {
      const { farKey } = rig.connect({}, { compression });
      rig.device().write(outward());
      expect(Array.from(farKey.open(await rig.far().receive()).payload)).toEqual(framed(outward()));
    });

    // 60 bytes of an IP packet that ends in zeros, as OpenVPN's libraries compress it.
    const zeros = inward(new Uint8Array(40));
    const lz4 = Uint8Array.of(0xff, 20 + 1 - 15, ...zeros.slice(0, 21), 1, 0, 34 - 4 - 15, 0x50, ...new Uint8Array(5));
    it.each([
      ['comp-lzo', 'lzo', [0x66, 17 + 21, ...zeros.slice(0, 21), 0x20, 39 - 2 - 31, 0, 0, 0x11, 0, 0]],
      ['stub', 'lz4', [0x69, ...lz4.slice(1), lz4[0]!]],
      ['stub-v2', 'lz4', [0x50, 0x01, ...lz4]],
    ] as const)('%s with %s is opened where it may be, else dropped', async (compression, decompress, bytes) => {
      const { farKey, peer } = rig.connect({}, { compression });
      rig.far().send(farKey.seal(Uint8Array.from(bytes)));
      await rig.untilDropped('compressed', 1);
      rig.plane().setPeer(peer, { decompress });
      rig.far().send(farKey.seal(Uint8Array.from(bytes)));
      expect(await rig.device().read()).toEqual(zeros);
    });

    it('with a byte of no meaning is dropped', async () => {
      const { farKey } = rig.connect({}, { compression: 'comp-lzo' });
      rig.far().send(farKey.seal(Uint8Array.of(0x77, ...packet)));
      await rig.untilDropped('bad-compression', 1);
      expect(rig.dropped('compressed')).toBe(0);
    });
  });

  describe('fragments', () => {
    it.each<CipherCase>(CIPHERS)(
      'leave in datagrams no larger than asked: %s %s %s',
      async (cipher, digest, format) => {
        const { farKey } = rig.connect({ cipher, digest, format }, { fragmentBytes: 500 });
        for (const length of [10, 700, 1400]) {
          const packet = outward(numbered(length));
          rig.device().write(packet);
          const parts: Uint8Array[] = [];
          for (;;) {
            const datagram = await rig.far().receive();
            expect(datagram.length).toBeLessThanOrEqual(500);
            const { payload } = farKey.open(datagram);
            parts.push(payload.subarray(4));
            const type = payload[3]! & 3;
            expect(type).toBe(length === 10 ? 0 : parts.length * parts[0]!.length < packet.length ? 1 : 2);
            if (type !== 1) break;
          }
          expect(Uint8Array.from(Buffer.concat(parts))).toEqual(packet);
        }
      },
    );

    it('are put together in any order', async () => {
      const { farKey } = rig.connect({}, { fragmentBytes: 500 });
      const packet = inward(numbered(1000));
      const size = 400;
      const part = (index: number) => {
        const last = index === 2;
        const header = Buffer.alloc(4);
        header.writeUInt32BE((last ? 2 | ((size >> 2) << 15) : 1) | (9 << 2) | (index << 10));
        return farKey.seal(Uint8Array.of(...header, ...packet.slice(index * size, (index + 1) * size)));
      };
      for (const index of [2, 0, 1]) rig.far().send(part(index));
      expect(await rig.device().read()).toEqual(packet);
    });

    it('are refused when they make no sense', async () => {
      const { farKey } = rig.connect({}, { fragmentBytes: 500 });
      rig.far().send(farKey.seal(Uint8Array.of(0, 0, 0, 3, 1, 2, 3, 4)));
      rig.far().send(farKey.seal(Uint8Array.of(0, 0, 1)));
      rig.far().send(farKey.seal(Uint8Array.of(0, 0, 0, 2, 1, 2, 3, 4)));
      await rig.untilDropped('bad-fragment', 3);
      const whole = inward();
      rig.far().send(farKey.seal(Uint8Array.of(0, 0, 0, 0, ...whole)));
      expect(await rig.device().read()).toEqual(whole);
    });
  });
}
