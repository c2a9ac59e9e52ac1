// The pseudo-random function of TLS 1.0 and 1.1 (RFC 2246 section 5), which OpenVPN keeps for its own keys where the
// exporter was not agreed.

import { concatBytes } from '../wire/writer.ts';
import type { CryptoProvider } from './provider.ts';

/** `P_MD5(first half of the secret) XOR P_SHA1(second half)`; halves of an odd secret share the middle byte. */
export function tls1Prf(
  crypto: CryptoProvider,
  secret: Uint8Array,
  seed: Uint8Array,
  lengthBytes: number,
): Uint8Array<ArrayBuffer> {
  const half = Math.ceil(secret.length / 2);
  const out = expand(crypto, 'MD5', secret.subarray(0, half), seed, lengthBytes);
  const other = expand(crypto, 'SHA1', secret.subarray(secret.length - half), seed, lengthBytes);
  for (let i = 0; i < lengthBytes; i++) out[i] = (out[i] ?? 0) ^ (other[i] ?? 0);
  other.fill(0);
  return out;
}

/** P_hash of RFC 2246: HMAC(secret, A(i) | seed) with A(0) = seed, A(i) = HMAC(secret, A(i-1)). */
function expand(
  crypto: CryptoProvider,
  digest: 'MD5' | 'SHA1',
  secret: Uint8Array,
  seed: Uint8Array,
  lengthBytes: number,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(lengthBytes);
  let chained = seed;
  for (let at = 0; at < lengthBytes; ) {
    chained = crypto.hmac(digest, secret, chained);
    const block = crypto.hmac(digest, secret, chained, seed);
    out.set(block.subarray(0, lengthBytes - at), at);
    at += block.length;
  }
  return out;
}

/** A label of the OpenVPN protocol followed by its seeds. */
export function labelledSeed(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(new TextEncoder().encode(label), ...parts);
}
