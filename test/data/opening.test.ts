import { beforeEach, describe, expect, it } from 'vitest';
import { createArena } from '../../src/data/arena.ts';
import { closeDataKey, createDataKey } from '../../src/data/data-key.ts';
import type { EpochDataKey } from '../../src/data/epoch-key.ts';
import { writePartHeader } from '../../src/data/fragment.ts';
import { openPacket } from '../../src/data/open.ts';
import { openingOf, resumeOpening } from '../../src/data/opening.ts';
import type { PeerOptions } from '../../src/data/plane.ts';
import { FAILED_TAGS_MAX, SHARED_USAGE_BYTES } from '../../src/data/usage-limits.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { FarKey, type FarKeyOptions } from '../conformance/far-peer.ts';
import { inward, outward } from '../conformance/plane-packets.ts';
import { ARENA_BYTES, at, build, DEVICE, INPUT, LINK, PEER, peerOptions } from './engine-rig.ts';

const PART_HEADER_BYTES = 4;

const KEYS: readonly (readonly [string, Omit<FarKeyOptions, 'peerId'>])[] = [
  ['AES-256-GCM', { cipher: 'AES-256-GCM', digest: 'none' }],
  ['AES-256-GCM in epochs', { cipher: 'AES-256-GCM', digest: 'none', format: 'epoch' }],
  ['AES-256-CBC', { cipher: 'AES-256-CBC', digest: 'SHA256' }],
  ['AES-256-CFB', { cipher: 'AES-256-CFB', digest: 'SHA256' }],
  ['no cipher', { cipher: 'none', digest: 'SHA256' }],
];

describe('the opening of a link, given by one engine to another', () => {
  const [OLD, NEW] = [21, 22];
  let engines: ReturnType<typeof build>[];

  /** As a plane tells of a client's peer: both have its keys, the first one seals. */
  const connect = (far: FarKey, change: Partial<PeerOptions> = {}) => {
    for (const { core } of engines) core.addPeer(PEER, 0, peerOptions(change), { opens: 0, seals: 0 });
    addKey(OLD, far);
    engines[0]!.core.useKey(PEER, OLD);
  };
  const addKey = (id: number, far: FarKey) => {
    const counts = new Float64Array(SHARED_USAGE_BYTES / 8);
    for (const place of [0, 1] as const) {
      engines[place]!.core.addKey(PEER, id, { ...far.keyOptions, material: copyOf(far) }, { counts, place });
    }
  };
  const copyOf = ({ material: { seal, open } }: FarKey) => structuredClone({ seal, open });
  /** As the threads' messages carry it. */
  const move = () => engines[1]!.core.takeOpening(LINK, structuredClone(engines[0]!.core.giveOpening(LINK, 1)));

  beforeEach(() => {
    engines = [0, 1].map((engine) => build(createNodePacketCrypto(createArena(ARENA_BYTES)), undefined, engine));
    for (const { core } of engines) {
      core.addDevice(DEVICE, { layer: 'tun', mtuBytes: 1500, blockIpv6: false });
      core.addLink(LINK, { framing: 'udp', remote: at('192.0.2.1') });
    }
  });

  it.each(KEYS)('opens nothing twice, and what is late still: %s', (_, options) => {
    const far = new FarKey({ ...options, peerId: 5 });
    connect(far);
    const packets = new Map([1, 2, 3, 4, 5].map((id) => [id, far.seal(inward(), id)]));
    for (const id of [1, 2, 4]) engines[0]!.fromLink(packets.get(id)!);
    expect(engines[0]!.written).toHaveLength(3);
    move();
    for (const id of [4, 2, 1]) engines[1]!.fromLink(packets.get(id)!);
    expect(engines[1]!.drops('replay')).toBe(3);
    expect(engines[1]!.written).toEqual([]);
    for (const id of [3, 5]) engines[1]!.fromLink(packets.get(id)!);
    expect(engines[1]!.written).toEqual([inward(), inward()]);
    // Sealing stays where it is, and goes on.
    engines[0]!.fromDevice(outward());
    expect(far.open(engines[0]!.sent[0]!.bytes)).toMatchObject({ packetId: 1, payload: outward() });
    engines[1]!.fromDevice(outward());
    expect(engines[1]!.handed).toMatchObject([{ to: 0 }]);
  });

  it('is given with each key of the peer, by its own state', () => {
    const [old, newer] = [0, 1].map((keyId) => new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, keyId }));
    connect(old!);
    addKey(NEW, newer!);
    const packets = [old!.seal(inward(), 9), newer!.seal(inward(), 3)];
    for (const packet of packets) engines[0]!.fromLink(packet);
    move();
    for (const packet of packets) engines[1]!.fromLink(packet);
    expect(engines[1]!.drops('replay')).toBe(2);
    for (const packet of [old!.seal(inward(), 3), newer!.seal(inward(), 9)]) engines[1]!.fromLink(packet);
    expect(engines[1]!.written).toHaveLength(2);
  });

  it('is given by the link: packets that the giver has in hand go to the taker, who hands nothing back', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    connect(far);
    const openings = engines[0]!.core.giveOpening(LINK, 1);
    engines[0]!.fromLink(far.seal(inward()));
    expect(engines[0]!.handed).toMatchObject([{ to: 1, id: LINK }]);
    engines[1]!.core.takeOpening(LINK, openings);
    engines[1]!.fromEngine(engines[0]!.handed[0]!);
    expect(engines[1]!.written).toEqual([inward()]);
    expect(engines[1]!.handed).toEqual([]);
    expect(engines[0]!.core.giveOpening(LINK, 1)).toEqual([]);
  });

  it('leaves a key alone that came, or went, meanwhile', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    connect(far);
    engines[0]!.fromLink(far.seal(inward(), 7));
    const openings = engines[0]!.core.giveOpening(LINK, 1);
    for (const { core } of engines) core.removeKey(PEER, OLD);
    const newer = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, keyId: 1 });
    addKey(NEW, newer);
    engines[1]!.core.takeOpening(LINK, openings);
    engines[1]!.fromLink(newer.seal(inward(), 1));
    expect(engines[1]!.written).toEqual([inward()]);
  });

  it('is given by the link: a peer of another one stays where it is, as where a client connects anew', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    connect(far);
    const [otherLink, otherPeer, otherKey] = [LINK + 20, PEER + 20, NEW];
    const other = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 6 });
    const options = { link: otherLink, receivePeerId: 6, sendPeerId: 6, address: at('192.0.2.9') };
    for (const { core } of engines) {
      core.addLink(otherLink, { framing: 'udp', remote: at('192.0.2.9') });
      core.addPeer(otherPeer, 1, peerOptions(options), { opens: 0, seals: 0 });
      core.addKey(otherPeer, otherKey, { ...other.keyOptions, material: copyOf(other) });
    }
    const openings = engines[0]!.core.giveOpening(LINK, 1);
    expect(openings.map(({ key }) => key)).toEqual([OLD]);
    engines[1]!.core.takeOpening(LINK, openings);
    const ofOther = other.seal(inward());
    const from = (engine: number) => {
      const { bytes, core, written, handed } = engines[engine]!;
      bytes.set(ofOther, INPUT);
      core.handleLinkPacket(otherLink, 0, INPUT, ofOther.length);
      return { opened: written.length + engines[0]!.drops('bad-source'), handed: handed.map(({ to }) => to) };
    };
    expect(from(1)).toEqual({ opened: 0, handed: [0] });
    expect(from(0)).toEqual({ opened: 1, handed: [] });
  });

  it('forgets what had come of a packet in parts', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    connect(far, { fragmentBytes: 600 });
    const packet = inward(new Uint8Array(600));
    const size = 400;
    const parts = [0, 1].map((index) => {
      const body = packet.subarray(index * size, (index + 1) * size);
      const part = new Uint8Array(PART_HEADER_BYTES + body.length);
      writePartHeader(new DataView(part.buffer), 0, 9, index, size, index === 1);
      part.set(body, PART_HEADER_BYTES);
      return part;
    });
    for (const part of parts) engines[0]!.fromLink(far.seal(part));
    expect(engines[0]!.written).toEqual([packet]);
    engines[0]!.fromLink(far.seal(parts[0]!));
    move();
    engines[0]!.core.takeOpening(LINK, engines[1]!.core.giveOpening(LINK, 0)); // and back
    engines[0]!.fromLink(far.seal(parts[1]!));
    expect(engines[0]!.written).toHaveLength(1);
  });

  it('counts what had waited for a key as lost', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5 });
    connect(far);
    const newer = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, keyId: 1 });
    engines[0]!.fromLink(newer.seal(inward()));
    expect(engines[0]!.drops('unknown-key')).toBe(0);
    move();
    expect(engines[0]!.drops('unknown-key')).toBe(1);
    addKey(NEW, newer);
    expect(engines.flatMap(({ written }) => written)).toEqual([]);
  });

  it('takes an epoch to the thread that seals, from the thread that opens by then', () => {
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' });
    connect(far);
    far.epoch = 2;
    const ofSecond = far.seal(inward(), 1);
    engines[0]!.fromLink(ofSecond);
    move();
    far.epoch = 1;
    const ofFirst = far.seal(inward(), 6);
    for (const packet of [ofSecond, ofFirst, ofFirst]) engines[1]!.fromLink(packet);
    expect(engines[1]!.drops('replay')).toBe(2);
    far.epoch = 4;
    engines[1]!.fromLink(far.seal(inward(), 1));
    expect(engines[1]!.written).toHaveLength(2);
    engines[0]!.fromDevice(outward());
    expect(far.open(engines[0]!.sent.at(-1)!.bytes)).toMatchObject({ epoch: 4 });
  });
});

describe('what a key goes on with in another engine', () => {
  const [TEXT, NONCE] = [1024, 0];
  const crypto = createNodePacketCrypto(createArena(8192));
  const pair = (options: Omit<FarKeyOptions, 'peerId'>, more: { limitBlocks?: number } = {}) => {
    const far = new FarKey({ ...options, peerId: 5 });
    const counts = new Float64Array(SHARED_USAGE_BYTES / 8);
    const [first, second] = ([0, 1] as const).map((place) =>
      createDataKey(crypto, 1, { ...far.keyOptions, ...more }, 64, 15, NONCE, { counts, place }),
    );
    return { far, first: first!, second: second! };
  };
  const open = (key: ReturnType<typeof createDataKey>, packet: Uint8Array) => {
    crypto.arena.bytes.set(packet, TEXT);
    const verdict = openPacket(crypto, key, 4, { offset: TEXT, length: packet.length }, NONCE, 0);
    return verdict === PASS ? 'pass' : dropCause(verdict);
  };

  it('is the count of blocks, which asks for a new key in time', () => {
    const { first, second } = pair({ cipher: 'AES-256-GCM', digest: 'none' }, { limitBlocks: 80 });
    expect(first.usage.handleOpened(16 * 60, 1)).toBeUndefined();
    resumeOpening(second, openingOf(first));
    expect(second.usage.handleOpened(16 * 10, 2)).toBe('cipher');
    expect(first.usage.handleSealed(16, 1)).toBeUndefined();
  });

  it('is the count of blocks of an epoch, after which the peer is asked to leave it', () => {
    const { far, first, second } = pair(
      { cipher: 'AES-256-GCM', digest: 'none', format: 'epoch' },
      { limitBlocks: 12 },
    );
    for (const id of [1, 2]) expect(open(first, far.seal(inward().subarray(0, 64), id))).toBe('pass');
    resumeOpening(second, openingOf(first));
    expect(second.usage.askedEpoch).toBe(0);
    expect(open(second, far.seal(inward().subarray(0, 64), 3))).toBe('pass');
    expect(second.usage.askedEpoch).toBe(2);
  });

  it.each([
    ['AES-256-GCM', { cipher: 'AES-256-GCM', digest: 'none' }],
    ['an epoch', { cipher: 'AES-256-GCM', digest: 'none', format: 'epoch' }],
  ] as const)('is the count of wrong tags, which ends a key: %s', (_, options) => {
    const { far, first, second } = pair(options);
    if (first.kind === 'epoch') first.receiving.current.failedTags = FAILED_TAGS_MAX;
    else first.usage.failedTags = FAILED_TAGS_MAX;
    resumeOpening(second, openingOf(first));
    expect(open(second, far.seal(inward()))).toBe('bad-tag');
  });

  it('is the time that packet-ids belong to: those of an earlier one are over', () => {
    const { far, first, second } = pair({ cipher: 'AES-256-CFB', digest: 'SHA256' });
    far.seconds += 10;
    expect(open(first, far.seal(inward(), 1))).toBe('pass');
    resumeOpening(second, openingOf(first));
    far.seconds -= 10;
    expect(open(second, far.seal(inward(), 2))).toBe('replay');
  });

  it('is the schedule of epochs, without the keys of those that are over', () => {
    const { far, first, second } = pair({ cipher: 'AES-256-GCM', digest: 'none', format: 'epoch' });
    for (const epoch of [14, 30]) {
      far.epoch = epoch;
      expect(open(first, far.seal(inward(), 3))).toBe('pass');
    }
    const stale = openingOf(first);
    expect(stale).toMatchObject({ openedId: 3, received: { sendingEpoch: 30 } });
    expect(open(first, far.seal(inward(), 2))).toBe('pass');
    resumeOpening(second, stale); // a copy: what the first one opens afterwards is not in it
    expect(second).toMatchObject({ openedId: 3, usage: { sendingEpoch: 30 }, opened: { epoch: 30 } });
    expect(open(second, far.seal(inward(), 2))).toBe('pass');
    expect(open(second, far.seal(inward(), 3))).toBe('replay');
    far.epoch = 14;
    expect(open(second, far.seal(inward(), 3))).toBe('replay');
    expect(open(second, far.seal(inward(), 4))).toBe('pass');
    far.epoch = 13;
    expect(open(second, far.seal(inward(), 9))).toBe('unknown-epoch');
    expect((second as EpochDataKey).sending.current.epoch).toBe(30);
    closeDataKey(first);
    closeDataKey(second);
  });
});
