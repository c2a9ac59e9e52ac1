// The part of the data plane's conformance suite that is about Ethernet: a TAP device whose peers are told apart by the
// addresses that their frames come from.

import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceOptions } from '../../src/data/plane.ts';
import { ipPacket, tcpPacket } from '../ip/packets.ts';
import type { DeviceEnd } from './data-plane.ts';
import type { PlaneRig } from './data-plane-payload.ts';
import { numbered } from './plane-packets.ts';

const HOST = '02:00:00:00:00:01';
const ALICE = '02:00:00:00:0a:01';
const BOB = '02:00:00:00:0b:01';
const CAROL = '02:00:00:00:0c:01';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const GROUP = '33:33:00:00:00:01';
const IPV4 = 0x0800;
const VLAN = 0x8100;

const mac = (text: string) => Uint8Array.from(text.split(':'), (pair) => Number.parseInt(pair, 16));

function frame(to: string, from: string, type = 0x0806, payload: Uint8Array = numbered(46)): Uint8Array {
  return Uint8Array.of(...mac(to), ...mac(from), type >> 8, type & 0xff, ...payload);
}

const syn = (mss: number): Uint8Array =>
  tcpPacket({ source: '10.8.0.2', destination: '10.8.0.3', flags: 2, options: [2, 4, mss >> 8, mss & 0xff] });

/** Describes Ethernet between peers. */
export function frameConformance(rig: PlaneRig): void {
  describe('Ethernet', () => {
    let device: DeviceEnd;
    let alice: ReturnType<PlaneRig['connect']>;
    let bob: ReturnType<PlaneRig['connect']>;
    const far = () => rig.far();

    const meet = (options: Partial<DeviceOptions> = {}) => {
      device = rig.harness().addDevice({ layer: 'tap', learnsAddresses: true, clientToClient: true, ...options });
      const [address0, address1] = far().addresses;
      const common = { device: device.id, prefixes: [] };
      alice = rig.connect({ peerId: 10 }, { ...common, address: address0 });
      bob = rig.connect({ peerId: 11 }, { ...common, address: address1 });
    };
    const fromAlice = (bytes: Uint8Array) => far().send(alice.farKey.seal(bytes), 0);
    const fromBob = (bytes: Uint8Array) => far().send(bob.farKey.seal(bytes), 1);
    const atAlice = async () => alice.farKey.open(await far().receive(0)).payload;
    const atBob = async () => bob.farKey.open(await far().receive(1)).payload;
    const asked = async (count: number) => {
      const { peer, address } = await rig.untilEvent('address-request', count);
      return { peer, address: Uint8Array.from(address) };
    };
    /** Alice and Bob are known by their addresses. */
    const settle = () => {
      rig.plane().answerAddress(alice.peer, mac(ALICE), true);
      rig.plane().answerAddress(bob.peer, mac(BOB), true);
    };

    it('a frame from an address that is nobody’s yet waits for the answer, and so do those behind it', async () => {
      meet();
      const frames = [frame(HOST, ALICE), frame(HOST, ALICE, 0x88cc), frame(BROADCAST, ALICE)];
      for (const each of frames) fromAlice(each);
      expect(await asked(1)).toEqual({ peer: alice.peer, address: mac(ALICE) });
      rig.plane().answerAddress(alice.peer, mac(ALICE), true);
      for (const each of frames) expect(await device.read()).toEqual(each);
      expect(await atBob()).toEqual(frames[2]);
      fromAlice(frames[1]!);
      expect(await device.read()).toEqual(frames[1]);
      expect(rig.eventsOf('address-request')).toHaveLength(1);
    });

    it('a frame from a refused address goes nowhere, and is not asked about again', async () => {
      meet();
      fromAlice(frame(HOST, ALICE));
      await asked(1);
      rig.plane().answerAddress(alice.peer, mac(ALICE), false);
      await rig.untilDropped('bad-source', 1);
      fromAlice(frame(HOST, ALICE));
      await rig.untilDropped('bad-source', 2);
      expect(rig.eventsOf('address-request')).toHaveLength(1);
      fromBob(frame(HOST, BOB));
      expect(await asked(2)).toEqual({ peer: bob.peer, address: mac(BOB) });
    });

    it.each([BROADCAST, GROUP, '00:00:00:00:00:00'])(
      'a frame from %s goes nowhere, and nobody is asked',
      async (from) => {
        meet();
        fromAlice(frame(HOST, from));
        await rig.untilDropped('bad-source', 1);
        expect(rig.eventsOf('address-request')).toHaveLength(0);
        const { cause, innerSource } = await rig.untilEvent('drop-notice');
        expect([cause, innerSource]).toEqual(['bad-source', mac(from)]);
      },
    );

    it('a peer is asked about for a few addresses at a time only', async () => {
      meet();
      for (let host = 0; host < 40; host++) fromAlice(frame(HOST, `02:00:00:00:01:${host.toString(16)}`));
      await rig.untilDropped('bad-source', 24);
      await asked(16);
      expect(rig.eventsOf('address-request')).toHaveLength(16);
    });

    describe('among peers that are known', () => {
      beforeEach(() => {
        meet();
        settle();
      });

      it('goes straight to the peer that it is for, whatever it carries, and never into the device', async () => {
        for (const each of [
          frame(BOB, ALICE, 0x88b5, numbered(1)),
          frame(BOB, ALICE, VLAN, Uint8Array.of(0, 5, 0x88, 0xa8, ...numbered(40))),
          frame(BOB, ALICE, 0x88a8, numbered(1500 + 8)),
          frame(BOB, ALICE, 46, numbered(46)),
        ]) {
          fromAlice(each);
          expect(await atBob()).toEqual(each);
        }
        fromAlice(frame(HOST, ALICE));
        expect(await device.read()).toEqual(frame(HOST, ALICE));
      });

      it.each([BROADCAST, GROUP])('to %s goes to all other peers and into the device', async (to) => {
        fromAlice(frame(to, ALICE));
        expect(await atBob()).toEqual(frame(to, ALICE));
        expect(await device.read()).toEqual(frame(to, ALICE));
        fromBob(frame(ALICE, BOB));
        // Had the first come back to its sender, that would stand before this one.
        expect(await atAlice()).toEqual(frame(ALICE, BOB));
      });

      it('out of the device goes to the peer that it is for, to all of them where that is a group, and else nowhere', async () => {
        device.write(frame(CAROL, HOST));
        await rig.untilDropped('no-peer', 1);
        device.write(frame(BOB, HOST));
        expect(await atBob()).toEqual(frame(BOB, HOST));
        device.write(frame(BROADCAST, HOST));
        expect(await atBob()).toEqual(frame(BROADCAST, HOST));
        expect(await atAlice()).toEqual(frame(BROADCAST, HOST));
      });

      it('for an address that another peer came with goes there from then on', async () => {
        fromBob(frame(HOST, ALICE));
        expect(await asked(1)).toEqual({ peer: bob.peer, address: mac(ALICE) });
        rig.plane().answerAddress(bob.peer, mac(ALICE), true);
        expect(await device.read()).toEqual(frame(HOST, ALICE));
        device.write(frame(ALICE, HOST));
        expect(await atBob()).toEqual(frame(ALICE, HOST));
        fromAlice(frame(HOST, ALICE));
        expect(await asked(2)).toEqual({ peer: alice.peer, address: mac(ALICE) });
      });

      it('for a peer that is gone goes nowhere out of the device, and into it from a peer', async () => {
        rig.plane().removePeer(bob.peer);
        device.write(frame(BOB, HOST));
        await rig.untilDropped('no-peer', 1);
        fromAlice(frame(BOB, ALICE));
        expect(await device.read()).toEqual(frame(BOB, ALICE));
      });

      it('for an address that was not used for a while is forgotten, and told of', async () => {
        rig.plane().forgetIdleAddresses(device.id, 3_600_000);
        device.write(frame(BOB, HOST));
        expect(await atBob()).toEqual(frame(BOB, HOST));
        rig.plane().forgetIdleAddresses(device.id, 0);
        const event = await rig.untilEvent('addresses-forgotten');
        expect(event.device).toBe(device.id);
        expect(event.addresses.map((each) => Uint8Array.from(each))).toEqual([mac(ALICE), mac(BOB)]);
        device.write(frame(BOB, HOST));
        await rig.untilDropped('no-peer', 1);
      });

      it.each([
        ['without a tag', IPV4, []],
        ['with a tag', VLAN, [0, 5, 0x08, 0x00]],
      ] as const)('has the MSS of a SYN lowered inside, %s', async (_title, type, tag) => {
        rig.plane().setPeer(bob.peer, { mssBytes4: 1100 });
        const carrying = (mss: number, to: string, from: string) =>
          frame(to, from, type, Uint8Array.of(...tag, ...syn(mss)));
        fromAlice(carrying(1460, BOB, ALICE));
        expect(await atBob()).toEqual(carrying(1100, BOB, ALICE));
        device.write(carrying(1460, BOB, HOST));
        expect(await atBob()).toEqual(carrying(1100, BOB, HOST));
        fromBob(carrying(1460, HOST, BOB));
        expect(await device.read()).toEqual(carrying(1100, HOST, BOB));
        device.write(carrying(900, BOB, HOST));
        expect(await atBob()).toEqual(carrying(900, BOB, HOST));
      });
    });

    it('between peers goes into the device alone without client-to-client', async () => {
      meet({ clientToClient: false });
      settle();
      fromAlice(frame(BOB, ALICE));
      fromAlice(frame(BROADCAST, ALICE));
      expect(await device.read()).toEqual(frame(BOB, ALICE));
      expect(await device.read()).toEqual(frame(BROADCAST, ALICE));
      device.write(frame(BOB, HOST));
      expect(await atBob()).toEqual(frame(BOB, HOST));
    });

    it('of a device with one peer asks nobody and goes there whatever it is for', async () => {
      meet({ learnsAddresses: false });
      rig.plane().removePeer(alice.peer);
      fromBob(frame(HOST, CAROL));
      expect(await device.read()).toEqual(frame(HOST, CAROL));
      device.write(frame(CAROL, HOST, IPV4, ipPacket({ source: '10.8.0.1', destination: '10.8.0.9' })));
      await atBob();
      expect(rig.eventsOf('address-request')).toHaveLength(0);
    });
  });
}
