// The part of the data plane's conformance suite that is about packets which move together: sizes and peers mixed, a bad
// one among good ones.

import { describe, expect, it } from 'vitest';
import { ipPacket } from '../ip/packets.ts';
import type { PlaneRig } from './data-plane-payload.ts';
import { CIPHERS, type CipherCase, FAR, NEAR, numbered, outward } from './plane-packets.ts';

const SIZES = [1400, 1400, 1400, 60, 1400, 1, 1, 900, 1400, 1400, 1399, 1400, 0, 1400, 1401, 20];

/** Describes batches. */
export function batchConformance(rig: PlaneRig): void {
  describe('packets that move together', () => {
    it.each<CipherCase>(CIPHERS)(
      'leave whole, each by itself and in order, whatever their sizes: %s %s %s',
      async (cipher, digest, format) => {
        const { farKey } = rig.connect({ cipher, digest, format });
        const packets = SIZES.map((length) => outward(numbered(length)));
        for (const packet of packets) rig.device().write(packet);
        for (const [index, payload] of packets.entries()) {
          const sealed = await rig.far().receive();
          expect(farKey.open(sealed)).toMatchObject({ payload, packetId: index + 1 });
        }
      },
    );

    it.each(['none', 'comp-lzo', 'stub', 'stub-v2'] as const)('leave with compression %s', async (compression) => {
      const { farKey } = rig.connect({}, { compression });
      for (const length of SIZES) rig.device().write(outward(numbered(length)));
      const extra = compression === 'none' || compression === 'stub-v2' ? 0 : 1;
      for (const length of SIZES) {
        const { payload } = farKey.open(await rig.far().receive());
        expect(payload).toHaveLength(outward(numbered(length)).length + extra);
      }
    });

    it('reach each of several peers in order', async () => {
      const first = rig.connect({ peerId: 1 }, { prefixes: ['10.8.1.0/24'], address: rig.far().addresses[0] });
      const second = rig.connect({ peerId: 2 }, { prefixes: ['10.8.2.0/24'], address: rig.far().addresses[1] });
      const to = (peer: number, length: number) =>
        ipPacket({ source: NEAR, destination: `10.8.${peer}.9`, payload: numbered(length) });
      for (const length of SIZES) for (const peer of [1, 2]) rig.device().write(to(peer, length + peer));
      for (const [index, length] of SIZES.entries()) {
        const packetId = index + 1;
        const one = first.farKey.open(await rig.far().receive(0));
        expect(one).toMatchObject({ payload: to(1, length + 1), packetId, peerId: 1 });
        const two = second.farKey.open(await rig.far().receive(1));
        expect(two).toMatchObject({ payload: to(2, length + 2), packetId, peerId: 2 });
      }
    });

    it('are delivered in order, but for the bad ones among them, which are counted', async () => {
      const { farKey } = rig.connect();
      const from = (number: number, length: number) =>
        ipPacket({ source: FAR, destination: NEAR, payload: Uint8Array.of(number, ...numbered(length)) });
      const good: Uint8Array[] = [];
      for (const [index, length] of SIZES.entries()) {
        const packet = from(index, length);
        const sealed = farKey.seal(packet);
        if (index % 4 === 1) {
          const forged = sealed.slice();
          forged[forged.length - 1]! ^= 1;
          rig.far().send(forged);
        }
        rig.far().send(sealed);
        if (index % 4 === 2) rig.far().send(sealed);
        good.push(packet);
      }
      for (const packet of good) expect(await rig.device().read()).toEqual(packet);
      expect([rig.dropped('bad-tag'), rig.dropped('replay')]).toEqual([4, 4]);
    });
  });
}
