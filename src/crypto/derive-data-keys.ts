// Data keys: key2, 256 bytes, cut to what the algorithms take.
//
//   c2s cipher[64] | c2s hmac[64] | s2c cipher[64] | s2c hmac[64]      ("client" is the TLS client)
//
// From the TLS exporter where that was agreed, else by the TLS 1.0 PRF from both sides' key method 2. Facts: docs/WIRE.md 6;
// the published draft leaves the session ids out and has a stray blank in the label.

import type { CipherFacts } from './cipher-table.ts';
import { type DataKeyMaterial, EPOCH_SECRET_BYTES } from './data-keys.ts';
import { labelledSeed, tls1Prf } from './prf.ts';
import type { CryptoProvider } from './provider.ts';

export const KEY2_BYTES = 256;
/** Label of the exporter for data keys. */
export const DATA_KEYS_LABEL = 'EXPORTER-OpenVPN-datakeys';
const MASTER_BYTES = 48;
/** Implicit nonce of AEAD: this many bytes of the direction's HMAC key. */
const IMPLICIT_NONCE_BYTES = 8;

/** What key method 2 brought from both sides, and their session ids. */
export interface KeySources {
  readonly preMaster: Uint8Array;
  readonly clientRandom1: Uint8Array;
  readonly clientRandom2: Uint8Array;
  readonly serverRandom1: Uint8Array;
  readonly serverRandom2: Uint8Array;
  readonly clientSessionId: Uint8Array;
  readonly serverSessionId: Uint8Array;
}

/** key2 by the PRF. The caller wipes it and the sources. */
export function deriveKey2(crypto: CryptoProvider, sources: KeySources): Uint8Array {
  const master = tls1Prf(
    crypto,
    sources.preMaster,
    labelledSeed('OpenVPN master secret', sources.clientRandom1, sources.serverRandom1),
    MASTER_BYTES,
  );
  const seed = labelledSeed(
    'OpenVPN key expansion',
    sources.clientRandom2,
    sources.serverRandom2,
    sources.clientSessionId,
    sources.serverSessionId,
  );
  const key2 = tls1Prf(crypto, master, seed, KEY2_BYTES);
  master.fill(0);
  return key2;
}

/**
 * Cuts key2 for this side. `digestLengthBytes` is that of the HMAC of CBC and null ciphers; AEAD ignores it. `format`: what
 * the keys are for, where it is not the usual one.
 */
export function cutDataKeys(
  key2: Uint8Array,
  tlsRole: 'client' | 'server',
  cipher: CipherFacts,
  digestLengthBytes: number,
  format?: 'epoch' | undefined,
): DataKeyMaterial {
  if (key2.length !== KEY2_BYTES) throw new RangeError(`key2 has ${KEY2_BYTES} bytes`);
  const implicitBytes = format === 'epoch' ? 0 : IMPLICIT_NONCE_BYTES;
  const hmacBytes = cipher.kind === 'aead' ? implicitBytes : digestLengthBytes;
  const cipherBytes = format === 'epoch' ? EPOCH_SECRET_BYTES : cipher.keyBytes;
  const cut = (half: 0 | 1) => ({
    cipher: key2.slice(128 * half, 128 * half + cipherBytes),
    hmac: key2.slice(128 * half + 64, 128 * half + 64 + hmacBytes),
  });
  return tlsRole === 'client' ? { seal: cut(0), open: cut(1) } : { seal: cut(1), open: cut(0) };
}

/** Overwrites key material once it is installed. */
export function wipeDataKeys(material: DataKeyMaterial): void {
  for (const key of [material.seal, material.open]) {
    key.cipher.fill(0);
    key.hmac.fill(0);
  }
}
