// A client's tls-crypt-v2 key under the server's: how a server knows the keys of all its clients and keeps none.
//
//   WKc = T(32) | AES-256-CTR(Ke, IV = T[0..15], Kc(256) | metadata) | length u16, which counts all of WKc
//   T = HMAC-SHA256(Ka, length | Kc | metadata);  metadata = type u8 | bytes, or nothing
//   Ke, Ka: the first 32 bytes of the halves of the server key, cipher[64] | hmac[64]
//
// Source: docs/WIRE.md 3.4; keys made by OpenVPN 2.6.14 and 2.7.8, both ways.

import { Reader } from '../wire/reader.ts';
import { STATIC_KEY_BYTES } from '../wire/static-key.ts';
import {
  isWrappedKey,
  TLS_CRYPT_V2_SERVER_KEY_BYTES,
  WKC_METADATA_MAX_BYTES,
  type WrappedMetadata,
} from '../wire/tls-crypt-v2.ts';
import { concatBytes, Writer } from '../wire/writer.ts';
import type { CryptoProvider } from './provider.ts';

const TAG_BYTES = 32;
const IV_BYTES = 16;
const KEY_BYTES = 32;
const HALF_BYTES = 64;
const LENGTH_BYTES = 2;

export interface OpenedKey {
  /** Kc, a copy that is the caller's to wipe. */
  readonly clientKey: Uint8Array;
  readonly metadata: WrappedMetadata | undefined;
}

/** Opens a wrapped key. The problem is in the C program's words; nothing is read of a key that is not authentic. */
export function openWrappedKey(
  wrappedKey: Uint8Array,
  serverKey: Uint8Array,
  crypto: CryptoProvider,
): OpenedKey | { readonly problem: string } {
  if (!isWrappedKey(wrappedKey)) return { problem: 'invalid length' };
  const { cipher, mac } = halvesOf(serverKey);
  const reader = new Reader(wrappedKey);
  const tag = reader.bytes(TAG_BYTES);
  const ciphertext = reader.bytes(wrappedKey.length - TAG_BYTES - LENGTH_BYTES);
  const length = reader.rest();
  const plaintext = crypto.aes256Ctr(cipher, tag.subarray(0, IV_BYTES), ciphertext);
  try {
    if (!crypto.equal(tag, crypto.hmac('SHA256', mac, length, plaintext))) {
      return { problem: 'client key authentication error' };
    }
    const metadata = plaintext.slice(STATIC_KEY_BYTES);
    const [type] = metadata;
    return {
      clientKey: plaintext.slice(0, STATIC_KEY_BYTES),
      metadata: type === undefined ? undefined : { type, bytes: metadata.subarray(1) },
    };
  } finally {
    plaintext.fill(0);
  }
}

/** Wraps a client key. Throws RangeError for keys of a wrong length and for more metadata than fits. */
export function sealWrappedKey(
  clientKey: Uint8Array,
  metadata: WrappedMetadata | undefined,
  serverKey: Uint8Array,
  crypto: CryptoProvider,
): Uint8Array {
  if (clientKey.length !== STATIC_KEY_BYTES) throw new RangeError(`a client key has ${STATIC_KEY_BYTES} bytes`);
  const { cipher, mac } = halvesOf(serverKey);
  const told = metadata === undefined ? new Uint8Array(0) : concatBytes(Uint8Array.of(metadata.type), metadata.bytes);
  if (told.length > WKC_METADATA_MAX_BYTES)
    throw new RangeError(`metadata has at most ${WKC_METADATA_MAX_BYTES} bytes`);
  const plaintext = concatBytes(clientKey, told);
  const length = new Writer(LENGTH_BYTES).u16(TAG_BYTES + plaintext.length + LENGTH_BYTES).finish();
  const tag = crypto.hmac('SHA256', mac, length, plaintext);
  const ciphertext = crypto.aes256Ctr(cipher, tag.subarray(0, IV_BYTES), plaintext);
  plaintext.fill(0);
  return concatBytes(tag, ciphertext, length);
}

function halvesOf(serverKey: Uint8Array): { readonly cipher: Uint8Array; readonly mac: Uint8Array } {
  if (serverKey.length !== TLS_CRYPT_V2_SERVER_KEY_BYTES) {
    throw new RangeError(`a tls-crypt-v2 server key has ${TLS_CRYPT_V2_SERVER_KEY_BYTES} bytes`);
  }
  return { cipher: serverKey.subarray(0, KEY_BYTES), mac: serverKey.subarray(HALF_BYTES, HALF_BYTES + KEY_BYTES) };
}
