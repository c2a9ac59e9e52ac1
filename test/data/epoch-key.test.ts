import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PacketCrypto } from '../../src/crypto/provider.ts';
import { createArena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/data/arena.ts';
import { closeDataKey, createDataKey, payloadCapacity } from '../../src/data/data-key.ts';
import type { EpochDataKey } from '../../src/data/epoch-key.ts';
import { EpochReceiving } from '../../src/data/epoch-receiving.ts';
import { EpochSecret } from '../../src/data/epoch-secret.ts';
import { EPOCH_COUNTER_MAX, EpochSending } from '../../src/data/epoch-sending.ts';
import { openPacket } from '../../src/data/open.ts';
import { sealPacket } from '../../src/data/seal.ts';
import { EPOCH_NOTICE, FAILED_TAGS_MAX, FAILED_TAGS_NOTICE, SHARED_USAGE_BYTES } from '../../src/data/usage-limits.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { parseHex } from '../../src/wire/hex.ts';
import { deriveEpoch, FarKey } from '../conformance/far-peer.ts';

const TEXT = 1024;
const NONCE = 0;
const PAYLOAD = Uint8Array.of(0x45, 1, 2, 3);

/** A library that writes down which keys were made and closed, with their bytes. */
function watch(inner: PacketCrypto) {
  const made: string[] = [];
  const live = new Set<string>();
  const crypto: PacketCrypto = {
    ...inner,
    arena: inner.arena,
    aeadKey(cipher, direction, key) {
      const name = `${direction} ${made.length}`;
      made.push(Buffer.from(key).toString('hex'));
      live.add(name);
      const created = inner.aeadKey(cipher, direction, key);
      return {
        seal: created.seal,
        open: created.open,
        close() {
          live.delete(name);
          created.close();
        },
      };
    },
  };
  return { crypto, made, live };
}

function build(limitBlocks?: number) {
  const watched = watch(createNodePacketCrypto(createArena(8192)));
  const { crypto } = watched;
  const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' });
  const key = createDataKey(crypto, 1, { ...far.keyOptions, limitBlocks }, 64, 15, NONCE) as EpochDataKey;
  const say = (verdict: number) => (verdict === PASS ? 'pass' : dropCause(verdict));
  const seal = (payload: Uint8Array = PAYLOAD) => {
    crypto.arena.bytes.set(payload, TEXT);
    const span = { offset: TEXT, length: payload.length };
    const verdict = say(sealPacket(crypto, key, 5, span, NONCE));
    return { verdict, span, packet: crypto.arena.bytes.slice(span.offset, span.offset + span.length) };
  };
  const open = (packet: Uint8Array, nowMs = 0) => {
    crypto.arena.bytes.set(packet, TEXT);
    return say(openPacket(crypto, key, 4, { offset: TEXT, length: packet.length }, NONCE, nowMs));
  };
  const from = (epoch: number, id: number) => {
    far.epoch = epoch;
    return open(far.seal(PAYLOAD, id));
  };
  const forged = (epoch: number) => {
    far.epoch = epoch;
    const packet = far.seal(PAYLOAD, 1);
    return open(packet.with(packet.length - 1, packet.at(-1)! ^ 1));
  };
  return { ...watched, far, key, seal, open, from, forged };
}

describe('the schedule of epoch keys', () => {
  const crypto = createNodePacketCrypto(createArena(256));
  const vectors = readFileSync(new URL('../vectors/epoch-keys.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('derived '))
    .map((line) => line.split(' ').slice(1) as [string, string, string, string, string]);

  it.each(vectors)('gives the key and mask of %s, epoch %s', (cipher, epoch, first, key, mask) => {
    const { crypto: watched, made } = watch(crypto);
    const secret = new EpochSecret(watched, parseHex(first)!, NONCE);
    const made1 = secret.keyOf(Number(epoch), cipher, 'open');
    expect(made).toEqual([key]);
    expect(Buffer.from(Int32Array.from(made1.mask).buffer).swap32().toString('hex')).toBe(mask);
    expect(deriveEpoch(cipher, parseHex(first)!, Number(epoch))).toMatchObject({
      key: Buffer.from(key, 'hex'),
      mask: Buffer.from(mask, 'hex'),
    });
  });

  it('is the same in steps, in one go and from ahead, and leaves nothing in the arena', () => {
    const { crypto: watched, made } = watch(crypto);
    const first = Uint8Array.from({ length: 32 }, (_, index) => index);
    const [steps, leap, ahead] = [1, 2, 3].map(() => new EpochSecret(watched, first, NONCE)) as [
      EpochSecret,
      EpochSecret,
      EpochSecret,
    ];
    for (let epoch = 2; epoch <= 9; epoch++) steps.moveTo(epoch);
    leap.moveTo(9);
    steps.keyOf(9, 'AES-128-GCM', 'seal');
    leap.keyOf(9, 'AES-128-GCM', 'seal');
    ahead.keyOf(9, 'AES-128-GCM', 'seal');
    expect(ahead.epoch).toBe(1);
    expect(new Set(made).size).toBe(1);
    expect(made).toHaveLength(3);
    expect(crypto.arena.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('takes a secret of 32 bytes', () => {
    expect(() => new EpochSecret(crypto, new Uint8Array(16), NONCE)).toThrow(RangeError);
  });
});

describe('packets of OpenVPN 2.7', () => {
  const lines = readFileSync(new URL('../vectors/epoch-keys.txt', import.meta.url), 'utf8').split('\n');
  const captures = lines.filter((line) => line.startsWith('capture ')).map((line) => line.split(' ').slice(1));

  it.each(captures)('open with the key that the session derived: %s', (_name, cipher, first, ...packets) => {
    const arena = createNodePacketCrypto(createArena(8192));
    const material = { cipher: parseHex(first!)!, hmac: new Uint8Array(0) };
    const options = {
      keyId: 0,
      cipher: cipher!,
      format: 'epoch',
      digest: 'none',
      limitBytes: 0,
      limitPackets: 0,
    } as const;
    const key = createDataKey(arena, 1, { ...options, material: { seal: material, open: material } }, 64, 15, NONCE);
    for (const packet of packets.map((hex) => parseHex(hex)!)) {
      arena.arena.bytes.set(packet, TEXT);
      const span = { offset: TEXT, length: packet.length };
      expect(openPacket(arena, key, 4, span, NONCE, 0)).toBe(PASS);
      expect(arena.arena.bytes[span.offset]).toBe(0x45);
    }
  });
});

describe('sealing in the epoch format', () => {
  let rig: ReturnType<typeof build>;
  beforeEach(() => {
    rig = build();
  });

  it('stays inside the room around a packet', () => {
    const { crypto, seal } = rig;
    crypto.arena.bytes.fill(0xee);
    for (const length of [1, 15, 16, 17, 1000]) {
      const { span } = seal(new Uint8Array(length));
      expect(TEXT - span.offset).toBeLessThanOrEqual(HEADROOM_BYTES - 22 - 2 - 4 - 2);
      expect(span.offset + span.length).toBeLessThanOrEqual(TEXT + length + TAILROOM_BYTES - 1);
      expect(crypto.arena.bytes[span.offset - 1]).toBe(0xee);
    }
  });

  it('takes as much as payloadCapacity says and no more', () => {
    const { key, seal } = rig;
    for (let limit = 200; limit < 240; limit++) {
      const capacity = payloadCapacity(key, 4, limit);
      expect(seal(new Uint8Array(capacity)).packet.length).toBe(limit);
    }
  });

  it('writes counters of 48 bits, and moves on after the last of an epoch', () => {
    const secret = new EpochSecret(rig.crypto, new Uint8Array(32), NONCE);
    const sending = new EpochSending(secret, 'CHACHA20-POLY1305', Number.POSITIVE_INFINITY);
    sending.counter = EPOCH_COUNTER_MAX - 1;
    expect([sending.take(1), sending.current.epoch]).toEqual([EPOCH_COUNTER_MAX, 1]);
    expect([sending.take(1), sending.current.epoch]).toEqual([1, 2]);
    rig.key.sending.counter = 2 ** 33 + 5;
    expect(rig.far.open(rig.seal().packet)).toMatchObject({ packetId: 2 ** 33 + 6, epoch: 1 });
  });

  it('asks for a new key once when the epochs come to their end, and ends with the last', () => {
    const { key, seal, far } = rig;
    const reasons = () => key.usage.handleSealed(1, key.sealedId);
    key.sending.moveTo(EPOCH_NOTICE - 1);
    expect(seal().verdict).toBe('pass');
    expect(reasons()).toBeUndefined();
    key.sending.moveTo(EPOCH_NOTICE);
    seal();
    expect(reasons()).toBe('epoch');
    expect(reasons()).toBeUndefined();
    key.sending.moveTo(0xffff);
    expect(far.open(seal().packet)).toMatchObject({ epoch: 0xffff, packetId: 1 });
    key.sending.counter = EPOCH_COUNTER_MAX;
    expect(seal().verdict).toBe('packet-id-exhausted');
    expect(key.sending.current.epoch).toBe(0xffff);
  });

  it('goes back to no epoch that it has left: its counters begin anew', () => {
    const { key, seal, far } = rig;
    key.sending.moveTo(5);
    seal();
    key.sending.moveTo(5);
    key.sending.moveTo(3);
    expect(far.open(seal().packet)).toMatchObject({ epoch: 5, packetId: 2 });
  });

  it('closes the key of an epoch that it leaves, and all with the data key', () => {
    const { key, live, from } = rig;
    expect(live.size).toBe(2);
    key.sending.moveTo(2);
    expect(live.size).toBe(2);
    from(7, 1);
    from(9, 1);
    expect(live.size).toBe(3);
    rig.forged(11);
    expect(live.size).toBe(4);
    closeDataKey(key);
    expect(live.size).toBe(0);
    expect(() => rig.seal()).toThrow();
  });

  it('wipes what later keys would come from when the key is closed', () => {
    const { key } = rig;
    closeDataKey(key);
    const { made } = rig;
    const before = made.length;
    key.sending.moveTo(2);
    const wiped = deriveEpoch('AES-256-GCM', expandZero(), 1).key.toString('hex');
    expect(made.slice(before)).toEqual([wiped]);
  });
});

describe('opening in the epoch format', () => {
  it('checks the tag before anything else: a forged epoch or counter moves nothing', () => {
    const { key, from, forged, far, open } = build();
    expect(from(1, 1)).toBe('pass');
    expect(forged(9)).toBe('bad-tag');
    far.epoch = 1;
    const packet = far.seal(PAYLOAD, 1_000_000);
    expect(open(packet.with(20, packet[20]! ^ 1))).toBe('bad-tag');
    expect([key.receiving.current.epoch, key.sending.current.epoch]).toEqual([1, 1]);
    expect(from(1, 2)).toBe('pass');
  });

  it('derives nothing for an epoch out of reach, and for one in reach only once', () => {
    const { made, forged } = build();
    const before = made.length;
    for (const epoch of [0, 18, 1000, 0xefff, 0xffff]) expect(forged(epoch)).toBe('unknown-epoch');
    expect(made).toHaveLength(before);
    for (let round = 0; round < 3; round++) {
      for (let epoch = 2; epoch <= 17; epoch++) expect(forged(epoch)).toBe('bad-tag');
    }
    expect(made).toHaveLength(before + 16);
  });

  it('keeps keys of epochs ahead that stay in reach, and closes those that fall behind', () => {
    const { made, live, forged, from, key } = build();
    for (let epoch = 2; epoch <= 17; epoch++) forged(epoch);
    expect(live.size).toBe(2 + 16);
    expect(from(10, 1)).toBe('pass');
    // Epoch 1 before, 10 now, 11 to 17 ahead, and what is sealed with.
    expect(live.size).toBe(2 + 7 + 1);
    const before = made.length;
    expect(from(17, 1)).toBe('pass');
    expect(made.length).toBe(before + 1);
    expect(live.size).toBe(3);
    expect(key.receiving.current.epoch).toBe(17);
    expect(from(33, 1)).toBe('pass');
    expect(from(17, 2)).toBe('pass');
    expect(from(10, 2)).toBe('unknown-epoch');
  });

  it('has no epochs ahead so near the last that their followers would have no number', () => {
    const secret = new EpochSecret(build().crypto, new Uint8Array(32), NONCE, 0xffff - 20);
    const receiving = new EpochReceiving(secret, 'AES-256-GCM', 64, 15);
    const reach = Array.from({ length: 21 }, (_, index) => 0xffff - 20 + index);
    expect(reach.filter((epoch) => receiving.find(epoch) !== undefined)).toEqual(reach.slice(0, 4));
    receiving.moveTo(receiving.find(0xffff - 17)!);
    expect(reach.filter((epoch) => receiving.find(epoch) !== undefined)).toEqual([reach[0], reach[3]]);
  });

  it('has a replay window for each epoch', () => {
    const { from } = build();
    expect([from(1, 100), from(2, 1), from(1, 99), from(1, 99), from(2, 1), from(1, 36), from(2, 2)]).toEqual([
      'pass',
      'pass',
      'pass',
      'replay',
      'replay',
      'too-old',
      'pass',
    ]);
  });

  it('wants at least one byte of payload', () => {
    const { far, open } = build();
    expect(open(far.seal(new Uint8Array(0)))).toBe('short');
    expect(open(far.seal(PAYLOAD).subarray(0, 27))).toBe('short');
  });

  it('opens nothing more of an epoch after too many wrong tags, and the next one still', () => {
    const { key, from, forged } = build();
    key.receiving.current.failedTags = FAILED_TAGS_MAX - 1;
    expect(forged(1)).toBe('bad-tag');
    expect(from(1, 1)).toBe('bad-tag');
    expect(key.receiving.current.failedTags).toBe(FAILED_TAGS_MAX);
    expect(from(2, 1)).toBe('pass');
  });

  it('shows the peer the next epoch when half as many tags were wrong', () => {
    const { key, from, seal, far } = build();
    key.receiving.current.failedTags = FAILED_TAGS_NOTICE;
    from(1, 1);
    expect(far.open(seal().packet).epoch).toBe(1);
    key.receiving.current.failedTags++;
    from(1, 2);
    expect(far.open(seal().packet).epoch).toBe(2);
    from(1, 3);
    expect(far.open(seal().packet).epoch).toBe(2);
  });

  it('does not go two epochs ahead of a peer that does not follow', () => {
    const { from, seal, far } = build(9);
    for (let id = 1; id < 100; id++) expect(from(1, id)).toBe('pass');
    expect(far.open(seal().packet).epoch).toBe(2);
  });
});

/** E(2) of a schedule whose secret is all zeros. */
function expandZero(): Uint8Array {
  return deriveEpoch('AES-256-GCM', new Uint8Array(32), 2).secret;
}

describe('an epoch key whose directions two threads have', () => {
  it('seals with the epoch that the thread which opens has met', () => {
    const counts = new Float64Array(SHARED_USAGE_BYTES / 8);
    const crypto = createNodePacketCrypto(createArena(8192));
    const far = new FarKey({ cipher: 'AES-256-GCM', digest: 'none', peerId: 5, format: 'epoch' });
    const [opens, seals] = ([0, 1] as const).map((place) =>
      createDataKey(crypto, 1, far.keyOptions, 64, 15, NONCE, { counts, place }),
    ) as [EpochDataKey, EpochDataKey];
    const sealedEpoch = () => {
      crypto.arena.bytes.set(PAYLOAD, TEXT);
      const span = { offset: TEXT, length: PAYLOAD.length };
      expect(sealPacket(crypto, seals, 5, span, NONCE)).toBe(PASS);
      return crypto.arena.view.getUint16(span.offset + 4);
    };
    expect(sealedEpoch()).toBe(1);
    far.epoch = 4;
    const packet = far.seal(PAYLOAD, 1);
    crypto.arena.bytes.set(packet, TEXT);
    expect(openPacket(crypto, opens, 4, { offset: TEXT, length: packet.length }, NONCE, 0)).toBe(PASS);
    expect(sealedEpoch()).toBe(4);
  });
});
