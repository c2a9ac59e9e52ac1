import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openWrappedKey, sealWrappedKey } from '../../src/crypto/wrapped-key.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { parseHex } from '../../src/wire/hex.ts';
import { MetadataType, parseTimestamp, timestampMetadata, type WrappedMetadata } from '../../src/wire/tls-crypt-v2.ts';
import { readCaptures } from '../lab/captures.ts';

const crypto = createNodeCrypto();
const serverKey = readCaptures().keys.get('v2-server') as Uint8Array;
const clientKey = new Uint8Array(256).map((_, index) => index);

const vectors = readFileSync(new URL('../vectors/tls-crypt-v2-keys.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' ') as [string, string, string, string]);

const ok = (wrapped: Uint8Array, key = serverKey) => {
  const opened = openWrappedKey(wrapped, key, crypto);
  if ('problem' in opened) throw new Error(opened.problem);
  return opened;
};

describe('a wrapped client key', () => {
  it.each(vectors)('made by OpenVPN %s with metadata %s opens, and is made again to the byte', (_, kind, told, key) => {
    const file = parseHex(key) as Uint8Array;
    const wrapped = file.slice(256);
    const opened = ok(wrapped);
    expect(opened.clientKey).toEqual(file.slice(0, 256));
    if (kind === 'timestamp') expect(parseTimestamp(opened.metadata)).toBe(Number(told));
    else expect(opened.metadata).toEqual({ type: MetadataType.user, bytes: parseHex(told === '-' ? '' : told) });
    expect(sealWrappedKey(opened.clientKey, opened.metadata, serverKey, crypto)).toEqual(wrapped);
  });

  it('may have no metadata at all', () => {
    const wrapped = sealWrappedKey(clientKey, undefined, serverKey, crypto);
    expect(wrapped.length).toBe(290);
    expect(ok(wrapped)).toEqual({ clientKey, metadata: undefined });
  });

  it('has room for 734 bytes of metadata, type counted, and no more', () => {
    const full: WrappedMetadata = { type: 0, bytes: new Uint8Array(733) };
    expect(ok(sealWrappedKey(clientKey, full, serverKey, crypto)).metadata).toEqual(full);
    const more = { type: 0, bytes: new Uint8Array(734) };
    expect(() => sealWrappedKey(clientKey, more, serverKey, crypto)).toThrow(RangeError);
  });

  it('is refused with any bit flipped, cut at any byte, and under another key', () => {
    const wrapped = sealWrappedKey(clientKey, timestampMetadata(1_800_000_000), serverKey, crypto);
    for (let bit = 0; bit < wrapped.length * 8; bit++) {
      const flipped = wrapped.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openWrappedKey(flipped, serverKey, crypto)).toHaveProperty('problem');
    }
    for (let length = 0; length < wrapped.length; length++) {
      expect(openWrappedKey(wrapped.subarray(0, length), serverKey, crypto)).toEqual({ problem: 'invalid length' });
    }
    const other = serverKey.map((byte) => byte ^ 1);
    expect(openWrappedKey(wrapped, other, crypto)).toEqual({ problem: 'client key authentication error' });
  });

  it('opens for no random bytes of the right length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 290, maxLength: 1024 }), (bytes) => {
        bytes[bytes.length - 2] = bytes.length >> 8;
        bytes[bytes.length - 1] = bytes.length;
        expect(openWrappedKey(bytes, serverKey, crypto)).toEqual({ problem: 'client key authentication error' });
      }),
    );
  });

  it('gives a copy: wiping it leaves the packet alone', () => {
    const wrapped = sealWrappedKey(clientKey, undefined, serverKey, crypto);
    const before = wrapped.slice();
    ok(wrapped).clientKey.fill(0);
    expect(wrapped).toEqual(before);
  });
});

describe('the time in a key', () => {
  it.each([
    ['0', 0],
    ['1970', 1],
    ['now', 1_795_900_784],
    ['past 2106', 2 ** 32 + 5],
  ])('survives: %s', (_, seconds) => {
    expect(parseTimestamp(timestampMetadata(seconds))).toBe(seconds);
  });

  it('is absent where the metadata is not one, or too short', () => {
    expect(parseTimestamp(undefined)).toBeUndefined();
    expect(parseTimestamp({ type: 0, bytes: new Uint8Array(8) })).toBeUndefined();
    expect(parseTimestamp({ type: 1, bytes: new Uint8Array(7) })).toBeUndefined();
  });
});
