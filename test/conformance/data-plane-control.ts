// The part of the data plane's conformance suite that is about control packets: whose they are, and what bounds them.

import { describe, expect, it } from 'vitest';
import type { PlaneRig } from './data-plane-payload.ts';
import { FAR, numbered } from './plane-packets.ts';

const packet = (opcode: number, length = 40, keyId = 0) =>
  Uint8Array.of((opcode << 3) | keyId, ...numbered(length - 1));
/** A client's packets without a session: opcode and the shortest that it can be. */
const FIRST_PACKETS = [
  [7, 14],
  [5, 22],
  [4, 26],
  [10, 336],
  [11, 336],
] as const;
const many = (opcode: number, length?: number) =>
  Array.from({ length: 50 }, (_, index) => packet(opcode, length).fill(index, 1, 9));

export interface SuiteLanes {
  readonly known: number;
  readonly unknown: number;
  readonly perPeer: number;
}

/** Describes control packets and the lanes that they go up in. */
export function controlConformance(rig: PlaneRig, lanes: SuiteLanes): void {
  describe('control packets', () => {
    const far = () => rig.far();
    const connectBoth = () => {
      rig.connect();
      rig.connect({ peerId: 6 }, { address: far().addresses[1], prefixes: [`${FAR}/32`] });
    };
    const known = () => rig.eventsOf('control').map((event) => event.known);

    it('of a known peer go up with their source, whatever they are', async () => {
      rig.connect();
      const opcodes = [3, 4, 5, 7, 8, 10, 11];
      for (const [index, opcode] of opcodes.entries()) {
        far().send(packet(opcode, 5, index));
        await rig.untilEvent('control', index + 1);
      }
      expect(known()).toEqual(opcodes.map(() => true));
    });

    it.each(FIRST_PACKETS)('of a stranger go up when they can be its first (opcode %d)', async (opcode, shortest) => {
      rig.connect();
      far().send(packet(opcode, shortest), 1);
      expect(await rig.untilEvent('control')).toEqual({
        type: 'control',
        link: far().link,
        address: far().addresses[1],
        bytes: packet(opcode, shortest),
        known: false,
      });
    });

    it('of a stranger are dropped at once when they can not: server resets, soft resets, short ones, other key-ids', async () => {
      far().send(packet(8), 1);
      far().send(packet(3), 1);
      await rig.untilDropped('no-first-packet', 2);
      for (const [index, [opcode, shortest]] of FIRST_PACKETS.entries()) {
        far().send(packet(opcode, shortest - 1), 1);
        far().send(packet(opcode, shortest, 1), 1);
        far().send(packet(opcode, shortest, 7), 1);
        await rig.untilDropped('no-first-packet', 2 + 3 * (index + 1));
      }
      expect(rig.eventsOf('control')).toEqual([]);
    });

    it('are sent as they are, wherever they should go', async () => {
      const bytes = Uint8Array.of(8 << 3, ...numbered(200));
      rig.plane().sendControl(far().link, far().addresses[1], bytes);
      bytes.fill(0, 1);
      expect(await far().receive(1)).toEqual(Uint8Array.of(8 << 3, ...numbered(200)));
    });

    it.each([7, 10])('of strangers with opcode %d can not crowd out a proof, nor a known peer', async (opcode) => {
      rig.connect();
      const resets = many(opcode, 336);
      await rig.harness().flood(far(), [...resets, packet(4), packet(5), packet(11, 400)], 1);
      await rig.untilDropped('lane-resets-full', 50 - lanes.unknown);
      await rig.untilEvent('control', lanes.unknown + 3);
      const opcodes = rig.eventsOf('control').map(({ bytes }) => bytes[0]! >> 3);
      expect(opcodes.filter((one) => one !== opcode)).toEqual([4, 5, 11]);
      far().send(packet(4), 0);
      await rig.untilEvent('control', lanes.unknown + 4);
      expect(known().filter(Boolean)).toHaveLength(1);
      expect(rig.dropped('lane-proofs-full')).toBe(0);
    });

    it.each([4, 5])('of strangers that pretend to prove something are bounded too (opcode %d)', async (opcode) => {
      await rig.harness().flood(far(), [...many(opcode), packet(7)], 1);
      await rig.untilDropped('lane-proofs-full', 50 - lanes.unknown);
      await rig.untilEvent('control', lanes.unknown + 1);
      expect(rig.dropped('lane-resets-full')).toBe(0);
    });

    it('of one known peer are bounded, and room comes back', async () => {
      rig.connect();
      await rig.harness().flood(far(), many(4), 0);
      await rig.untilDropped('lane-peer-full', 50 - lanes.perPeer);
      await rig.untilEvent('control', lanes.perPeer);
      far().send(packet(4, 99), 0);
      expect((await rig.untilEvent('control', lanes.perPeer + 1)).bytes).toEqual(packet(4, 99));
    });

    it('of one known peer leave room for another, within the bound for all', async () => {
      connectBoth();
      await rig.harness().flood(far(), [...many(4), ...many(5)], (index) => (index < 50 ? 0 : 1));
      await rig.untilDropped('lane-peer-full', 50 - lanes.perPeer);
      await rig.untilDropped('lane-known-full', 50 - (lanes.known - lanes.perPeer));
      await rig.untilEvent('control', lanes.known);
      const opcodes = rig.eventsOf('control').map(({ bytes }) => bytes[0]! >> 3);
      expect(opcodes.filter((opcode) => opcode === 4)).toHaveLength(lanes.perPeer);
    });
  });
}
