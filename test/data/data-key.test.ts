import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createArena, HEADROOM_BYTES, TAILROOM_BYTES } from '../../src/data/arena.ts';
import { closeDataKey, createDataKey, payloadCapacity } from '../../src/data/data-key.ts';
import { openPacket } from '../../src/data/open.ts';
import { sealPacket } from '../../src/data/seal.ts';
import {
  EPOCH_NOTICE,
  FAILED_TAGS_MAX,
  FAILED_TAGS_NOTICE,
  PACKET_ID_MAX,
  PACKET_ID_NOTICE,
  UsageLimits,
} from '../../src/data/usage-limits.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';
import { FarKey } from '../conformance/far-peer.ts';

const TEXT = 1024;
const NONCE = 0;

const build = (cipher = 'AES-256-GCM', digest = 'none') => {
  const crypto = createNodePacketCrypto(createArena(8192));
  const far = new FarKey({ cipher, digest, peerId: 5 });
  const key = createDataKey(crypto, 1, far.keyOptions, 64, 15, NONCE);
  const say = (verdict: number) => (verdict === PASS ? 'pass' : dropCause(verdict));
  const seal = (payload: Uint8Array, peerId: number | undefined = 5) => {
    crypto.arena.bytes.set(payload, TEXT);
    const span = { offset: TEXT, length: payload.length };
    const verdict = say(sealPacket(crypto, key, peerId, span, NONCE));
    return { verdict, span, packet: crypto.arena.bytes.slice(span.offset, span.offset + span.length) };
  };
  const open = (packet: Uint8Array) => {
    crypto.arena.bytes.set(packet, TEXT);
    return say(openPacket(crypto, key, 4, { offset: TEXT, length: packet.length }, NONCE, 0));
  };
  return { crypto, key, far, seal, open };
};

describe('sealing', () => {
  it('ends with the last packet-id and never wraps', () => {
    const { key, far, seal } = build();
    key.sealedId = PACKET_ID_MAX - 1;
    expect(far.open(seal(Uint8Array.of(1)).packet).packetId).toBe(0xffffffff);
    expect(seal(Uint8Array.of(1)).verdict).toBe('packet-id-exhausted');
    expect(key.sealedId).toBe(PACKET_ID_MAX);
  });

  it.each([
    ['AES-256-GCM', 'none'],
    ['AES-256-CBC', 'SHA512'],
    ['AES-256-CFB', 'SHA512'],
    ['none', 'SHA512'],
  ])('stays inside the room around a packet: %s %s', (cipher, digest) => {
    const { crypto, seal } = build(cipher, digest);
    crypto.arena.bytes.fill(0xee);
    for (const length of [1, 11, 12, 13, 1000]) {
      const { span } = seal(new Uint8Array(length));
      expect(TEXT - span.offset).toBeLessThanOrEqual(HEADROOM_BYTES - 22 - 2 - 4 - 2);
      expect(span.offset + span.length).toBeLessThanOrEqual(TEXT + length + TAILROOM_BYTES - 1);
      expect(crypto.arena.bytes[span.offset - 1]).toBe(0xee);
    }
  });

  it.each([
    ['AES-256-GCM', 'none'],
    ['CHACHA20-POLY1305', 'none'],
    ['AES-256-CBC', 'SHA256'],
    ['AES-256-CBC', 'none'],
    ['AES-256-OFB', 'SHA256'],
    ['none', 'SHA1'],
  ])('takes as much as payloadCapacity says and no more: %s %s', (cipher, digest) => {
    const { key, seal } = build(cipher, digest);
    for (let limit = 200; limit < 240; limit++) {
      const capacity = payloadCapacity(key, 4, limit);
      expect(seal(new Uint8Array(capacity)).packet.length).toBeLessThanOrEqual(limit);
      expect(seal(new Uint8Array(capacity + 1)).packet.length).toBeGreaterThan(limit);
    }
  });

  it('with a closed key is misuse', () => {
    const { key, seal } = build();
    closeDataKey(key);
    expect(() => seal(Uint8Array.of(1))).toThrow();
  });
});

describe('opening', () => {
  it('checks the tag before the packet-id: a forged id does not move the window', () => {
    const { far, open } = build();
    const forged = far.seal(Uint8Array.of(1), 1_000_000);
    forged[forged.length - 1]! ^= 1;
    expect(open(forged)).toBe('bad-tag');
    expect(open(far.seal(Uint8Array.of(1), 1))).toBe('pass');
  });

  it('wants at least one byte of AEAD payload', () => {
    const { far, open } = build();
    expect(open(far.seal(new Uint8Array(0)))).toBe('short');
  });

  it('wants a packet-id under CBC', () => {
    const { far, open } = build('AES-256-CBC', 'none');
    const packet = far.seal(Uint8Array.of(1));
    expect(open(packet.slice(0, 4 + 16))).toBe('short');
    expect(open(packet.slice(0, 4 + 16 + 15))).toBe('bad-padding');
  });

  it('does not read a packet-id from a CBC text that is too short for one', () => {
    const { far, open } = build('AES-256-CBC', 'none');
    const iv = new Uint8Array(16);
    const sealing = createCipheriv('aes-256-cbc', far.material.open.cipher, iv);
    const text = Buffer.concat([sealing.update(Uint8Array.of(0, 0, 1)), sealing.final()]);
    expect(open(Uint8Array.of(9 << 3, 0, 0, 5, ...iv, ...text))).toBe('short');
  });

  it('wants a byte behind the IV under CFB, and the IV under its HMAC', () => {
    const { far, open } = build('AES-256-CFB', 'SHA256');
    expect(open(far.seal(new Uint8Array(0)))).toBe('short');
    const packet = far.seal(Uint8Array.of(1));
    packet[4 + 32 + 3]! ^= 1;
    expect(open(packet)).toBe('bad-mac');
  });

  it('takes packet-ids anew with a later time under CFB, and none of an earlier time', () => {
    const { far, open } = build('AES-256-CFB', 'SHA256');
    expect(open(far.seal(Uint8Array.of(1), 5))).toBe('pass');
    expect(open(far.seal(Uint8Array.of(1), 5))).toBe('replay');
    far.seconds++;
    expect(open(far.seal(Uint8Array.of(1), 5))).toBe('pass');
    expect(open(far.seal(Uint8Array.of(1), 5))).toBe('replay');
    far.seconds--;
    expect(open(far.seal(Uint8Array.of(1), 9))).toBe('replay');
    far.seconds++;
    expect(open(far.seal(Uint8Array.of(1), 6))).toBe('pass');
  });

  it('does not let a forged time begin the packet-ids anew', () => {
    const { far, open } = build('AES-256-CFB', 'SHA256');
    expect(open(far.seal(Uint8Array.of(1), 5))).toBe('pass');
    far.seconds += 60;
    const forged = far.seal(Uint8Array.of(1), 5);
    forged[4]! ^= 1;
    expect(open(forged)).toBe('bad-mac');
    far.seconds -= 60;
    expect(open(far.seal(Uint8Array.of(1), 6))).toBe('pass');
  });

  it('wants a whole packet-id without a cipher', () => {
    const { open } = build('none', 'none');
    expect(open(Uint8Array.of(9 << 3, 0, 0, 5, 0, 0, 1))).toBe('short');
    expect(open(Uint8Array.of(9 << 3, 0, 0, 5, 0, 0, 0, 1))).toBe('pass');
  });

  it('opens nothing more after too many failed tags', () => {
    const { key, far, open } = build();
    key.usage.failedTags = FAILED_TAGS_MAX - 1;
    const packet = far.seal(Uint8Array.of(1));
    expect(open(packet.with(10, packet[10]! ^ 1))).toBe('bad-tag');
    expect(open(packet)).toBe('bad-tag');
  });
});

describe('usage limits', () => {
  const limits = (change: Partial<ConstructorParameters<typeof UsageLimits>[0]> = {}) =>
    new UsageLimits({ cipher: 'AES-256-GCM', limitBytes: 0, limitPackets: 0, ...change });

  it('ask for a new key at packet-id 0xff000000, once', () => {
    const usage = limits();
    expect(usage.handleSealed(1, PACKET_ID_NOTICE - 1)).toBeUndefined();
    expect(usage.handleSealed(1, PACKET_ID_NOTICE)).toBe('packet-id');
    expect(usage.handleSealed(1, PACKET_ID_NOTICE + 1)).toBeUndefined();
  });

  it('count both directions', () => {
    const usage = limits({ limitBytes: 100, limitPackets: 4 });
    expect(usage.handleSealed(50, 1)).toBeUndefined();
    expect(usage.handleOpened(49, 1)).toBeUndefined();
    expect(usage.handleOpened(1, 2)).toBe('bytes');
    expect(usage.handleSealed(1, 2)).toBe('packets');
    expect(usage.handleSealed(1000, 3)).toBeUndefined();
  });

  it('are none when they are 0', () => {
    const usage = limits();
    for (let packet = 1; packet < 1000; packet++) expect(usage.handleSealed(1e6, packet)).toBeUndefined();
  });

  // What OpenVPN 2.7.8 names in its soft reset line.
  const AES_GCM_NOTICE = 60_129_542_137;

  it.each(['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM'])(
    'ask for a new key when blocks and packets of %s are past seven eighths of its bound, once for each key',
    (cipher) => {
      for (const way of ['handleSealed', 'handleOpened'] as const) {
        const usage = limits({ cipher });
        expect(usage[way]((AES_GCM_NOTICE - 3) * 16, 1)).toBeUndefined();
        expect(usage[way](1, 2)).toBeUndefined();
        expect(usage[way](0, 3)).toBe('cipher');
        expect(usage[way](16, 4)).toBeUndefined();
      }
    },
  );

  it('count the blocks of each direction by themselves: they have different keys', () => {
    const usage = limits();
    const half = Math.floor(AES_GCM_NOTICE / 2) * 16;
    expect(usage.handleSealed(half, 1)).toBeUndefined();
    expect(usage.handleOpened(half, 1)).toBeUndefined();
    expect(usage.handleOpened(half, 2)).toBe('cipher');
  });

  it('count a part of a block as a whole one', () => {
    const usage = limits({ limitBlocks: 8 });
    for (let packet = 1; packet < 4; packet++) expect(usage.handleSealed(1, packet)).toBeUndefined();
    expect(usage.handleSealed(17, 4)).toBe('cipher');
  });

  it('are lowered for tests and never raised', () => {
    expect(limits({ limitBlocks: 16 }).handleSealed(14 * 16, 1)).toBe('cipher');
    expect(limits({ limitBlocks: 2 ** 40 }).handleSealed(AES_GCM_NOTICE * 16, 1)).toBe('cipher');
  });

  it('have no bound of the cipher for ChaCha20 and CBC', () => {
    for (const cipher of ['CHACHA20-POLY1305', 'AES-256-CBC', 'none']) {
      expect(limits({ cipher, limitBlocks: 4 }).handleOpened(2 ** 41, 1)).toBeUndefined();
    }
  });

  it('ask for a new key after 2^35 wrong tags, once', () => {
    const usage = limits();
    usage.failedTags = FAILED_TAGS_NOTICE;
    expect(usage.handleOpened(1, 1)).toBeUndefined();
    usage.failedTags++;
    expect(usage.handleOpened(1, 2)).toBe('failed-tags');
    expect(usage.handleSealed(1, 1)).toBeUndefined();
  });

  it('tell of several reasons one after the other', () => {
    const usage = limits({ limitBytes: 1, limitPackets: 1, limitBlocks: 1 });
    const told = [1, 2, 3, 4].map((id) => usage.handleSealed(16, id));
    expect(told).toEqual(['bytes', 'packets', 'cipher', undefined]);
  });

  it('of the epoch format ask for a new key at epoch 0xf000, not for packet-ids and blocks', () => {
    const usage = limits({ format: 'epoch' });
    usage.sendingEpoch = EPOCH_NOTICE - 1;
    expect(usage.handleSealed(2 ** 41, 2 ** 48 - 1)).toBeUndefined();
    expect(usage.handleOpened(2 ** 41, 2 ** 48 - 1)).toBeUndefined();
    usage.sendingEpoch = EPOCH_NOTICE;
    expect(usage.handleOpened(1, 1)).toBe('epoch');
    expect(usage.handleSealed(1, 1)).toBeUndefined();
  });
});
