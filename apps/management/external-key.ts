// What a management client that holds the private key is asked to sign, in its own words: base64 of the data and the name
// of the algorithm (`management-external-key nopadding pkcs1 pss digest`). What the client can't do itself is done here:
// the digest always unless it says `digest`, and where it knows `nopadding` alone, the padding, too.
//
// Formats observed with OpenVPN 2.6.14 and 2.7:
//   ECDSA · ED25519 · RSA_PKCS1_PADDING · RSA_NO_PADDING · RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest
//   with `digest`: …,hashalg=SHA256 and ,data=message behind it

import { createHash, randomBytes } from 'node:crypto';
import type { SignRequest } from '../../src/command.ts';

export type ExternalKeyFlag = 'nopadding' | 'pkcs1' | 'pss' | 'digest';

export interface SigningQuestion {
  readonly data: Uint8Array;
  readonly algorithm: string;
}

/** Undefined where the client knows no way to sign it. */
export function signingQuestion(
  request: SignRequest,
  flags: ReadonlySet<ExternalKeyFlag>,
  random: (length: number) => Uint8Array = randomBytes,
): SigningQuestion | undefined {
  const { keyType, padding, digest, saltLength, message } = request;
  const whole = flags.has('digest');
  if (digest === undefined) return { data: message, algorithm: `${keyType},data=message` };
  const hashed = (): Uint8Array => createHash(digest).update(message).digest();
  if (keyType !== 'RSA') {
    return whole
      ? { data: message, algorithm: `ECDSA,hashalg=${digest},data=message` }
      : { data: hashed(), algorithm: 'ECDSA' };
  }
  if (padding === 'pkcs1' && flags.has('pkcs1')) {
    return whole
      ? { data: message, algorithm: `RSA_PKCS1_PADDING,hashalg=${digest},data=message` }
      : { data: digestInfo(digest, hashed()), algorithm: 'RSA_PKCS1_PADDING' };
  }
  if (padding === 'pss' && flags.has('pss')) {
    const algorithm = `RSA_PKCS1_PSS_PADDING,hashalg=${digest},saltlen=${saltLength}`;
    return whole ? { data: message, algorithm: `${algorithm},data=message` } : { data: hashed(), algorithm };
  }
  if (!flags.has('nopadding')) return undefined;
  const padded = padding === 'pss' ? padPss(request, digest, hashed(), random) : padPkcs1(request, digest, hashed());
  return padded && { data: padded, algorithm: 'RSA_NO_PADDING' };
}

/** Last bytes of the object identifiers (RFC 8017, section 9.2, note 1): those of SHA-2 differ in one byte. */
const OBJECT_IDENTIFIERS: Readonly<Record<string, readonly number[]>> = {
  SHA1: [0x2b, 0x0e, 0x03, 0x02, 0x1a],
  SHA224: sha2(4),
  SHA256: sha2(1),
  SHA384: sha2(2),
  SHA512: sha2(3),
};

function sha2(which: number): readonly number[] {
  return [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, which];
}

/** DigestInfo: `SEQUENCE { SEQUENCE { OID, NULL }, OCTET STRING }`. TLS 1.0's joined digests stand alone. */
function digestInfo(digest: string, hash: Uint8Array): Uint8Array {
  const identifier = OBJECT_IDENTIFIERS[digest];
  if (identifier === undefined) return hash;
  const algorithm = [0x30, identifier.length + 4, 0x06, identifier.length, ...identifier, 0x05, 0x00];
  return Uint8Array.from([0x30, algorithm.length + 2 + hash.length, ...algorithm, 0x04, hash.length, ...hash]);
}

/** EMSA-PKCS1-v1_5 (RFC 8017, 9.2): `00 01 ff … ff 00 DigestInfo`. */
function padPkcs1({ keyBits }: SignRequest, digest: string, hash: Uint8Array): Uint8Array | undefined {
  const info = digestInfo(digest, hash);
  const padded = new Uint8Array(Math.ceil(keyBits / 8));
  if (padded.length < info.length + 11) return undefined;
  padded.fill(0xff);
  padded.set([0x00, 0x01]);
  padded[padded.length - info.length - 1] = 0x00;
  padded.set(info, padded.length - info.length);
  return padded;
}

/** EMSA-PSS (RFC 8017, 9.1.1) with a salt as long as the digest. */
function padPss(
  { keyBits, saltLength }: SignRequest,
  digest: string,
  hash: Uint8Array,
  random: (length: number) => Uint8Array,
): Uint8Array | undefined {
  const bits = keyBits - 1;
  const length = Math.ceil(bits / 8);
  if (saltLength !== 'digest' || length < 2 * hash.length + 2) return undefined;
  const salt = random(hash.length);
  const seed = createHash(digest).update(new Uint8Array(8)).update(hash).update(salt).digest();
  const block = new Uint8Array(length - seed.length - 1);
  block[block.length - salt.length - 1] = 0x01;
  block.set(salt, block.length - salt.length);
  const mask = mgf1(digest, seed, block.length);
  for (const [index, byte] of mask.entries()) block[index]! ^= byte;
  block[0]! &= 0xff >> (8 * length - bits);
  const padded = new Uint8Array(Math.ceil(keyBits / 8));
  padded.set([...block, ...seed, 0xbc], padded.length - length);
  return padded;
}

function mgf1(digest: string, seed: Uint8Array, length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let counter = 0, have = 0; have < length; counter++) {
    const count = Uint8Array.of(counter >>> 24, counter >>> 16, counter >>> 8, counter);
    const part = createHash(digest).update(seed).update(count).digest();
    parts.push(part);
    have += part.length;
  }
  return Uint8Array.from(Buffer.concat(parts).subarray(0, length));
}
