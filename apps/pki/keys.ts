// Private keys: made, read from PEM (PKCS#8, SEC1, PKCS#1; encrypted or not), written as PKCS#8.

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { refuse } from './refuse.ts';

/** What kind of key to make. */
export type KeyKind = { readonly kind: 'ec' } | { readonly kind: 'rsa'; readonly bits: number };

export const DEFAULT_RSA_BITS = 3072;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** `--rsa`'s number. */
export function checkRsaBits(text: string): number {
  const bits = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS)) {
    refuse(`--rsa takes ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits, not '${text}'`);
  }
  return bits;
}

const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>;

/** A new private key: EC P-256, or RSA. */
export async function makeKey(kind: KeyKind): Promise<KeyObject> {
  const made =
    kind.kind === 'ec'
      ? generate('ec', { namedCurve: 'prime256v1' })
      : generate('rsa', { modulusLength: kind.bits, publicExponent: 0x10001 });
  return (await made).privateKey;
}

/** PKCS#8 PEM, encrypted with AES-256 when there is a passphrase. */
export function writeKey(key: KeyObject, passphrase?: string): string {
  const form = { type: 'pkcs8', format: 'pem' } as const;
  return key.export(passphrase === undefined ? form : { ...form, cipher: 'aes-256-cbc', passphrase }).toString();
}

/** Whether a PEM key needs a passphrase. */
export const isEncryptedKey = (pem: string): boolean =>
  pem.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----') || /^Proc-Type: 4,ENCRYPTED/m.test(pem);

/** Reads a PEM key; refuses what is none, and a passphrase that does not fit. `file` is for the refusal. */
export function readKey(pem: string, file: string, passphrase?: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    if (isEncryptedKey(pem)) return refuse(`the passphrase does not open ${file}`);
    return refuse(`${file} is not a private key in PEM form`);
  }
}

/** SubjectPublicKeyInfo, DER. */
export const publicDer = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

/** A key as WebCrypto signs with it, and how. */
export interface SigningKey {
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: { readonly name: string; readonly hash?: string };
}

/** Curves that WebCrypto knows, with the digest of their strength. */
const CURVES: Readonly<Record<string, { readonly namedCurve: string; readonly hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

/** The key of an authority, to sign with; `file` is for the refusal. */
export async function toSigningKey(key: KeyObject, file: string): Promise<SigningKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const load = (algorithm: webcrypto.AlgorithmIdentifier | webcrypto.EcKeyImportParams): Promise<webcrypto.CryptoKey> =>
    webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
      return { key: await load(algorithm), algorithm };
    }
    case 'ec': {
      const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
      if (curve === undefined) break;
      const key_ = await load({ name: 'ECDSA', namedCurve: curve.namedCurve });
      return { key: key_, algorithm: { name: 'ECDSA', hash: curve.hash } };
    }
    case 'ed25519':
      return { key: await load({ name: 'Ed25519' }), algorithm: { name: 'Ed25519' } };
    default:
  }
  return refuse(
    `${file} is a key of a kind that sallyport can't sign with`,
    'EC keys on P-256, P-384 or P-521, RSA and Ed25519 keys do.',
  );
}

/** The kind of key that certificates get where none is asked for: as the authority's. */
export function likeAuthority(key: KeyObject): KeyKind {
  if (key.asymmetricKeyType !== 'rsa') return { kind: 'ec' };
  return { kind: 'rsa', bits: Math.max(MIN_RSA_BITS, key.asymmetricKeyDetails?.modulusLength ?? 0) };
}
