// PKCS#12 (RFC 7292) with password integrity, as OpenVPN profiles carry it: one private key and certificates.
//
//   PFX ::= SEQUENCE { 3, authSafe ContentInfo(data), SEQUENCE { DigestInfo, salt, iterations }? }
//   authSafe: SEQUENCE OF ContentInfo (data or encryptedData), each a SEQUENCE OF SafeBag
//   SafeBag ::= SEQUENCE { bag type, [0] value, attributes }
//
// Node can load such a file into a TLS context, but then trusts every certificate in it, also where `ca` names the
// authorities; so it is taken apart here. Encryption: PBES2 (PBKDF2 with AES or triple DES) and the old triple DES, RC2
// and RC4 of RFC 7292; the last two are in OpenSSL's legacy provider (`providers legacy default`).

import { createDecipheriv, createHash, createHmac, getCipherInfo, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import type { DerElement } from './der.ts';
import { DerTag, parseChildren, parseDer, parseOid, parseSmallInteger, readDer } from './der.ts';

export type Pkcs12Result =
  /** `key` is a PKCS#8 PrivateKeyInfo. Certificates in the file's order. */
  | { readonly ok: true; readonly key: Uint8Array | undefined; readonly certificates: readonly Uint8Array[] }
  | {
      readonly ok: false;
      readonly reason: 'not-pkcs12' | 'wrong-password' | 'unsupported' | 'legacy';
      readonly detail: string;
    };

/** Takes a PKCS#12 file apart. */
export function parsePkcs12(bytes: Uint8Array, password: string): Pkcs12Result {
  const key: Uint8Array[] = [];
  const certificates: Uint8Array[] = [];
  try {
    const [version, authSafe, mac] = children(parseDer(bytes));
    if (parseSmallInteger(version) !== 3) throw new NotPkcs12('its version is not 3');
    const [kind, wrapped] = children(authSafe);
    if (parseOid(kind) !== OID.data) throw new NotPkcs12('its integrity is not by password');
    const content = octets(inside(wrapped));
    if (mac !== undefined) checkMac(mac, content, password);
    for (const info of children(readDer(content))) {
      const [type, value] = children(info);
      const safe = openContent(parseOid(type), value, password);
      for (const bag of children(parseDer(safe))) readBag(bag, password, key, certificates);
    }
    return { ok: true, key: key[0], certificates };
  } catch (error) {
    if (error instanceof WrongPassword) return { ok: false, reason: 'wrong-password', detail: error.message };
    if (error instanceof Legacy) return { ok: false, reason: 'legacy', detail: error.message };
    if (error instanceof Unsupported) return { ok: false, reason: 'unsupported', detail: error.message };
    if (error instanceof NotPkcs12) return { ok: false, reason: 'not-pkcs12', detail: error.message };
    return { ok: false, reason: 'not-pkcs12', detail: 'its structure is damaged' };
  }
}

class NotPkcs12 extends Error {}
class WrongPassword extends Error {}
class Unsupported extends Error {}
/** The legacy provider could do it. */
class Legacy extends Error {}

const OID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  sha1And2KeyDes: '1.2.840.113549.1.12.1.4',
} as const;

/** A file that asks for more iterations would only waste time. */
const MAX_ITERATIONS = 10_000_000;

const DIGESTS = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

const PRFS = new Map([
  ['1.2.840.113549.2.7', 'sha1'],
  ['1.2.840.113549.2.9', 'sha256'],
  ['1.2.840.113549.2.10', 'sha384'],
  ['1.2.840.113549.2.11', 'sha512'],
]);

const CIPHERS = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', keyBytes: 16 }],
  ['2.16.840.1.101.3.4.1.22', { name: 'aes-192-cbc', keyBytes: 24 }],
  ['2.16.840.1.101.3.4.1.42', { name: 'aes-256-cbc', keyBytes: 32 }],
  ['1.2.840.113549.3.7', { name: 'des-ede3-cbc', keyBytes: 24 }],
]);

const OLD_CIPHERS = new Map([
  ['1.2.840.113549.1.12.1.1', { name: 'rc4', keyBytes: 16, words: 'RC4 with 128 bits' }],
  ['1.2.840.113549.1.12.1.2', { name: 'rc4-40', keyBytes: 5, words: 'RC4 with 40 bits' }],
  ['1.2.840.113549.1.12.1.3', { name: 'des-ede3-cbc', keyBytes: 24, words: 'triple DES' }],
  ['1.2.840.113549.1.12.1.4', { name: 'des-ede3-cbc', keyBytes: 16, words: 'triple DES with two keys' }],
  ['1.2.840.113549.1.12.1.5', { name: 'rc2-cbc', keyBytes: 16, words: 'RC2 with 128 bits' }],
  ['1.2.840.113549.1.12.1.6', { name: 'rc2-40-cbc', keyBytes: 5, words: 'RC2 with 40 bits' }],
]);

/** Whether OpenSSL has a cipher now: those of the legacy provider only where that was loaded. */
function isThere(name: string): boolean {
  try {
    createDecipheriv(
      name,
      Buffer.alloc(getCipherInfo(name)?.keyLength ?? 0),
      name.startsWith('rc4') ? null : Buffer.alloc(8),
    );
    return true;
  } catch {
    return false;
  }
}

function children(element: DerElement | undefined): readonly DerElement[] {
  const list = parseChildren(element);
  if (list === undefined) throw new NotPkcs12('it is not DER');
  return list;
}

const inside = (element: DerElement | undefined): DerElement | undefined => element && parseDer(element.content);

function octets(element: DerElement | undefined): Uint8Array {
  if (element?.tag !== DerTag.octetString) throw new NotPkcs12('it is not DER');
  return element.content;
}

function openContent(type: string | undefined, value: DerElement | undefined, password: string): Uint8Array {
  if (type === OID.data) return octets(inside(value));
  if (type !== OID.encryptedData) throw new Unsupported('a part is encrypted for a public key');
  const [, content] = children(inside(value));
  const [, algorithm, encrypted] = children(content);
  if (encrypted?.tag !== 0x80) throw new NotPkcs12('an encrypted part is in pieces');
  return decrypt(algorithm, encrypted.content, password);
}

function readBag(bag: DerElement, password: string, keys: Uint8Array[], certificates: Uint8Array[]): void {
  const [type, value] = children(bag);
  switch (parseOid(type)) {
    case OID.keyBag:
      keys.push(inside(value)?.whole ?? new Uint8Array());
      return;
    case OID.shroudedKeyBag: {
      const [algorithm, encrypted] = children(inside(value));
      keys.push(decrypt(algorithm, octets(encrypted), password));
      return;
    }
    case OID.certBag: {
      const [kind, wrapped] = children(inside(value));
      if (parseOid(kind) === OID.x509Certificate) certificates.push(octets(inside(wrapped)));
      return;
    }
    default:
  }
}

function checkMac(mac: DerElement, content: Uint8Array, password: string): void {
  const [info, salt, rounds] = children(mac);
  const [algorithm, expected] = children(info);
  const digest = DIGESTS.get(parseOid(children(algorithm)[0]) ?? '');
  if (digest === undefined) throw new Unsupported('its MAC is of an unknown kind');
  const length = createHash(digest).digest().length;
  const key = derive(digest, 3, password, octets(salt), rounds === undefined ? 1 : iterations(rounds), length);
  const computed = createHmac(digest, key).update(content).digest();
  const given = octets(expected);
  if (given.length !== computed.length || !timingSafeEqual(given, computed))
    throw new WrongPassword('the MAC does not fit');
}

function decrypt(algorithm: DerElement | undefined, encrypted: Uint8Array, password: string): Uint8Array {
  const [type, parameters] = children(algorithm);
  const oid = parseOid(type) ?? '';
  if (oid === OID.pbes2) return decryptPbes2(parameters, encrypted, password);
  const old = OLD_CIPHERS.get(oid);
  if (old === undefined) throw new Unsupported(`it is encrypted with an unknown algorithm (${oid})`);
  if (!isThere(old.name)) throw new Legacy(`it is encrypted with ${old.words}`);
  const [salt, rounds] = children(parameters);
  const count = iterations(rounds);
  const key = derive('sha1', 1, password, octets(salt), count, old.keyBytes);
  const iv = old.name.startsWith('rc4') ? null : derive('sha1', 2, password, octets(salt), count, 8);
  const full = oid === OID.sha1And2KeyDes ? Buffer.concat([key, key.subarray(0, 8)]) : key;
  return decipher(old.name, full, iv, encrypted);
}

function decryptPbes2(parameters: DerElement | undefined, encrypted: Uint8Array, password: string): Uint8Array {
  const [derivation, scheme] = children(parameters);
  const [derivationType, derivationParameters] = children(derivation);
  if (parseOid(derivationType) !== OID.pbkdf2) throw new Unsupported('its key derivation is not PBKDF2');
  const [salt, rounds, ...rest] = children(derivationParameters);
  const prfElement = rest.find((element) => element.tag === DerTag.sequence);
  const prf = prfElement === undefined ? 'sha1' : PRFS.get(parseOid(children(prfElement)[0]) ?? '');
  const [schemeType, iv] = children(scheme);
  const cipher = CIPHERS.get(parseOid(schemeType) ?? '');
  if (prf === undefined || cipher === undefined) throw new Unsupported('its cipher or digest is unknown');
  const key = pbkdf2Sync(password, octets(salt), iterations(rounds), cipher.keyBytes, prf);
  return decipher(cipher.name, key, octets(iv), encrypted);
}

function decipher(name: string, key: Uint8Array, iv: Uint8Array | null, encrypted: Uint8Array): Uint8Array {
  try {
    const opening = createDecipheriv(name, key, iv);
    return new Uint8Array(Buffer.concat([opening.update(encrypted), opening.final()]));
  } catch {
    throw new WrongPassword('the decrypted bytes are garbage');
  }
}

function iterations(element: DerElement | undefined): number {
  const count = parseSmallInteger(element);
  if (count === undefined || count < 1 || count > MAX_ITERATIONS) throw new NotPkcs12('its iteration count is absurd');
  return count;
}

/** The key derivation of RFC 7292, appendix B.2; `id` is 1 for keys, 2 for IVs, 3 for MAC keys. */
function derive(digest: string, id: number, password: string, salt: Uint8Array, count: number, length: number): Buffer {
  const hash = (...parts: Uint8Array[]): Buffer =>
    parts.reduce((state, part) => state.update(part), createHash(digest)).digest();
  const block = digest === 'sha1' || digest === 'sha256' ? 64 : 128;
  const secret = Buffer.from(`${password}\0`, 'utf16le').swap16();
  const fill = (source: Uint8Array): Buffer => {
    const out = Buffer.alloc(Math.ceil(source.length / block) * block);
    for (let i = 0; i < out.length; i++) out[i] = source[i % source.length]!;
    return out;
  };
  const diversifier = Buffer.alloc(block, id);
  const input = Buffer.concat([fill(salt), fill(secret)]);
  const out: Buffer[] = [];
  for (let made = 0; made < length; ) {
    let state = hash(diversifier, input);
    for (let i = 1; i < count; i++) state = hash(state);
    out.push(state);
    made += state.length;
    for (let start = 0; start < input.length; start += block) {
      let carry = 1;
      for (let i = block - 1; i >= 0; i--) {
        carry += input[start + i]! + state[i % state.length]!;
        input[start + i] = carry & 0xff;
        carry >>>= 8;
      }
    }
  }
  return Buffer.concat(out).subarray(0, length);
}
