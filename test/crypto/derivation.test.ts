import { describe, expect, it } from 'vitest';
import { cipherFacts, digestBytes } from '../../src/crypto/cipher-table.ts';
import { cutDataKeys, deriveKey2, wipeDataKeys } from '../../src/crypto/derive-data-keys.ts';
import { labelledSeed, tls1Prf } from '../../src/crypto/prf.ts';
import { staticKeyDirections, tlsCryptDirection } from '../../src/crypto/static-key-directions.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { formatHex } from '../../src/wire/hex.ts';

const crypto = createNodeCrypto();

describe('the PRF of TLS 1.0', () => {
  it('gives the published test vector (also: openssl kdf -kdfopt digest:MD5-SHA1 TLS1-PRF)', () => {
    const seed = labelledSeed('PRF Testvector', new Uint8Array(64).fill(0xcd));
    expect(formatHex(tls1Prf(crypto, new Uint8Array(48).fill(0xab), seed, 104))).toBe(
      'd3d4d1e349b5d515044666d51de32bab258cb521b6b053463e354832fd976754443bcf9a296519bc289abcbc1187e4ebd31e602353776c408aafb74cbc85eff69255f9788faa184cbb957a9819d84a5d7eb006eb459d3ae8de9810454b8b2d8f1afbc655a8c9a013',
    );
  });

  it('shares the middle byte of an odd secret and cuts to any length', () => {
    const seed = Uint8Array.of(1, 2, 3);
    const long = tls1Prf(crypto, Uint8Array.of(1, 2, 3, 4, 5), seed, 64);
    expect(tls1Prf(crypto, Uint8Array.of(1, 2, 3, 4, 5), seed, 7)).toEqual(long.slice(0, 7));
    expect(tls1Prf(crypto, Uint8Array.of(1, 2, 3, 3, 4, 5), seed, 64)).toEqual(long);
  });
});

describe('data keys', () => {
  const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte);
  const key2 = Uint8Array.from({ length: 256 }, (_, index) => index);

  it('are derived from both sides and their session ids', () => {
    const sources = {
      preMaster: fill(48, 1),
      clientRandom1: fill(32, 2),
      clientRandom2: fill(32, 3),
      serverRandom1: fill(32, 4),
      serverRandom2: fill(32, 5),
      clientSessionId: fill(8, 6),
      serverSessionId: fill(8, 7),
    };
    const derived = formatHex(deriveKey2(crypto, sources));
    const master = tls1Prf(crypto, fill(48, 1), labelledSeed('OpenVPN master secret', fill(32, 2), fill(32, 4)), 48);
    const seed = labelledSeed('OpenVPN key expansion', fill(32, 3), fill(32, 5), fill(8, 6), fill(8, 7));
    expect(derived).toBe(formatHex(tls1Prf(crypto, master, seed, 256)));
    for (const name of Object.keys(sources) as (keyof typeof sources)[]) {
      const other = { ...sources, [name]: fill(sources[name].length, 99) };
      expect(formatHex(deriveKey2(crypto, other)), name).not.toBe(derived);
    }
  });

  it('are cut for the cipher: key and 8 bytes of nonce for AEAD, key and digest for CBC', () => {
    const gcm = cipherFacts('aes-128-gcm');
    const cbc = cipherFacts('AES-256-CBC');
    if (gcm === undefined || cbc === undefined) throw new Error('missing facts');
    const client = cutDataKeys(key2, 'client', gcm, 20);
    expect([client.seal.cipher[0], client.seal.cipher.length]).toEqual([0, 16]);
    expect([client.seal.hmac[0], client.seal.hmac.length]).toEqual([64, 8]);
    expect([client.open.cipher[0], client.open.hmac[0]]).toEqual([128, 192]);
    const server = cutDataKeys(key2, 'server', gcm, 20);
    expect([server.seal, server.open]).toEqual([client.open, client.seal]);
    const long = cutDataKeys(key2, 'client', cbc, 20);
    expect([long.seal.cipher.length, long.seal.hmac.length]).toEqual([32, 20]);
    wipeDataKeys(client);
    expect(client.seal.cipher.every((byte) => byte === 0)).toBe(true);
    expect(key2[1]).toBe(1);
  });

  it('know ciphers and digests by any case, and no others', () => {
    expect(cipherFacts('[null-cipher]')?.name).toBe('none');
    expect(cipherFacts('chacha20-poly1305')).toMatchObject({ kind: 'aead', keyBytes: 32 });
    expect(cipherFacts('BF-CBC')).toMatchObject({ smallBlock: true, limitBytes: 64 * 1024 * 1024 });
    expect(cipherFacts('AES-256-CTR')).toBeUndefined();
    expect([digestBytes('sha256'), digestBytes('none'), digestBytes('x')]).toEqual([32, 0, undefined]);
    for (const name of ['MD5', 'SHA1', 'SHA256', 'SHA512']) expect(digestBytes(name)).toBe(crypto.digestLength(name));
  });
});

describe('directions of a static key', () => {
  it('are opposite for 0 and 1, the same for none, and fixed by the role for tls-crypt', () => {
    const key = Uint8Array.from({ length: 256 }, (_, index) => index);
    const firsts = (direction: 0 | 1 | undefined) => {
      const halves = staticKeyDirections(key, direction);
      return [halves.out.cipher[0], halves.out.hmac[0], halves.in.cipher[0], halves.in.hmac[0]];
    };
    expect(firsts(0)).toEqual([0, 64, 128, 192]);
    expect(firsts(1)).toEqual([128, 192, 0, 64]);
    expect(firsts(undefined)).toEqual([0, 64, 0, 64]);
    expect([tlsCryptDirection('server'), tlsCryptDirection('client')]).toEqual([0, 1]);
  });
});
