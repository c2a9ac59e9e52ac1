import { beforeEach, describe, expect, it } from 'vitest';
import { createArena } from '../../src/data/arena.ts';
import { readPeerStatistics } from '../../src/data/counters.ts';
import { Handover, type PeerOwners } from '../../src/data/handover.ts';
import type { PeerOptions } from '../../src/data/plane.ts';
import { UsageLimits } from '../../src/data/usage-limits.ts';
import { dropCode } from '../../src/data/verdict.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { FarKey } from '../conformance/far-peer.ts';
import { FAR, inward, NEAR, outward } from '../conformance/plane-packets.ts';
import { ipPacket } from '../ip/packets.ts';
import { ARENA_BYTES, at, build, DEVICE, HOME, LINK, peerOptions } from './engine-rig.ts';

const [ONE, OTHER] = [11, 12];
const OTHER_HOME = at('192.0.2.7');
const OTHER_INNER = '10.8.0.9';
const GROUP = '224.0.0.251';

describe('two engines of one plane', () => {
  let engines: ReturnType<typeof build>[];
  let one: FarKey;
  let other: FarKey;

  /** As a plane tells all engines of a peer, and of its keys the owners alone. */
  const connect = (id: number, slot: number, far: FarKey, owners: PeerOwners, change: Partial<PeerOptions>) => {
    for (const { core } of engines) core.addPeer(id, slot, peerOptions(change), owners);
    for (const owner of new Set([owners.opens, owners.seals])) {
      engines[owner]!.core.addKey(id, id + 100, { ...far.keyOptions });
    }
    engines[owners.seals]!.core.useKey(id, id + 100);
  };

  beforeEach(() => {
    engines = [0, 1].map((engine) => build(createNodePacketCrypto(createArena(ARENA_BYTES)), undefined, engine));
    for (const { core } of engines) {
      core.addDevice(DEVICE, { layer: 'tun', mtuBytes: 1500, blockIpv6: false, clientToClient: true });
      core.addLink(LINK, { framing: 'udp', remote: undefined });
    }
    one = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    other = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 6 });
    connect(ONE, 0, one, { opens: 0, seals: 0 }, { prefixes: [`${FAR}/32`] });
    const more = { receivePeerId: 6, sendPeerId: 6, address: OTHER_HOME, prefixes: [`${OTHER_INNER}/32`] };
    connect(OTHER, 1, other, { opens: 1, seals: 1 }, more);
  });

  it('seal where the peer is sealed for, and nowhere else', () => {
    const packet = outward();
    engines[0]!.fromDevice(packet);
    engines[1]!.fromDevice(packet);
    expect(engines[1]!.sent).toEqual([]);
    expect(engines[1]!.handed).toMatchObject([{ to: 0, what: Handover.deviceToPeer, id: ONE, bytes: packet }]);
    engines[0]!.fromEngine(engines[1]!.handed[0]!);
    expect(engines[0]!.sent.map(({ bytes }) => one.open(bytes).packetId)).toEqual([1, 2]);
    expect(readPeerStatistics(engines[0]!.counters, 0)).toMatchObject({ deviceReadPackets: 2, linkWritePackets: 2 });
    expect(readPeerStatistics(engines[1]!.counters, 0)).toMatchObject({ deviceReadPackets: 0, linkWritePackets: 0 });
  });

  it('open where the peer is opened, whichever a packet came to, and once', () => {
    const sealed = one.seal(inward());
    engines[1]!.fromLink(sealed);
    expect(engines[1]!.written).toEqual([]);
    expect(engines[1]!.handed).toMatchObject([{ to: 0, what: Handover.linkPacket, id: LINK, from: HOME }]);
    engines[0]!.fromEngine(engines[1]!.handed[0]!);
    engines[0]!.fromLink(sealed);
    expect(engines[0]!.written).toEqual([inward()]);
    expect(engines[0]!.drops('replay')).toBe(1);
  });

  it('take a peer to the engine that opens for it, and answers to the one that seals', () => {
    for (const { core } of engines) core.removePeer(OTHER);
    connect(
      OTHER,
      1,
      other,
      { opens: 1, seals: 0 },
      { receivePeerId: 6, address: OTHER_HOME, prefixes: [`${OTHER_INNER}/32`] },
    );
    engines[1]!.fromLink(other.seal(ipPacket({ source: OTHER_INNER, destination: NEAR })), OTHER_HOME);
    expect(engines[1]!.written).toHaveLength(1);
    engines[0]!.fromDevice(ipPacket({ source: NEAR, destination: OTHER_INNER }));
    expect(engines[0]!.sent).toHaveLength(1);
    for (const { handed } of engines) expect(handed).toEqual([]);
  });

  it('pass a packet from peer to peer through the engine of each', () => {
    const packet = ipPacket({ source: FAR, destination: OTHER_INNER });
    engines[0]!.fromLink(one.seal(packet));
    expect(engines[0]!.handed).toMatchObject([{ to: 1, what: Handover.peerToPeer, id: OTHER, bytes: packet }]);
    engines[1]!.fromEngine(engines[0]!.handed[0]!);
    expect(other.open(engines[1]!.sent[0]!.bytes).payload).toEqual(packet);
    expect(engines.flatMap(({ written }) => written)).toEqual([]);
  });

  it('send what is for all to the peers of each, once, and not back to its sender', () => {
    const fromHost = ipPacket({ source: NEAR, destination: GROUP });
    engines[0]!.fromDevice(fromHost);
    expect(engines[0]!.handed).toMatchObject([{ to: 1, what: Handover.deviceToAll, id: DEVICE }]);
    engines[1]!.fromEngine(engines[0]!.handed[0]!);
    const fromPeer = ipPacket({ source: OTHER_INNER, destination: GROUP });
    engines[1]!.fromLink(other.seal(fromPeer), OTHER_HOME);
    expect(engines[1]!.handed).toMatchObject([{ to: 0, what: Handover.peerToAll, id: DEVICE, about: OTHER }]);
    engines[0]!.fromEngine(engines[1]!.handed[0]!);
    expect(engines[0]!.sent.map(({ bytes }) => one.open(bytes).payload)).toEqual([fromHost, fromPeer]);
    expect(engines[1]!.sent.map(({ bytes }) => other.open(bytes).payload)).toEqual([fromHost]);
    expect(engines[1]!.written).toEqual([fromPeer]);
  });

  it('drop and count what the other has no room for, and what is for a peer that is gone', () => {
    engines[1]!.verdicts.handOver = dropCode('worker-full');
    engines[1]!.fromDevice(outward());
    expect(engines[1]!.drops('worker-full')).toBe(1);
    engines[1]!.verdicts.handOver = 0;
    engines[1]!.fromDevice(outward());
    engines[0]!.core.removePeer(ONE);
    engines[0]!.fromEngine(engines[1]!.handed[0]!);
    expect(engines[0]!.drops('no-peer')).toBe(1);
    expect(engines[0]!.sent).toEqual([]);
  });

  it('follow a peer to its new address at both', () => {
    for (const { core } of engines) core.answerFloat(ONE, at('192.0.2.99'), true);
    engines[0]!.fromDevice(outward());
    expect(engines[0]!.sent).toMatchObject([{ to: '192.0.2.99:1194' }]);
  });
});

it('a key whose directions two threads have is used up by what both have done', () => {
  const counts = new Float64Array(4);
  const options = { cipher: 'AES-256-GCM', limitBytes: 1000, limitPackets: 5 };
  const [sealed, opened] = ([0, 1] as const).map((place) => new UsageLimits(options, { counts, place })) as [
    UsageLimits,
    UsageLimits,
  ];
  expect(sealed.handleSealed(400, 1)).toBeUndefined();
  expect(opened.handleOpened(500, 1)).toBeUndefined();
  expect(opened.handleOpened(100, 2)).toBe('bytes');
  expect(opened.handleOpened(1, 3)).toBeUndefined();
  expect(sealed.handleSealed(1, 2)).toBe('bytes');
  expect(sealed.handleSealed(1, 3)).toBe('packets');
});
