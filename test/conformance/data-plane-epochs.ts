// The part of the data plane's conformance suite that is about the epoch format: both ends move to new keys without a
// word, and follow each other.

import { describe, expect, it } from 'vitest';
import type { PeerOptions } from '../../src/data/plane.ts';
import type { PlaneRig } from './data-plane-payload.ts';
import { FarKey } from './far-peer.ts';
import { inward, outward } from './plane-packets.ts';

const FIRST_OUT_OF_REACH = 1 + 16 + 1;

/** Describes the epoch format. */
export function epochConformance(rig: PlaneRig): void {
  describe('in the epoch format', () => {
    const connect = (limitBlocks?: number, change: Partial<PeerOptions> = {}) => {
      const farKey = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' });
      const peer = rig.addPeer(change);
      const handle = rig.plane().addKey(peer, { ...farKey.keyOptions, limitBlocks });
      rig.plane().useKey(peer, handle);
      return { peer, handle, farKey };
    };
    /** Epoch and counter of the plane's next packet. */
    const send = async (farKey: FarKey) => {
      rig.device().write(outward());
      const { epoch, packetId, payload } = farKey.open(await rig.far().receive());
      expect(payload).toEqual(outward());
      return [epoch, packetId];
    };

    it('a peer that moves on is followed, for sending too', async () => {
      const { farKey } = connect();
      expect(await send(farKey)).toEqual([1, 1]);
      await rig.expectOnlyGoodPacket(farKey);
      farKey.epoch = 4;
      await rig.expectOnlyGoodPacket(farKey, 1);
      expect(await send(farKey)).toEqual([4, 1]);
      expect(await send(farKey)).toEqual([4, 2]);
    });

    it('a late packet of the epoch before is delivered once, one of those between and before never', async () => {
      const { farKey } = connect();
      await rig.expectOnlyGoodPacket(farKey, 1);
      farKey.epoch = 3;
      await rig.expectOnlyGoodPacket(farKey, 1);
      farKey.epoch = 1;
      await rig.expectOnlyGoodPacket(farKey, 2);
      rig.far().send(farKey.seal(inward(), 2));
      await rig.untilDropped('replay', 1);
      farKey.epoch = 2;
      rig.far().send(farKey.seal(inward(), 1));
      await rig.untilDropped('unknown-epoch', 1);
      farKey.epoch = 5;
      await rig.expectOnlyGoodPacket(farKey, 1);
      farKey.epoch = 1;
      rig.far().send(farKey.seal(inward(), 3));
      await rig.untilDropped('unknown-epoch', 2);
      farKey.epoch = 3;
      await rig.expectOnlyGoodPacket(farKey, 2);
    });

    it('a late packet of the epoch before does not take sending back', async () => {
      const { farKey } = connect();
      farKey.epoch = 2;
      await rig.expectOnlyGoodPacket(farKey, 1);
      farKey.epoch = 1;
      await rig.expectOnlyGoodPacket(farKey, 1);
      expect(await send(farKey)).toEqual([2, 1]);
    });

    it('the next sixteen epochs are taken and no more, whatever they name', async () => {
      const { farKey } = connect();
      const sealed = farKey.seal(inward(), 1);
      for (const epoch of [0, FIRST_OUT_OF_REACH, 2000, 0xffff]) {
        rig.far().send(sealed.with(4, epoch >> 8).with(5, epoch & 0xff));
      }
      await rig.untilDropped('unknown-epoch', 4);
      farKey.epoch = FIRST_OUT_OF_REACH - 1;
      await rig.expectOnlyGoodPacket(farKey, 1);
    });

    it('a forged packet of a later epoch changes nothing', async () => {
      const { farKey } = connect();
      await rig.expectOnlyGoodPacket(farKey, 1);
      for (let epoch = 2; epoch < FIRST_OUT_OF_REACH; epoch++) {
        const forged = new FarKey(FORGED);
        forged.epoch = epoch;
        rig.far().send(forged.seal(inward(), 1));
      }
      await rig.untilDropped('bad-tag', FIRST_OUT_OF_REACH - 2);
      expect(await send(farKey)).toEqual([1, 1]);
      await rig.expectOnlyGoodPacket(farKey, 2);
      farKey.epoch = 2;
      await rig.expectOnlyGoodPacket(farKey, 1);
    });

    it('a used up epoch is left by the sender before it carries more', async () => {
      // 60 bytes are four blocks, and one for the packet: two of them are past nine.
      const { farKey } = connect(9);
      const sent = [];
      for (let count = 0; count < 5; count++) sent.push(await send(farKey));
      expect(sent).toEqual([
        [1, 1],
        [1, 2],
        [2, 1],
        [2, 2],
        [3, 1],
      ]);
    });

    it('a peer that overuses its epoch is shown the next, and what it seals is still taken', async () => {
      const { farKey } = connect(9);
      await rig.expectOnlyGoodPacket(farKey, 1);
      expect(await send(farKey)).toEqual([1, 1]);
      for (let id = 2; id < 6; id++) await rig.expectOnlyGoodPacket(farKey, id);
      expect(await send(farKey)).toEqual([2, 1]);
      for (let id = 6; id < 20; id++) await rig.expectOnlyGoodPacket(farKey, id);
      expect(await send(farKey)).toEqual([2, 2]);
    });

    it('ids have 48 bits', async () => {
      const { farKey } = connect();
      for (const id of [2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48 - 2, 2 ** 48 - 1]) {
        await rig.expectOnlyGoodPacket(farKey, id);
      }
      rig.far().send(farKey.seal(inward(), 2 ** 48 - 1));
      await rig.untilDropped('replay', 1);
      rig.far().send(farKey.seal(inward(), 1));
      await rig.untilDropped('too-old', 1);
    });

    it('id 0 is refused', async () => {
      const { farKey } = connect();
      rig.far().send(farKey.seal(inward(), 0));
      await rig.untilDropped('packet-id-zero', 1);
      await rig.expectOnlyGoodPacket(farKey);
    });

    it('byte and packet limits of the session count over all epochs', async () => {
      const farKey = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' });
      const peer = rig.addPeer();
      const key = rig.plane().addKey(peer, { ...farKey.keyOptions, limitPackets: 4, limitBlocks: 9 });
      rig.plane().useKey(peer, key);
      for (let count = 0; count < 3; count++) await send(farKey);
      expect(rig.eventsOf('key-used-up')).toEqual([]);
      expect(await send(farKey)).toEqual([2, 2]);
      expect(await rig.untilEvent('key-used-up')).toMatchObject({ peer, key, reason: 'packets' });
    });
  });
}

const FORGED = { cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' } as const;
