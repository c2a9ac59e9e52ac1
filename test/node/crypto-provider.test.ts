import { describe, expect, it } from 'vitest';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('control-plane cryptography', () => {
  const crypto = createNodeCrypto();

  it('digests parts as one message', () => {
    expect(hex(crypto.digest('SHA256', utf8('a'), utf8('bc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(hex(crypto.digest('MD5', utf8('abc')))).toBe('900150983cd24fb0d6963f7d28e17f72');
  });

  it('makes the HMAC of RFC 4231 test case 2', () => {
    expect(hex(crypto.hmac('SHA256', utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it.each([
    ['SHA1', 20],
    ['SHA256', 32],
    ['SHA512', 64],
    ['MD5', 16],
    ['BLAKE2b512', 64],
    ['no-such-digest', undefined],
    ['', undefined],
  ])('knows that %s has %s bytes', (name, length) => {
    expect(crypto.digestLength(name)).toBe(length);
    expect(crypto.digestLength(name)).toBe(length);
  });

  it('undoes counter mode with the same call', () => {
    const key = crypto.randomBytes(32);
    const iv = crypto.randomBytes(16);
    const text = crypto.randomBytes(100);
    const sealed = crypto.aes256Ctr(key, iv, text);
    expect(sealed).not.toEqual(text);
    expect(crypto.aes256Ctr(key, iv, sealed)).toEqual(text);
  });

  it('compares bytes, and unequal lengths are unequal', () => {
    expect(crypto.equal(utf8('abc'), utf8('abc'))).toBe(true);
    expect(crypto.equal(utf8('abc'), utf8('abd'))).toBe(false);
    expect(crypto.equal(utf8('abc'), utf8('ab'))).toBe(false);
  });

  it('gives plain bytes of the asked length', () => {
    expect(crypto.randomBytes(48)).toHaveLength(48);
    expect(Object.getPrototypeOf(crypto.randomBytes(1))).toBe(Uint8Array.prototype);
    expect(Object.getPrototypeOf(crypto.digest('SHA1'))).toBe(Uint8Array.prototype);
  });
});
