import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Arena } from '../../src/crypto/provider.ts';
import { createNodePacketCrypto } from '../../src/node/packet-crypto.ts';

function makeArena(length = 4096): Arena {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}
const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

describe('packet cryptography by node:crypto', () => {
  it.each([
    ['AES-128-GCM', 16],
    ['AES-192-GCM', 24],
    ['AES-256-GCM', 32],
    ['CHACHA20-POLY1305', 32],
  ])('opens with %s what it sealed, and nothing that was changed', (cipher, keyBytes) => {
    const arena = makeArena();
    const crypto = createNodePacketCrypto(arena);
    const seal = crypto.aeadKey(cipher, 'seal', filled(keyBytes, 7));
    const open = crypto.aeadKey(cipher, 'open', filled(keyBytes, 7));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), fc.nat(4095), fc.integer({ min: 0, max: 7 }), (text, at, bit) => {
        arena.bytes.fill(1, 0, 64);
        arena.bytes.set(text, 100);
        const tag = 2000;
        seal.seal(0, 12, 8, 100, text.length, tag);
        const positions = [
          at % 12,
          12 + (at % 8),
          2000 + (at % 16),
          ...(text.length ? [100 + (at % text.length)] : []),
        ];
        const sealed = arena.bytes.slice();
        for (const position of positions) {
          arena.bytes[position]! ^= 1 << bit;
          expect(open.open(0, 12, 8, 100, text.length, tag)).toBe(false);
          arena.bytes.set(sealed);
        }
        expect(open.open(0, 12, 8, 100, text.length, tag)).toBe(true);
        expect(arena.bytes.slice(100, 100 + text.length)).toEqual(text);
      }),
      { numRuns: 40 },
    );
  });

  it('seals as the library does in one piece', () => {
    const arena = makeArena();
    const key = filled(32, 3);
    arena.bytes.set(filled(50, 9), 100);
    createNodePacketCrypto(arena).aeadKey('AES-256-GCM', 'seal', key).seal(0, 20, 4, 100, 50, 200);
    const cipher = createCipheriv('aes-256-gcm', key, filled(12, 0));
    cipher.setAAD(filled(4, 0));
    expect(arena.bytes.slice(100, 150)).toEqual(
      new Uint8Array(Buffer.concat([cipher.update(filled(50, 9)), cipher.final()])),
    );
    expect(arena.bytes.slice(200, 216)).toEqual(new Uint8Array(cipher.getAuthTag()));
  });

  it('pads CBC to whole blocks and takes the padding away', () => {
    const arena = makeArena();
    const crypto = createNodePacketCrypto(arena);
    const seal = crypto.cbcKey('AES-256-CBC', 'seal', filled(32, 5));
    const open = crypto.cbcKey('AES-256-CBC', 'open', filled(32, 5));
    expect(seal.blockBytes).toBe(16);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (text) => {
        arena.bytes.set(text, 64);
        const padded = seal.encrypt(0, 64, text.length);
        expect(padded).toBe((Math.floor(text.length / 16) + 1) * 16);
        expect(open.decrypt(0, 64, padded)).toBe(text.length);
        expect(arena.bytes.slice(64, 64 + text.length)).toEqual(text);
      }),
      { numRuns: 50 },
    );
  });

  it('answers -1 to a CBC length that is not whole blocks, and to wrong padding', () => {
    const arena = makeArena();
    const crypto = createNodePacketCrypto(arena);
    const open = crypto.cbcKey('AES-128-CBC', 'open', filled(16, 5));
    expect(open.decrypt(0, 64, 0)).toBe(-1);
    expect(open.decrypt(0, 64, 17)).toBe(-1);
    const raw = createCipheriv('aes-128-cbc', filled(16, 5), filled(16, 0)).setAutoPadding(false);
    arena.bytes.set(raw.update(filled(16, 0)), 64);
    expect(open.decrypt(0, 64, 16)).toBe(-1);
  });

  it.each(['AES-256-CFB', 'CAMELLIA-256-OFB', 'ARIA-256-CFB8'])('gives the text back with %s', (cipher) => {
    const arena = makeArena();
    const crypto = createNodePacketCrypto(arena);
    const seal = crypto.feedbackKey(cipher, 'seal', filled(32, 5));
    const open = crypto.feedbackKey(cipher, 'open', filled(32, 5));
    arena.bytes.set(filled(100, 9), 64);
    seal.apply(0, 64, 100);
    expect(arena.bytes.slice(64, 164)).not.toEqual(filled(100, 9));
    open.apply(0, 64, 100);
    expect(arena.bytes.slice(64, 164)).toEqual(filled(100, 9));
    expect(() => crypto.feedbackKey('AES-256-CBC', 'seal', filled(32, 0))).toThrow(/not supported/);
  });

  it('verifies a digest that it signed and refuses a changed one', () => {
    const arena = makeArena();
    const mac = createNodePacketCrypto(arena).macKey('SHA256', filled(32, 1));
    expect(mac.lengthBytes).toBe(32);
    mac.sign(0, 100, 200);
    expect(mac.verify(0, 100, 200)).toBe(true);
    arena.bytes[231]! ^= 1;
    expect(mac.verify(0, 100, 200)).toBe(false);
  });

  it('fills exactly the asked range with random bytes', () => {
    const arena = makeArena();
    createNodePacketCrypto(arena).random(100, 32);
    expect(arena.bytes.subarray(0, 100).every((byte) => byte === 0)).toBe(true);
    expect(arena.bytes.subarray(132).every((byte) => byte === 0)).toBe(true);
    expect(arena.bytes.subarray(100, 132).some((byte) => byte !== 0)).toBe(true);
  });

  it('refuses unknown names, wrong key lengths, wrong directions and closed keys', () => {
    const crypto = createNodePacketCrypto(makeArena());
    expect(() => crypto.aeadKey('AES-256-CBC', 'seal', filled(32, 0))).toThrow(/not supported/);
    expect(() => crypto.cbcKey('AES-256-GCM', 'seal', filled(32, 0))).toThrow(/not supported/);
    expect(() => crypto.cbcKey('NO-SUCH-CIPHER', 'seal', filled(32, 0))).toThrow(/not supported/);
    expect(() => crypto.macKey('NO-SUCH-DIGEST', filled(32, 0))).toThrow(/not supported/);
    expect(() => crypto.aeadKey('AES-256-GCM', 'seal', filled(16, 0))).toThrow(/32 bytes, not 16/);
    const key = crypto.aeadKey('AES-256-GCM', 'seal', filled(32, 0));
    expect(() => key.open(0, 12, 8, 100, 10, 200)).toThrow(TypeError);
    key.close();
    expect(() => key.seal(0, 12, 8, 100, 10, 200)).toThrow(/closed/);
  });
});
