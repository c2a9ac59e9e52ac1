import { createCipheriv, createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNativeArena } from '../../src/linux/arena.ts';
import { loadGnuTls } from '../../src/linux/gnutls.ts';
import { IpsecMbAeadKey, type IpsecMbVariant, loadIpsecMb } from '../../src/linux/ipsec-mb.ts';
import { availableCiphers, availableDigests } from '../../src/linux/openssl.ts';
import { betterAesGcm, createPacketCrypto, ipsecMbVariant, worksAsOpenSsl } from '../../src/linux/packet-crypto.ts';

const arena = createNativeArena(65_536);
const openssl = createPacketCrypto(arena, 'openssl');
const gnutls = createPacketCrypto(arena, 'gnutls');
const byLength = createPacketCrypto(arena, 'by-length');

const GCM = ['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM'];
const hasGnuTls = loadGnuTls();
if (!hasGnuTls) console.warn('skipped: AES-GCM of GnuTLS, which is not on this machine (apt-get install libgnutls30)');
const bestVariant = ipsecMbVariant(readFileSync('/proc/cpuinfo', 'latin1'));
const ipsecMb = (bestVariant === 'vaes_avx512' ? ([bestVariant, 'avx_gen4'] as const) : [bestVariant]).filter(
  (variant): variant is IpsecMbVariant => variant !== undefined && loadIpsecMb(variant),
);
if (ipsecMb.length === 0 && process.arch === 'x64') {
  console.warn('skipped: AES-GCM of libipsec-mb, which is not on this machine (apt-get install libipsec-mb1)');
}
/** Every AEAD cipher with every library that does it. */
const AEAD = [
  ...[...GCM, 'CHACHA20-POLY1305'].map((cipher) => ({ cipher, library: 'OpenSSL', crypto: openssl })),
  ...(hasGnuTls ? GCM : []).map((cipher) => ({ cipher, library: 'GnuTLS', crypto: gnutls })),
  ...(hasGnuTls ? GCM : []).map((cipher) => ({ cipher, library: 'both by length', crypto: byLength })),
  ...ipsecMb.flatMap((variant) => {
    const crypto = createPacketCrypto(arena, `ipsec-mb ${variant}`);
    return GCM.map((cipher) => ({ cipher, library: `libipsec-mb (${variant})`, crypto }));
  }),
];
const keyBytes = (cipher: string) => (cipher.includes('128') ? 16 : cipher.includes('192') ? 24 : 32);
// Where things lie in the arena, away from its start so that a forgotten base shows.
const NONCE = 1000;
const ASSOCIATED = 1100;
const TAG = 1200;
const TEXT = 2003;

/** node:crypto's answer to the same sealing. */
function reference(cipher: string, key: Buffer, nonce: Buffer, associated: Buffer, text: Buffer) {
  const options = { authTagLength: 16 };
  const sealer = createCipheriv(cipher.toLowerCase() as 'chacha20-poly1305', key, nonce, options);
  sealer.setAAD(associated, { plaintextLength: text.length });
  const sealed = Buffer.concat([sealer.update(text), sealer.final()]);
  return { sealed, tag: sealer.getAuthTag() };
}

describe.each(AEAD)('$cipher of $library', ({ cipher, crypto }) => {
  it('seals to the same bytes as node:crypto and opens them again, packet after packet on one context', () => {
    const key = randomBytes(keyBytes(cipher));
    const seal = crypto.aeadKey(cipher, 'seal', key);
    const open = crypto.aeadKey(cipher, 'open', key);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ maxLength: 24 }),
        fc.uint8Array({ maxLength: 2000 }),
        (nonce, associated, text) => {
          const expected = reference(cipher, key, Buffer.from(nonce), Buffer.from(associated), Buffer.from(text));
          arena.bytes.set(nonce, NONCE);
          arena.bytes.set(associated, ASSOCIATED);
          arena.bytes.set(text, TEXT);
          seal.seal(NONCE, ASSOCIATED, associated.length, TEXT, text.length, TAG);
          expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + text.length))).toEqual(expected.sealed);
          expect(Buffer.from(arena.bytes.subarray(TAG, TAG + 16))).toEqual(expected.tag);
          expect(open.open(NONCE, ASSOCIATED, associated.length, TEXT, text.length, TAG)).toBe(true);
          expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + text.length))).toEqual(Buffer.from(text));
        },
      ),
      { numRuns: 60 },
    );
    seal.close();
    open.close();
  });

  it('refuses a packet with one bit changed in nonce, associated data, text or tag, and opens the next good one', () => {
    const key = randomBytes(keyBytes(cipher));
    const seal = crypto.aeadKey(cipher, 'seal', key);
    const open = crypto.aeadKey(cipher, 'open', key);
    for (const place of [NONCE, ASSOCIATED, TEXT, TAG, undefined]) {
      arena.bytes.fill(7, NONCE, TEXT + 100);
      seal.seal(NONCE, ASSOCIATED, 8, TEXT, 100, TAG);
      if (place !== undefined) arena.bytes[place]! ^= 0x20;
      expect(open.open(NONCE, ASSOCIATED, 8, TEXT, 100, TAG)).toBe(place === undefined);
    }
    seal.close();
    open.close();
  });

  it('leaves the place of a key that was closed twice to one other key', () => {
    const sealed = (key: ReturnType<typeof crypto.aeadKey>): string => {
      arena.bytes.fill(7, NONCE, TEXT + 100);
      key.seal(NONCE, ASSOCIATED, 8, TEXT, 100, TAG);
      return Buffer.from(arena.bytes.subarray(TEXT, TEXT + 100)).toString('hex');
    };
    const first = crypto.aeadKey(cipher, 'seal', randomBytes(keyBytes(cipher)));
    first.close();
    first.close();
    const one = crypto.aeadKey(cipher, 'seal', Buffer.alloc(keyBytes(cipher), 1));
    const alone = sealed(one);
    const other = crypto.aeadKey(cipher, 'seal', Buffer.alloc(keyBytes(cipher), 2));
    expect(sealed(other)).not.toBe(alone);
    expect(sealed(one)).toBe(alone);
    one.close();
    other.close();
  });
});

describe('the library for AES-GCM, where there is GnuTLS', () => {
  const wide = 'flags\t\t: fpu aes pclmulqdq avx512f avx512dq avx512bw avx512vl vaes vpclmulqdq rdpid\n';

  it.each([
    ['3.5.9', wide, 'by-length'],
    ['3.1.0+quic', wide, 'by-length'],
    ['4.0.0', wide, 'by-length'],
    ['3.0.19', wide, 'gnutls'],
    ['1.1.1w', wide, 'gnutls'],
    ['', wide, 'gnutls'],
    ['3.5.9', wide.replace(' vaes', ''), 'gnutls'],
    ['3.5.9', wide.replace(' avx512vl', ' avx512vlx'), 'gnutls'],
    ['3.5.9', 'Features\t: aes pmull\n', 'gnutls'],
  ] as const)('with OpenSSL %s and such a processor is chosen', (version, features, library) => {
    expect(betterAesGcm(features, version)).toBe(library);
  });
});

describe('libipsec-mb', () => {
  const wide =
    'flags\t\t: fpu aes pclmulqdq avx avx2 bmi1 bmi2 avx512f avx512dq avx512bw avx512vl vaes vpclmulqdq rdpid\n';

  it.each([
    [wide, 'vaes_avx512'],
    [wide.replace(' vpclmulqdq', ''), 'avx_gen4'],
    [wide.replace(' avx512bw', ''), 'avx_gen4'],
    [wide.replace(' avx2', '').replace(' vaes', ''), undefined],
    [wide.replace(' bmi2', '').replace(' vaes', ''), undefined],
    [wide.replace(' aes', ''), undefined],
    [wide.replace(' pclmulqdq', ''), undefined],
    ['Features\t: aes pmull\n', undefined],
    ['', undefined],
  ] as const)('with %j: %s', (features, variant) => {
    expect(ipsecMbVariant(features)).toBe(variant);
  });

  it.each(ipsecMb.flatMap((variant) => GCM.map((cipher) => [variant, cipher] as const)))(
    'seals once it was found to work as OpenSSL: %s, %s',
    (variant, cipher) => {
      const crypto = createPacketCrypto(arena, `ipsec-mb ${variant}`);
      expect(crypto.aeadKey(cipher, 'seal', randomBytes(keyBytes(cipher)))).toBeInstanceOf(IpsecMbAeadKey);
    },
  );

  it.runIf(ipsecMb.length > 0)('is loaded for what it has only', () => {
    expect(loadIpsecMb('avx_gen77' as IpsecMbVariant)).toBe(false);
    const base = arena.address;
    expect(
      () => new IpsecMbAeadKey('avx_gen77' as IpsecMbVariant, arena.view, base, 'AES-256-GCM', randomBytes(32)),
    ).toThrow('no cipher AES-256-GCM');
  });

  it.each(['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM'])(
    'is used for %s where it works as OpenSSL does: another key, a tag or a text that differs, a tag that is not looked at are found',
    (cipher) => {
      type KeyOf = Parameters<typeof worksAsOpenSsl>[1];
      const works = (keyOf: KeyOf) => worksAsOpenSsl(cipher, keyOf);
      const keys: KeyOf = (memory, direction, key) =>
        createPacketCrypto({ ...arena, ...memory }, 'openssl').aeadKey(cipher, direction, key);
      expect(works(keys)).toBe(true);
      const changed = (key: Uint8Array) => key.map((byte) => byte ^ 1);
      expect(works((memory, direction, key) => keys(memory, direction, changed(key)))).toBe(false);
      type Seal = ReturnType<KeyOf>['seal'];
      type Open = ReturnType<KeyOf>['open'];
      const keysWith =
        (change: (sound: ReturnType<KeyOf>, bytes: Uint8Array) => { seal?: Seal; open?: Open }): KeyOf =>
        (memory, direction, key) => {
          const sound = keys(memory, direction, key);
          const { seal, open } = change(sound, memory.bytes);
          return {
            seal: seal ?? sound.seal.bind(sound),
            open: open ?? sound.open.bind(sound),
            close: () => sound.close(),
          };
        };
      // With long packets only, as a fault in the code for these would be.
      const damage = (place: 'tag' | 'end') =>
        keysWith((sound, bytes) => ({
          seal: (nonce, aad, aadLength, text, length, tag) => {
            sound.seal(nonce, aad, aadLength, text, length, tag);
            if (length > 768) bytes[place === 'tag' ? tag + 15 : text + length - 1]! ^= 1;
          },
        }));
      expect(works(damage('tag'))).toBe(false);
      expect(works(damage('end'))).toBe(false);
      const trusting = keysWith((sound) => ({
        open: (...values) => sound.open(...values) || true,
      }));
      expect(works(trusting)).toBe(false);
      const suspicious = keysWith((sound) => ({ open: (...values) => sound.open(...values) && values[4] < 768 }));
      expect(works(suspicious)).toBe(false);
      const garbling = keysWith((sound, bytes) => ({
        open: (...values) => {
          const isOpen = sound.open(...values);
          if (values[4] > 768) bytes[values[3] + 7]! ^= 1;
          return isOpen;
        },
      }));
      expect(works(garbling)).toBe(false);
    },
  );
});

describe.each(['AES-128-CBC', 'AES-256-CBC'])('%s through FFI', (cipher) => {
  it('pads and encrypts as node:crypto does, and gives the text back', () => {
    const key = randomBytes(keyBytes(cipher));
    const seal = openssl.cbcKey(cipher, 'seal', key);
    const open = openssl.cbcKey(cipher, 'open', key);
    expect(seal.blockBytes).toBe(16);
    for (const length of [0, 1, 15, 16, 17, 100, 1400]) {
      const iv = randomBytes(16);
      const text = randomBytes(length);
      arena.bytes.set(iv, NONCE);
      arena.bytes.set(text, TEXT);
      const padded = seal.encrypt(NONCE, TEXT, length);
      const sealer = createCipheriv(cipher.toLowerCase(), key, iv);
      expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + padded))).toEqual(
        Buffer.concat([sealer.update(text), sealer.final()]),
      );
      expect(open.decrypt(NONCE, TEXT, padded)).toBe(length);
      expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + length))).toEqual(text);
    }
    seal.close();
    open.close();
  });

  it('answers -1 to a length that is no multiple of the block, to nothing, and to wrong padding', () => {
    const key = randomBytes(keyBytes(cipher));
    const open = openssl.cbcKey(cipher, 'open', key);
    expect(open.decrypt(NONCE, TEXT, 0)).toBe(-1);
    expect(open.decrypt(NONCE, TEXT, 17)).toBe(-1);
    const sealer = createCipheriv(cipher.toLowerCase(), key, Buffer.alloc(16)).setAutoPadding(false);
    arena.bytes.fill(0, NONCE, NONCE + 16);
    arena.bytes.set(sealer.update(Buffer.alloc(32, 0xff)), TEXT);
    expect(open.decrypt(NONCE, TEXT, 32)).toBe(-1);
    open.close();
  });
});

describe.each(['AES-256-CFB', 'AES-128-OFB', 'CAMELLIA-192-CFB', 'ARIA-128-CFB8', 'AES-256-CFB1', 'SM4-OFB'])(
  '%s through FFI',
  (cipher) => {
    it('encrypts as node:crypto does, packet after packet on one context, and gives the text back', () => {
      const key = randomBytes(cipher === 'SM4-OFB' ? 16 : keyBytes(cipher));
      const seal = openssl.feedbackKey(cipher, 'seal', key);
      const open = openssl.feedbackKey(cipher, 'open', key);
      expect(seal.ivBytes).toBe(16);
      for (const length of [1, 15, 16, 17, 100, 1400]) {
        const [iv, text] = [randomBytes(16), randomBytes(length)];
        arena.bytes.set(iv, NONCE);
        arena.bytes.set(text, TEXT);
        seal.apply(NONCE, TEXT, length);
        expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + length))).toEqual(
          createCipheriv(cipher.toLowerCase(), key, iv).update(text),
        );
        open.apply(NONCE, TEXT, length);
        expect(Buffer.from(arena.bytes.subarray(TEXT, TEXT + length))).toEqual(text);
      }
      seal.close();
      seal.close();
      open.close();
      expect(() => seal.apply(NONCE, TEXT, 1)).toThrow('closed');
    });
  },
);

describe('HMAC through FFI', () => {
  it.each(['SHA1', 'SHA256', 'SHA512'])('%s equals node:crypto and verifies in place', (digest) => {
    const key = randomBytes(20);
    const mac = openssl.macKey(digest, key);
    for (const length of [0, 1, 100, 1400]) {
      const text = randomBytes(length);
      arena.bytes.set(text, TEXT);
      mac.sign(TEXT, length, TAG);
      const expected = createHmac(digest.toLowerCase(), key).update(text).digest();
      expect(mac.lengthBytes).toBe(expected.length);
      expect(Buffer.from(arena.bytes.subarray(TAG, TAG + mac.lengthBytes))).toEqual(expected);
      expect(mac.verify(TEXT, length, TAG)).toBe(true);
      arena.bytes[TAG + mac.lengthBytes - 1]! ^= 1;
      expect(mac.verify(TEXT, length, TAG)).toBe(false);
    }
    mac.close();
  });
});

describe('packet cryptography', () => {
  it('refuses unknown names and keys of the wrong length when a key is made', () => {
    expect(() => openssl.aeadKey('AES-512-GCM', 'seal', randomBytes(32))).toThrow('no cipher AES-512-GCM');
    expect(() => openssl.aeadKey('AES-256-GCM', 'seal', randomBytes(16))).toThrow(
      '16 bytes was refused (32 are needed)',
    );
    expect(() => openssl.aeadKey('AES-256-CBC', 'seal', randomBytes(32))).toThrow('no AEAD cipher');
    expect(() => openssl.cbcKey('AES-256-GCM', 'seal', randomBytes(32))).toThrow('no CBC cipher');
    expect(() => openssl.feedbackKey('AES-256-CTR', 'seal', randomBytes(32))).toThrow('no CFB or OFB cipher');
    expect(() => openssl.macKey('MD77', randomBytes(16))).toThrow('no digest MD77');
  });

  it('throws when a closed key is used', () => {
    const aead = openssl.aeadKey('AES-256-GCM', 'seal', randomBytes(32));
    const mac = openssl.macKey('SHA256', randomBytes(32));
    aead.close();
    aead.close();
    mac.close();
    expect(() => aead.seal(NONCE, ASSOCIATED, 8, TEXT, 10, TAG)).toThrow('closed');
    expect(() => mac.sign(TEXT, 10, TAG)).toThrow('closed');
  });

  it.each([
    ...(hasGnuTls ? [{ library: 'GnuTLS', crypto: gnutls }] : []),
    ...ipsecMb.map((variant) => ({
      library: `libipsec-mb (${variant})`,
      crypto: createPacketCrypto(arena, `ipsec-mb ${variant}`),
    })),
  ])('is as strict with $library', ({ crypto }) => {
    expect(() => crypto.aeadKey('AES-512-GCM', 'seal', randomBytes(32))).toThrow('no cipher AES-512-GCM');
    expect(() => crypto.aeadKey('AES-256-GCM', 'seal', randomBytes(16))).toThrow('16 bytes was refused');
    const aead = crypto.aeadKey('AES-256-GCM', 'open', randomBytes(32));
    aead.close();
    aead.close();
    expect(() => aead.open(NONCE, ASSOCIATED, 8, TEXT, 10, TAG)).toThrow('closed');
  });

  it('fills the named bytes with random ones and no others', () => {
    arena.bytes.fill(0, TEXT - 1, TEXT + 65);
    openssl.random(TEXT, 64);
    expect(arena.bytes.subarray(TEXT, TEXT + 64).filter((byte) => byte === 0).length).toBeLessThan(16);
    expect([arena.bytes[TEXT - 1], arena.bytes[TEXT + 64]]).toEqual([0, 0]);
  });

  it('knows which ciphers and digests this OpenSSL has', () => {
    expect(availableCiphers(['AES-256-GCM', 'NO-SUCH-CIPHER', 'CHACHA20-POLY1305'])).toEqual([
      'AES-256-GCM',
      'CHACHA20-POLY1305',
    ]);
    expect(availableDigests(['SHA256', 'NO-SUCH'])).toEqual(['SHA256']);
  });
});
