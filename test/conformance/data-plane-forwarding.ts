// The part of the data plane's conformance suite that is about many peers at one device: from one to another, and
// multicast to all of them.

import { beforeEach, describe, expect, it } from 'vitest';
import type { PeerOptions } from '../../src/data/plane.ts';
import { ipPacket, tcpPacket } from '../ip/packets.ts';
import type { DeviceEnd } from './data-plane.ts';
import type { PlaneRig } from './data-plane-payload.ts';
import { NEAR, numbered } from './plane-packets.ts';

const ALICE = '10.8.0.10';
const BOB = '10.8.0.11';
const ALICE6 = 'fd00::10';
const GROUPS = [
  [ALICE, '224.0.0.251'],
  [ALICE, '239.255.255.255'],
  [ALICE6, 'ff02::1'],
] as const;

/** Describes forwarding. */
export function forwardingConformance(rig: PlaneRig): void {
  describe('between peers', () => {
    let device: DeviceEnd;
    let alice: ReturnType<PlaneRig['connect']>;
    let bob: ReturnType<PlaneRig['connect']>;
    const far = () => rig.far();

    const meet = (clientToClient: boolean, change: Partial<PeerOptions> = {}) => {
      device = rig.harness().addDevice({ clientToClient });
      const [address0, address1] = far().addresses;
      const common = { device: device.id, ...change };
      const prefixes = [`${ALICE}/32`, `${ALICE6}/128`];
      alice = rig.connect({ peerId: 10 }, { ...common, address: address0, prefixes });
      bob = rig.connect({ peerId: 11 }, { ...common, address: address1, prefixes: [`${BOB}/32`, 'fd00::11/128'] });
    };
    const fromAlice = (packet: Uint8Array) => far().send(alice.farKey.seal(packet), 0);
    const atBob = async () => bob.farKey.open(await far().receive(1)).payload;

    describe('with client-to-client', () => {
      beforeEach(() => meet(true));

      it('a packet for another peer goes straight there, never into the device', async () => {
        for (const length of [1, 40, 1300]) {
          const packet = ipPacket({ source: ALICE, destination: BOB, payload: numbered(length) });
          fromAlice(packet);
          expect(await atBob()).toEqual(packet);
        }
        const packet6 = ipPacket({ source: ALICE6, destination: 'fd00::11' });
        fromAlice(packet6);
        expect(await atBob()).toEqual(packet6);
        const toHost = ipPacket({ source: ALICE, destination: NEAR });
        fromAlice(toHost);
        expect(await device.read()).toEqual(toHost);
      });

      it('a packet for nobody goes into the device', async () => {
        const packet = ipPacket({ source: ALICE, destination: '192.0.2.7' });
        fromAlice(packet);
        expect(await device.read()).toEqual(packet);
      });

      it('a packet of a peer to itself comes back to it', async () => {
        const packet = ipPacket({ source: ALICE, destination: ALICE });
        fromAlice(packet);
        expect(alice.farKey.open(await far().receive(0)).payload).toEqual(packet);
      });

      it('a packet in the name of another peer goes nowhere', async () => {
        fromAlice(ipPacket({ source: BOB, destination: ALICE }));
        fromAlice(ipPacket({ source: BOB, destination: '224.0.0.1' }));
        await rig.untilDropped('bad-source', 2);
        const good = ipPacket({ source: ALICE, destination: BOB });
        fromAlice(good);
        expect(await atBob()).toEqual(good);
      });

      it.each(GROUPS)(
        'multicast from %s to %s goes to all other peers and into the device',
        async (source, destination) => {
          const packet = ipPacket({ source, destination, payload: numbered(99) });
          fromAlice(packet);
          expect(await device.read()).toEqual(packet);
          expect(await atBob()).toEqual(packet);
          const next = ipPacket({ source: BOB, destination: ALICE });
          far().send(bob.farKey.seal(next), 1);
          // Had it come back to its sender, that would stand before this one.
          expect(alice.farKey.open(await far().receive(0)).payload).toEqual(next);
        },
      );

      it('the MSS is lowered to what both ends of the way say', async () => {
        rig.plane().setPeer(bob.peer, { mssBytes4: 1100 });
        const syn = (mss: number) =>
          tcpPacket({ source: ALICE, destination: BOB, flags: 2, options: [2, 4, mss >> 8, mss & 0xff] });
        fromAlice(syn(1460));
        expect(await atBob()).toEqual(syn(1100));
        rig.plane().setPeer(alice.peer, { mssBytes4: 1000 });
        fromAlice(syn(1460));
        expect(await atBob()).toEqual(syn(1000));
      });

      it('what a peer without a key should get is dropped and counted', async () => {
        rig.plane().removeKey(bob.peer, bob.handle);
        fromAlice(ipPacket({ source: ALICE, destination: BOB }));
        await rig.untilDropped('no-key', 1);
        fromAlice(ipPacket({ source: ALICE, destination: '224.0.0.1' }));
        expect(await device.read()).toEqual(ipPacket({ source: ALICE, destination: '224.0.0.1' }));
        expect(rig.dropped('no-key')).toBe(1);
      });

      it('what was for a peer that is gone goes into the device', async () => {
        rig.plane().removePeer(bob.peer);
        const packet = ipPacket({ source: ALICE, destination: BOB });
        fromAlice(packet);
        expect(await device.read()).toEqual(packet);
      });

      it('counts what was forwarded for the links of both, and not as traffic of the device', async () => {
        const before = rig.plane().statistics();
        fromAlice(ipPacket({ source: ALICE, destination: BOB }));
        await atBob();
        await expect.poll(() => rig.plane().peerStatistics(bob.peer).linkWritePackets).toBe(1);
        expect(rig.plane().peerStatistics(alice.peer)).toMatchObject({ linkReadPackets: 1, deviceWritePackets: 0 });
        expect(rig.plane().peerStatistics(alice.peer).lastPayloadMs).toBeGreaterThan(0);
        const after = rig.plane().statistics();
        expect(after.deviceWritePackets).toBe(before.deviceWritePackets);
        expect(after.linkWritePackets).toBe(before.linkWritePackets + 1);
      });
    });

    describe('without client-to-client', () => {
      beforeEach(() => meet(false));

      it.each([BOB, ALICE, '224.0.0.251'])('a packet from a peer to %s goes into the device', async (destination) => {
        const packet = ipPacket({ source: ALICE, destination });
        fromAlice(packet);
        expect(await device.read()).toEqual(packet);
        const next = ipPacket({ source: NEAR, destination: BOB });
        device.write(next);
        expect(await atBob()).toEqual(next);
      });

      it('multicast out of the device goes to every peer', async () => {
        for (const destination of ['224.0.0.251', 'ff02::fb']) {
          const source = destination.includes(':') ? 'fd00::1' : NEAR;
          const packet = ipPacket({ source, destination, payload: numbered(500) });
          device.write(packet);
          expect(await atBob()).toEqual(packet);
          expect(alice.farKey.open(await far().receive(0)).payload).toEqual(packet);
        }
      });

      it('multicast out of the device goes to those who are left when others have gone', async () => {
        const change = { device: device.id, address: far().addresses[0], prefixes: ['10.8.0.12/32'] };
        const carol = rig.connect({ peerId: 12 }, change);
        rig.plane().removePeer(alice.peer);
        const packet = ipPacket({ source: NEAR, destination: '224.0.0.251' });
        device.write(packet);
        expect(await atBob()).toEqual(packet);
        expect(carol.farKey.open(await far().receive(0)).payload).toEqual(packet);
        rig.plane().removePeer(bob.peer);
        device.write(packet);
        expect(carol.farKey.open(await far().receive(0)).payload).toEqual(packet);
      });

      it('multicast out of a device without peers is dropped', async () => {
        rig.plane().removePeer(alice.peer);
        rig.plane().removePeer(bob.peer);
        device.write(ipPacket({ source: NEAR, destination: '224.0.0.251' }));
        await rig.untilDropped('no-peer', 1);
      });
    });

    it('fragments are put together before a packet goes on, and made anew for its receiver', async () => {
      meet(true, { fragmentBytes: 300 });
      const packet = ipPacket({ source: ALICE, destination: BOB, payload: numbered(120) });
      const whole = new Uint8Array(4 + packet.length);
      whole.set(packet, 4);
      fromAlice(whole);
      expect((await atBob()).slice(4)).toEqual(packet);
    });
  });
}
