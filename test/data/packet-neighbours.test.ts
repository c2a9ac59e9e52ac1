import { beforeEach, describe, expect, it } from 'vitest';
import { BUFFER_BYTES, createArena, DEVICE_HEADER_BYTES, HEADROOM_BYTES } from '../../src/data/arena.ts';
import type { PlaneCore } from '../../src/data/plane-core.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { FarKey } from '../conformance/far-peer.ts';
import { ipPacket } from '../ip/packets.ts';
import { ARENA_BYTES, at, build, DEVICE, HOME, INPUT, KEY, LINK, PEER, peerOptions } from './engine-rig.ts';

const inward = () => ipPacket({ source: '10.8.0.1', destination: '10.8.0.2', payload: new Uint8Array(40) });

describe('what lies beside a packet', () => {
  let plane: ReturnType<typeof build>;
  let core: PlaneCore;
  beforeEach(() => {
    plane = build(createNodePacketCrypto(createArena(ARENA_BYTES)));
    core = plane.core;
    core.addDevice(DEVICE, { layer: 'tun', mtuBytes: 1500, blockIpv6: false, clientToClient: true });
    core.addLink(LINK, { framing: 'udp', remote: undefined });
  });

  it.each([
    ['AES-256-GCM', 'none', 1, 'AES-256-GCM', 'none', 2, {}],
    ['AES-256-GCM', 'none', undefined, 'AES-256-GCM', 'none', 2, {}],
    ['AES-256-GCM', 'none', 1, 'AES-256-CBC', 'SHA512', 2, {}],
    ['AES-256-GCM', 'none', 1, 'AES-256-GCM', 'none', 2, { compression: 'comp-lzo' }],
    ['AES-256-GCM', 'none', 1, 'AES-256-GCM', 'none', 2, { compression: 'stub' }],
    ['AES-256-GCM', 'none', 1, 'AES-256-GCM', 'none', 2, { fragmentBytes: 1000 }],
    ['none', 'none', undefined, 'AES-256-GCM', 'none', 2, {}],
    ['none', 'none', undefined, 'none', 'SHA512', 2, {}],
    ['AES-256-GCM', 'epoch', 1, 'AES-256-GCM', 'epoch', 2, {}],
    ['AES-256-GCM', 'epoch', 1, 'AES-256-GCM', 'none', 2, {}],
    ['AES-256-GCM', 'none', 1, 'AES-256-GCM', 'epoch', 2, {}],
    ['AES-256-GCM', 'epoch', undefined, 'AES-256-GCM', 'epoch', 2, {}],
    ['AES-256-GCM', 'epoch', 1, 'AES-256-GCM', 'epoch', 2, { compression: 'stub' }],
    ['AES-256-CBC', 'SHA512', 1, 'AES-256-GCM', 'epoch', 2, {}],
  ] as const)('stays as it is, whoever sends it on: %s %s (%s) to %s %s (%s) %o', (...shape) => {
    const [cipher, digest, peerId, toCipher, toDigest, toPeerId, change] = shape;
    const keyOf = (name: string, with_: string, id: number | undefined) =>
      new FarKey(
        with_ === 'epoch'
          ? { cipher: name, digest: 'none', format: with_, peerId: id }
          : { cipher: name, digest: with_, peerId: id },
      );
    const from = keyOf(cipher, digest, peerId);
    const to = keyOf(toCipher, toDigest, toPeerId);
    const ends = [
      [PEER, from, { address: HOME, prefixes: ['10.8.0.1/32'], sendPeerId: peerId, receivePeerId: peerId }],
      [
        PEER + 1,
        to,
        { address: at('192.0.2.2'), prefixes: ['10.8.0.2/32'], sendPeerId: 2, receivePeerId: 2, ...change },
      ],
    ] as const;
    for (const [slot, [peer, key, options]] of ends.entries()) {
      core.addPeer(peer, slot, peerOptions(options));
      core.addKey(peer, 10 * peer, key.keyOptions);
      core.useKey(peer, 10 * peer);
    }
    const { bytes } = plane;
    // One that another peer is to have, and one for the device.
    for (const destination of ['10.8.0.2', '10.8.0.9']) {
      const packet = from.seal(ipPacket({ source: '10.8.0.1', destination, payload: new Uint8Array(100).fill(7) }));
      bytes.fill(0xa5, INPUT - HEADROOM_BYTES, INPUT + packet.length + 200);
      plane.fromLink(packet);
      expect(bytes.subarray(INPUT - HEADROOM_BYTES, INPUT).every((byte) => byte === 0xa5)).toBe(true);
      expect(bytes.subarray(INPUT + packet.length, INPUT + packet.length + 200).every((byte) => byte === 0xa5)).toBe(
        true,
      );
    }
    expect(plane.sent.map((each) => each.to)).toEqual(['192.0.2.2:1194']);
    expect(to.open(plane.sent[0]!.bytes).payload.length).toBeGreaterThanOrEqual(120);
    expect(plane.written).toHaveLength(1);
  });

  it('gives a packet for the device ten free bytes before it, taken from what was opened or from a copy', () => {
    for (const [cipher, peerId] of [
      ['AES-256-GCM', 5],
      ['none', undefined],
    ] as const) {
      const other = build(createNodePacketCrypto(createArena(ARENA_BYTES)));
      const key = new FarKey({ cipher, digest: 'none', peerId });
      other.core.addDevice(DEVICE, { layer: 'tun', mtuBytes: 1500, blockIpv6: false });
      other.core.addLink(LINK, { framing: 'udp', remote: undefined });
      other.core.addPeer(PEER, 0, peerOptions({ receivePeerId: peerId, sendPeerId: peerId }));
      other.core.addKey(PEER, KEY, key.keyOptions);
      other.fromLink(key.seal(inward()));
      expect(other.written).toEqual([inward()]);
      const [place] = other.places;
      expect(place! >= INPUT + DEVICE_HEADER_BYTES || place! < INPUT - BUFFER_BYTES).toBe(true);
    }
  });
});
