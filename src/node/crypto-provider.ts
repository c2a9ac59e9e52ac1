// node/: the adapters that answer the ports of the pure rooms with what Node itself has. Control-plane cryptography is
// here; packets are sealed by packet-crypto.ts (tests, other systems) or by linux/; TLS is tls-engine.ts over the
// material that tls-material.ts reads; logger, clock, resolver, scripts and terminal have a file each.

import { createCipheriv, createHash, createHmac, randomFillSync, timingSafeEqual } from 'node:crypto';
import type { CryptoProvider, DigestName } from '../crypto/provider.ts';

/** Control-plane cryptography by node:crypto. */
export function createNodeCrypto(): CryptoProvider {
  const lengths = new Map<DigestName, number>();
  return {
    randomBytes: (lengthBytes) => randomFillSync(new Uint8Array(lengthBytes)),
    digestLength: (name) => {
      const known = lengths.get(name);
      if (known !== undefined) return known;
      const length = measureDigest(name);
      if (length !== undefined) lengths.set(name, length);
      return length;
    },
    digest: (name, ...parts) => {
      const hash = createHash(name);
      for (const part of parts) hash.update(part);
      return plain(hash.digest());
    },
    hmac: (name, key, ...parts) => {
      const mac = createHmac(name, key);
      for (const part of parts) mac.update(part);
      return plain(mac.digest());
    },
    aes256Ctr: (key, iv, data) => plain(createCipheriv('aes-256-ctr', key, iv).update(data)),
    equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  };
}

/** HMAC length of a digest, or undefined where the library can't make one: `--auth` uses digests for nothing else. */
export function measureDigest(name: DigestName): number | undefined {
  try {
    return createHmac(name, new Uint8Array(1)).digest().length;
  } catch {
    return undefined;
  }
}

/** The same bytes without Buffer's methods and its different equality. */
const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
