import { createCipheriv, getCipherInfo } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { cipherVerdict } from '../../src/config/ciphers.ts';
import { cipherFacts, cipherNames } from '../../src/crypto/cipher-table.ts';

describe('the table of ciphers', () => {
  it.each(cipherNames())('has the lengths of %s that the library has', (name) => {
    const facts = cipherFacts(name)!;
    const info = getCipherInfo(name.toLowerCase());
    if (info === undefined) return; // not in every OpenSSL
    expect(info.keyLength).toBe(facts.keyBytes);
    expect(info.ivLength).toBe(facts.ivBytes);
    if (facts.kind !== 'aead')
      expect(info.mode).toBe(facts.kind === 'cbc' ? 'cbc' : name.includes('OFB') ? 'ofb' : 'cfb');
    if (facts.kind === 'cbc') expect(info.blockSize).toBe(facts.blockBytes);
  });

  it('is what a configuration may name: nothing less, nothing more', () => {
    for (const name of [...cipherNames(), 'none'])
      expect([name, cipherVerdict(name, ['legacy'])]).toEqual([name, 'known']);
    for (const name of cipherNames()) {
      expect([name, cipherVerdict(name, [])]).toEqual([name, cipherFacts(name)!.smallBlock ? 'short-block' : 'known']);
    }
    for (const name of [
      'AES-256-CTR',
      'AES-256-CCM',
      'AES-256-OCB',
      'AES-512-CBC',
      'SEED-GCM',
      'CAMELLIA-128-GCM',
      '',
      'CFB',
    ]) {
      expect([name, cipherVerdict(name, ['legacy'])]).toEqual([name, 'unknown']);
      expect(cipherFacts(name)).toBeUndefined();
    }
  });

  it('names no cipher that takes what it can not be given', () => {
    const there = cipherNames().filter((name) => {
      const { keyBytes, ivBytes } = cipherFacts(name)!;
      try {
        createCipheriv(name.toLowerCase(), new Uint8Array(keyBytes), new Uint8Array(ivBytes), {
          authTagLength: 16,
        } as object);
        return true;
      } catch {
        return false;
      }
    });
    expect(there).toEqual(
      expect.arrayContaining(['AES-256-CFB', 'AES-256-CFB1', 'AES-128-OFB', 'CAMELLIA-128-CFB8', 'ARIA-192-GCM']),
    );
  });
});
