// The conformance suite of the DataPlane port. Every plane passes it; what a plane needs to bring is a harness: the plane
// itself, the other end of a device and the other end of a link. Nothing here waits for time: each wait has an event and
// a bound, and "nothing was delivered" is shown by what is delivered next.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LaneCapacity } from '../../src/data/event-lanes.ts';
import type {
  DataPlane,
  DeviceId,
  DeviceOptions,
  DropCause,
  LinkId,
  PeerOptions,
  PlaneEvent,
} from '../../src/data/plane.ts';
import { formatAddress } from '../../src/ip/address.ts';
import type { SocketAddress } from '../../src/ip/socket-address.ts';
import { ipPacket, tcpPacket } from '../ip/packets.ts';
import { peerOptions } from '../lab/peer-options.ts';
import { batchConformance } from './data-plane-batches.ts';
import { controlConformance } from './data-plane-control.ts';
import { epochConformance } from './data-plane-epochs.ts';
import { forwardingConformance } from './data-plane-forwarding.ts';
import { frameConformance } from './data-plane-frames.ts';
import { type PlaneRig, payloadConformance } from './data-plane-payload.ts';
import { streamConformance } from './data-plane-streams.ts';
import { FarKey, type FarKeyOptions } from './far-peer.ts';
import { CIPHERS, type CipherCase, FAR, inward, NEAR, numbered, outward } from './plane-packets.ts';

/** The other end of a device. */
export interface DeviceEnd {
  readonly id: DeviceId;
  /** Gives the plane a packet to send. */
  write(packet: Uint8Array): void;
  /** The next packet that the plane delivered; rejects after a bound. */
  read(): Promise<Uint8Array>;
}

/** The other end of a UDP link that serves many (`remote` undefined), with two addresses to send from. */
export interface LinkEnd {
  readonly link: LinkId;
  readonly addresses: readonly [SocketAddress, SocketAddress];
  send(packet: Uint8Array, from?: 0 | 1): void;
  /** The next packet that the plane sent to that address; rejects after a bound. */
  receive(at?: 0 | 1): Promise<Uint8Array>;
}

/** A listener, and a way for a stream to come to it. */
export interface ListenerEnd {
  readonly listener: LinkId;
  connect(): StreamEnd;
}

/** The far end of a stream. */
export interface StreamEnd {
  readonly address: SocketAddress;
  /** The plane's link that the stream was given to. */
  givenTo(link: LinkId): void;
  /** A piece of the stream, cut anyhow. */
  send(piece: Uint8Array): void;
  /** The next whole packet, without its length; rejects after a bound. */
  receive(): Promise<Uint8Array>;
}

export interface PlaneHarness {
  readonly plane: DataPlane;
  /** All that the listener was told, in order. */
  readonly events: readonly PlaneEvent[];
  addDevice(options?: Partial<Omit<DeviceOptions, 'endpoint'>>): DeviceEnd;
  addLink(): LinkEnd;
  addListener(): ListenerEnd;
  /** The fd of an accepted stream, to be closed at the end. */
  own(fd: number): void;
  /** Lets this much time pass for the plane; a plane on the real clock just returns. */
  advance(ms: number): void;
  /** Sends packets so that the plane has handled all of them before the listener hears of any. */
  flood(end: LinkEnd, packets: readonly Uint8Array[], from: 0 | 1 | ((index: number) => 0 | 1)): Promise<void>;
  close(): Promise<void>;
}

export interface HarnessOptions {
  readonly laneCapacity: LaneCapacity;
}

const LANES = { known: 8, unknown: 4, perPeer: 5 };
const PING = Buffer.from('2a187bf3641eb4cb07ed2d0a981fc748', 'hex');
const OCC_EXIT = Buffer.from('287f346bd4ef7a812d56b8d3afc5459c06', 'hex');

/** Describes what a plane does; `createHarness` is called for each test. */
export function dataPlaneConformance(
  name: string,
  createHarness: (options: HarnessOptions) => Promise<PlaneHarness>,
): void {
  describe(`data plane: ${name}`, () => {
    let harness: PlaneHarness;
    let plane: DataPlane;
    let device: DeviceEnd;
    let far: LinkEnd;
    beforeEach(async () => {
      harness = await createHarness({ laneCapacity: LANES });
      plane = harness.plane;
      device = harness.addDevice();
      far = harness.addLink();
    });
    afterEach(() => harness.close());

    const addPeer = (change: Partial<PeerOptions> = {}) => {
      const address = far.addresses[0];
      return plane.addPeer(
        peerOptions({ device: device.id, link: far.link, receivePeerId: 5, address, sendPeerId: 5, ...change }),
      );
    };

    /** A peer with one key that is in use. */
    const connect = (key: Partial<FarKeyOptions> = {}, change: Partial<PeerOptions> = {}) => {
      const options = { cipher: 'AES-256-GCM', digest: 'none', peerId: 5, ...key };
      const farKey = new FarKey(options);
      const peer = addPeer({ receivePeerId: options.peerId, sendPeerId: options.peerId, ...change });
      const handle = plane.addKey(peer, farKey.keyOptions);
      plane.useKey(peer, handle);
      return { peer, farKey, handle };
    };

    const dropped = (cause: DropCause) => plane.statistics().drops[cause];
    const untilDropped = (cause: DropCause, count: number) => expect.poll(() => dropped(cause), BOUND).toBe(count);
    const eventsOf = <T extends PlaneEvent['type']>(type: T) =>
      harness.events.filter((event): event is Extract<PlaneEvent, { type: T }> => event.type === type);
    const untilEvent = async <T extends PlaneEvent['type']>(type: T, count = 1) => {
      await expect.poll(() => eventsOf(type).length, BOUND).toBeGreaterThanOrEqual(count);
      return eventsOf(type)[count - 1]!;
    };

    /** A good packet comes through next, so nothing that was sent before was delivered. */
    const expectOnlyGoodPacket = async (farKey: FarKey, packetId?: number) => {
      const good = inward(numbered(33));
      far.send(packetId === undefined ? farKey.seal(good) : farKey.seal(good, packetId));
      expect(await device.read()).toEqual(good);
    };

    const rig: PlaneRig = {
      ...{ connect, dropped, untilDropped, eventsOf, untilEvent },
      harness: () => harness,
      plane: () => plane,
      addPeer,
      expectOnlyGoodPacket,
      device: () => device,
      far: () => far,
    };

    describe.each<CipherCase>(CIPHERS)('%s with digest %s %s', (cipher, digest, format) => {
      it.each([
        ['DATA_V1', undefined],
        ['DATA_V2', 0x123456],
      ])('carries packets both ways in %s', async (_version, peerId) => {
        const { farKey } = connect({ cipher, digest, format, peerId });
        for (const [index, length] of [1, 15, 16, 17, 1400].entries()) {
          const out = outward(numbered(length));
          device.write(out);
          const epoch = format === undefined ? {} : { epoch: 1 };
          const opened = { payload: out, packetId: index + 1, keyId: 0, peerId, ...epoch };
          expect(farKey.open(await far.receive())).toEqual(opened);
          const back = inward(numbered(length));
          far.send(farKey.seal(back));
          expect(await device.read()).toEqual(back);
        }
      });

      it('delivers nothing of a packet cut at any byte', async () => {
        const { farKey } = connect({ cipher, digest, format });
        const whole = farKey.seal(inward());
        for (let length = 0; length < whole.length; length++) far.send(whole.slice(0, length));
        await expectOnlyGoodPacket(farKey);
      });

      const authenticated = digest !== 'none' || cipher.endsWith('GCM') || cipher.startsWith('CHACHA');
      // Without a MAC nothing can tell a changed packet from another one.
      if (authenticated) {
        it('delivers nothing of a packet with any bit changed', async () => {
          const { farKey } = connect({ cipher, digest, format });
          const whole = farKey.seal(inward(new Uint8Array(8)));
          for (let bit = 0; bit < whole.length * 8; bit++) {
            const changed = whole.slice();
            changed[bit >> 3]! ^= 1 << (bit & 7);
            // The peer-id is outside the HMAC of CBC packets, but then it names a peer that does not exist.
            far.send(changed);
          }
          await expectOnlyGoodPacket(farKey);
        });
      }
    });

    describe('replay', () => {
      it('delivers a packet once', async () => {
        const { farKey } = connect();
        const packet = farKey.seal(inward());
        far.send(packet);
        far.send(packet);
        await device.read();
        await untilDropped('replay', 1);
        await expectOnlyGoodPacket(farKey);
      });

      it('takes packets out of order inside the window and drops those behind it', async () => {
        const { farKey } = connect({}, { replayWindowPackets: 8 });
        for (const packetId of [20, 13, 19]) await expectOnlyGoodPacket(farKey, packetId);
        far.send(farKey.seal(inward(), 12));
        await untilDropped('too-old', 1);
        await expectOnlyGoodPacket(farKey, 21);
      });

      it('takes only the next packet with a window of 0', async () => {
        const { farKey } = connect({}, { replayWindowPackets: 0 });
        await expectOnlyGoodPacket(farKey, 1);
        far.send(farKey.seal(inward(), 3));
        await untilDropped('replay', 1);
        await expectOnlyGoodPacket(farKey, 2);
      });

      it('refuses packet-id 0', async () => {
        const { farKey } = connect();
        far.send(farKey.seal(inward(), 0));
        await untilDropped('packet-id-zero', 1);
        await expectOnlyGoodPacket(farKey);
      });

      it('tells of a replay with its packet-id', async () => {
        const { farKey, peer } = connect();
        await expectOnlyGoodPacket(farKey, 7);
        far.send(farKey.seal(inward(), 7));
        expect(await untilEvent('drop-notice')).toEqual({
          type: 'drop-notice',
          peer,
          address: far.addresses[0],
          cause: 'replay',
          count: 1,
          packetId: 7,
        });
      });
    });

    describe('packets that belong to nobody', () => {
      it('never delivers a packet of an unknown key-id, nor one of an unknown peer-id', async () => {
        const { peer, farKey } = connect();
        far.send(new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, keyId: 3 }).seal(inward()));
        await expectOnlyGoodPacket(farKey);
        plane.removePeer(peer);
        await untilDropped('unknown-key', 1);
      });

      it('keeps packets that come before their key until it is there, in order, and no others', async () => {
        const { peer, farKey: old } = connect();
        const next = new FarKey({ cipher: 'AES-128-GCM', digest: 'none', keyId: 1, peerId: 5 });
        const forged = new FarKey({ cipher: 'AES-128-GCM', digest: 'none', keyId: 1, peerId: 5 });
        const early = [1, 2, 3].map((n) => ipPacket({ source: FAR, destination: NEAR, payload: numbered(40 + n) }));
        far.send(next.seal(early[0]!));
        far.send(forged.seal(inward()));
        far.send(next.seal(early[1]!));
        far.send(next.seal(early[2]!));
        await expectOnlyGoodPacket(old);
        plane.addKey(peer, next.keyOptions);
        for (const packet of early) expect(await device.read()).toEqual(packet);
        await untilDropped('bad-tag', 1);
        await expectOnlyGoodPacket(next);
      });

      it('keeps no early packet of another address', async () => {
        const { peer } = connect();
        const next = new FarKey({ cipher: 'AES-128-GCM', digest: 'none', keyId: 1, peerId: 5 });
        far.send(next.seal(inward()), 1);
        await untilDropped('wrong-source', 1);
        plane.addKey(peer, next.keyOptions);
        await expectOnlyGoodPacket(next);
      });

      it('keeps early packets within a bound', async () => {
        const { peer, farKey } = connect();
        const next = new FarKey({ cipher: 'AES-128-GCM', digest: 'none', keyId: 1, peerId: 5 });
        for (let round = 0; round < 10; round++) {
          for (let n = 0; n < 32; n++) far.send(next.seal(inward()));
          await expectOnlyGoodPacket(farKey);
        }
        await untilDropped('unknown-key', 320 - 256);
        plane.removePeer(peer);
        await untilDropped('unknown-key', 320);
      });

      it('drops an unknown peer-id', async () => {
        const { farKey } = connect();
        far.send(new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 6 }).seal(inward()));
        await untilDropped('unknown-peer', 1);
        await expectOnlyGoodPacket(farKey);
      });

      it.each([5, undefined])('reach a live peer beside a candidate at its address (peer-id %s)', async (peerId) => {
        const { farKey } = connect({ peerId });
        addPeer({ receivePeerId: peerId === undefined ? undefined : 6, prefixes: [] });
        await expectOnlyGoodPacket(farKey);
        far.send(Uint8Array.of(4 << 3, ...numbered(20)));
        expect(await untilEvent('control')).toMatchObject({ known: true, address: far.addresses[0] });
      });

      it('drops every opcode that is none, with every key-id', async () => {
        const { farKey } = connect();
        const opcodes = [0, 1, 2, ...Array.from({ length: 20 }, (_, index) => 12 + index)];
        for (const opcode of opcodes) {
          for (let keyId = 0; keyId < 8; keyId++) far.send(Uint8Array.of((opcode << 3) | keyId, ...numbered(60)));
          // A few at a time, so that no socket buffer overflows.
          await untilDropped('bad-opcode', 8 * (opcodes.indexOf(opcode) + 1));
        }
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('control')).toEqual([]);
      });

      it('drops what the device has for nobody, and what has no key yet', async () => {
        const peer = addPeer({ prefixes: [`${FAR}/32`] });
        device.write(ipPacket({ source: NEAR, destination: '192.0.2.1' }));
        await untilDropped('no-peer', 1);
        device.write(outward());
        await untilDropped('no-key', 1);
        plane.removePeer(peer);
      });
    });

    describe('inner packets', () => {
      it('come only from the networks of their peer', async () => {
        const { farKey, peer } = connect({}, { prefixes: [`${FAR}/32`, 'fd00::/64'] });
        far.send(farKey.seal(ipPacket({ source: '10.8.0.9', destination: NEAR })));
        far.send(farKey.seal(ipPacket({ source: 'fd01::1', destination: 'fd00::2' })));
        far.send(farKey.seal(numbered(40)));
        await untilDropped('bad-inner-packet', 1);
        await untilDropped('bad-source', 2);
        expect((await untilEvent('drop-notice')).innerSource).toEqual(Uint8Array.of(10, 8, 0, 9));
        await expectOnlyGoodPacket(farKey);
        plane.setPeer(peer, { prefixes: ['10.8.0.9/32'] });
        const other = ipPacket({ source: '10.8.0.9', destination: NEAR });
        far.send(farKey.seal(other));
        expect(await device.read()).toEqual(other);
      });

      it('in the name of another peer are dropped', async () => {
        const { farKey } = connect();
        connect({ peerId: 6 }, { prefixes: ['10.8.0.9/32'], address: far.addresses[1] });
        far.send(farKey.seal(ipPacket({ source: '10.8.0.9', destination: NEAR })));
        await untilDropped('bad-source', 1);
        await expectOnlyGoodPacket(farKey);
      });

      it('of a link-local source are dropped, and nobody is told', async () => {
        const { farKey } = connect({}, { prefixes: [`${FAR}/32`, 'fd00::1/128'] });
        far.send(farKey.seal(ipPacket({ source: 'fe80::1', destination: 'ff02::2' })));
        await untilDropped('bad-source', 1);
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('drop-notice')).toEqual([]);
      });

      it('go to the peer with the longest prefix', async () => {
        connect({ peerId: 1 }, { prefixes: ['10.0.0.0/8'] });
        const near = connect({ peerId: 2 }, { prefixes: [`${FAR}/32`], address: far.addresses[1] });
        device.write(outward());
        expect(near.farKey.open(await far.receive(1)).payload).toEqual(outward());
      });

      it('do not go to the outer address of their own tunnel', async () => {
        const remote = far.addresses[0];
        const { farKey } = connect({}, { dropRecursive: true });
        const datagram = (port: number) => Uint8Array.of(0, 99, port >> 8, port & 0xff, 0, 8, 0, 0);
        const destination = remote.address.join('.');
        device.write(ipPacket({ source: NEAR, destination, payload: datagram(remote.port) }));
        await untilDropped('recursive', 1);
        const others = [
          ipPacket({ source: NEAR, destination, payload: datagram(remote.port ^ 1) }),
          ipPacket({ source: NEAR, destination, payload: datagram(remote.port), protocol: 6 }),
        ];
        for (const other of others) {
          device.write(other);
          expect(farKey.open(await far.receive()).payload).toEqual(other);
        }
      });

      it('have their MSS lowered both ways', async () => {
        const { farKey } = connect({}, { mssBytes4: 1200, mssBytes6: 1180 });
        const syn = (source: string, destination: string, mss: number) =>
          tcpPacket({ source, destination, flags: 2, options: [2, 4, mss >> 8, mss & 0xff] });
        device.write(syn(NEAR, FAR, 1460));
        expect(farKey.open(await far.receive()).payload).toEqual(syn(NEAR, FAR, 1200));
        far.send(farKey.seal(syn('fd00::1', 'fd00::2', 1440)));
        expect(await device.read()).toEqual(syn('fd00::1', 'fd00::2', 1180));
      });

      it('of IPv6 are answered and not sent while IPv6 is blocked', async () => {
        const { farKey } = connect();
        plane.setDevice(device.id, { blockIpv6: true });
        device.write(ipPacket({ source: 'fd00::2', destination: 'fd00::1' }));
        const answer = await device.read();
        expect(Array.from(answer.slice(40, 42))).toEqual([1, 0]);
        expect(formatAddress(answer.slice(8, 24))).toBe('fe80::7');
        plane.setDevice(device.id, { unreachableFrom: 'fd00::99' });
        device.write(ipPacket({ source: 'fd00::2', destination: 'fd00::1' }));
        expect(formatAddress((await device.read()).slice(8, 24))).toBe('fd00::99');
        plane.setDevice(device.id, { unreachableFrom: undefined });
        device.write(ipPacket({ source: 'fd00::2', destination: 'fd00::1' }));
        expect(formatAddress((await device.read()).slice(8, 24))).toBe('fe80::7');
        expect(dropped('ipv6-blocked')).toBe(3);
        device.write(outward());
        expect(farKey.open(await far.receive()).payload).toEqual(outward());
      });
    });

    describe('float', () => {
      it('asks, delivers nothing and keeps the address until it is answered', async () => {
        const { farKey, peer } = connect({}, { mayFloat: true });
        far.send(farKey.seal(inward()), 1);
        far.send(farKey.seal(inward()), 1);
        await untilDropped('wrong-source', 2);
        expect(await untilEvent('float-request')).toEqual({ type: 'float-request', peer, address: far.addresses[1] });
        expect(eventsOf('float-request')).toHaveLength(1);
        device.write(outward());
        await far.receive(0);
        await expectOnlyGoodPacket(farKey);
      });

      it('moves when it is accepted', async () => {
        const { farKey, peer } = connect({}, { mayFloat: true });
        far.send(farKey.seal(inward()), 1);
        plane.answerFloat(peer, (await untilEvent('float-request')).address, true);
        device.write(outward());
        expect(farKey.open(await far.receive(1)).payload).toEqual(outward());
        const good = inward(numbered(9));
        far.send(farKey.seal(good), 1);
        expect(await device.read()).toEqual(good);
      });

      it('stays when it is refused', async () => {
        const { farKey, peer } = connect({}, { mayFloat: true });
        far.send(farKey.seal(inward()), 1);
        plane.answerFloat(peer, (await untilEvent('float-request')).address, false);
        device.write(outward());
        await far.receive(0);
        far.send(farKey.seal(inward()), 1);
        await untilDropped('float-refused', 1);
        expect(eventsOf('float-request')).toHaveLength(1);
        await expectOnlyGoodPacket(farKey);
      });

      it('makes control packets of the new address known, and those of the old one strange', async () => {
        const { farKey, peer } = connect({}, { mayFloat: true });
        far.send(farKey.seal(inward()), 1);
        plane.answerFloat(peer, (await untilEvent('float-request')).address, true);
        const control = Uint8Array.of(4 << 3, ...numbered(40));
        far.send(control, 1);
        far.send(control, 0);
        await untilEvent('control', 2);
        expect(eventsOf('control').map(({ known }) => known)).toEqual([true, false]);
      });

      it('onto the address of another peer is a question like any other', async () => {
        const { farKey, peer } = connect({}, { mayFloat: true });
        const other = connect({ peerId: 6 }, { address: far.addresses[1], prefixes: ['10.8.0.9/32'] });
        far.send(farKey.seal(inward()), 1);
        expect(await untilEvent('float-request')).toEqual({ type: 'float-request', peer, address: far.addresses[1] });
        plane.answerFloat(peer, far.addresses[1], true);
        plane.removePeer(other.peer);
        far.send(Uint8Array.of(4 << 3, ...numbered(20)), 1);
        expect((await untilEvent('control')).known).toBe(true);
      });

      it('is not asked for by a peer without keys, whatever comes in its name', async () => {
        addPeer({ receivePeerId: 7, sendPeerId: 7, mayFloat: true, prefixes: [] });
        const { farKey } = connect();
        far.send(new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 7 }).seal(inward()), 1);
        await untilDropped('unknown-key', 1);
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('float-request')).toEqual([]);
      });

      it('is no question for a peer that may not', async () => {
        const { farKey } = connect();
        far.send(farKey.seal(inward()), 1);
        await untilDropped('wrong-source', 1);
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('float-request')).toEqual([]);
      });

      it('is not asked for by a replayed or a forged packet', async () => {
        const { farKey } = connect({}, { mayFloat: true });
        const packet = farKey.seal(inward());
        far.send(packet);
        await device.read();
        far.send(packet, 1);
        await untilDropped('replay', 1);
        far.send(packet.with(packet.length - 1, packet.at(-1)! ^ 1), 1);
        await untilDropped('bad-tag', 1);
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('float-request')).toEqual([]);
      });
    });

    describe('messages inside the data channel', () => {
      it('are sent as packets of their own', async () => {
        const { farKey, peer } = connect({}, { compression: 'stub' });
        plane.sendInBand(peer, OCC_EXIT);
        const { payload } = farKey.open(await far.receive());
        expect(payload).toEqual(Uint8Array.of(0xfb, ...OCC_EXIT.subarray(1), 0x28));
      });

      it('are reported, and pings are swallowed', async () => {
        const { farKey, peer } = connect();
        far.send(farKey.seal(PING));
        far.send(farKey.seal(OCC_EXIT));
        expect(await untilEvent('in-band')).toEqual({ type: 'in-band', peer, bytes: Uint8Array.from(OCC_EXIT) });
        await expectOnlyGoodPacket(farKey);
        expect(eventsOf('in-band')).toHaveLength(1);
      });

      it('keep a silent tunnel alive: a ping after the interval', async () => {
        const { farKey } = connect({}, { pingIntervalMs: 200 });
        harness.advance(199);
        device.write(outward());
        expect(farKey.open(await far.receive()).payload).toEqual(outward());
        harness.advance(200);
        expect(Buffer.from(farKey.open(await far.receive()).payload)).toEqual(PING);
        harness.advance(200);
        expect(Buffer.from(farKey.open(await far.receive()).payload)).toEqual(PING);
      });
    });

    describe('lives', () => {
      it('of link and peer end and the device stays', async () => {
        const first = connect();
        plane.removePeer(first.peer);
        await plane.removeLink(far.link);
        device.write(outward());
        await untilDropped('no-peer', 1);
        far = harness.addLink();
        const second = connect();
        device.write(outward());
        expect(second.farKey.open(await far.receive()).payload).toEqual(outward());
        await expectOnlyGoodPacket(second.farKey);
      });

      it('of a device ends and the link still carries control packets', async () => {
        const { peer } = connect();
        plane.removePeer(peer);
        await plane.removeDevice(device.id);
        far.send(Uint8Array.of(4 << 3, ...numbered(40)));
        await untilEvent('control');
      });

      it('of keys overlap: the new one sends, the old one still opens, and a removed one is unknown', async () => {
        const { peer, farKey: old, handle } = connect();
        const next = new FarKey({ cipher: 'AES-128-GCM', digest: 'none', keyId: 1, peerId: 5 });
        const nextHandle = plane.addKey(peer, next.keyOptions);
        device.write(outward());
        expect(old.open(await far.receive()).keyId).toBe(0);
        plane.useKey(peer, nextHandle);
        device.write(outward());
        expect(next.open(await far.receive()).keyId).toBe(1);
        await expectOnlyGoodPacket(old);
        await expectOnlyGoodPacket(next);
        plane.removeKey(peer, handle);
        far.send(old.seal(inward()));
        await expectOnlyGoodPacket(next);
        plane.removePeer(peer);
        await untilDropped('unknown-key', 1);
      });

      it('of two keys with one key-id go on side by side', async () => {
        const { peer, farKey: old } = connect();
        const next = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', keyId: 0, peerId: 5 });
        plane.addKey(peer, next.keyOptions);
        await expectOnlyGoodPacket(old);
        await expectOnlyGoodPacket(next);
        await expectOnlyGoodPacket(old);
      });

      it('of keys are four at most', () => {
        const { peer, farKey } = connect();
        for (let keyId = 1; keyId < 4; keyId++) plane.addKey(peer, { ...farKey.keyOptions, keyId });
        expect(() => plane.addKey(peer, { ...farKey.keyOptions, keyId: 4 })).toThrow(RangeError);
      });

      it.each([
        ['packets', { limitPackets: 3 }],
        ['bytes', { limitBytes: 150 }],
      ] as const)('of a key reach their limit of %s once', async (reason, limit) => {
        const farKey = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
        const peer = addPeer();
        const key = plane.addKey(peer, { ...farKey.keyOptions, ...limit });
        plane.useKey(peer, key);
        for (let count = 0; count < 2; count++) await expectOnlyGoodPacket(farKey);
        expect(eventsOf('key-used-up')).toEqual([]);
        for (let count = 0; count < 3; count++) {
          device.write(outward());
          await far.receive();
        }
        expect(await untilEvent('key-used-up')).toEqual({ type: 'key-used-up', peer, key, reason });
        expect(eventsOf('key-used-up')).toHaveLength(1);
      });
    });

    it('counts packets and bytes of a peer and of the plane', async () => {
      const { farKey, peer } = connect();
      device.write(outward());
      const sealed = await far.receive();
      await expectOnlyGoodPacket(farKey);
      const ping = farKey.seal(PING);
      far.send(ping);
      await expect.poll(() => plane.peerStatistics(peer).linkReadPackets, BOUND).toBe(2);
      const statistics = plane.peerStatistics(peer);
      expect(statistics).toMatchObject({
        deviceReadBytes: outward().length,
        deviceReadPackets: 1,
        deviceWriteBytes: inward(numbered(33)).length,
        deviceWritePackets: 1,
        linkWriteBytes: sealed.length,
        linkWritePackets: 1,
        linkReadBytes: inward(numbered(33)).length + 24 + ping.length,
      });
      expect(statistics.lastReceivedMs).toBeGreaterThan(0);
      expect(statistics.lastSentMs).toBeGreaterThan(0);
      expect(statistics.lastPayloadMs).toBeGreaterThan(0);
      expect(plane.statistics()).toMatchObject({
        deviceReadBytes: statistics.deviceReadBytes,
        deviceWriteBytes: statistics.deviceWriteBytes,
        linkReadBytes: statistics.linkReadBytes,
        linkWriteBytes: statistics.linkWriteBytes,
      });
    });

    epochConformance(rig);
    batchConformance(rig);
    payloadConformance(rig);
    streamConformance(rig);
    controlConformance(rig, LANES);
    forwardingConformance(rig);
    frameConformance(rig);

    it('throws for calls about what is not there', () => {
      expect(() => plane.setPeer(999, {})).toThrow();
      expect(() => plane.removeKey(999, 1)).toThrow();
      expect(() => plane.peerStatistics(999)).toThrow();
    });
  });
}

const BOUND = { timeout: 5000, interval: 5 } as const;
