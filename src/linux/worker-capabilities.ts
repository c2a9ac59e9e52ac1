import { ENGINE_CAPABILITIES } from '../data/capabilities.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import { availableCiphers, availableDigests } from './openssl.ts';

// What the protocol knows, strongest first; the library decides which of it is there (64-bit block ciphers need its
// legacy provider).
const CIPHERS = [
  'AES-256-GCM',
  'AES-192-GCM',
  'AES-128-GCM',
  'CHACHA20-POLY1305',
  'AES-256-CBC',
  'AES-192-CBC',
  'AES-128-CBC',
  'CAMELLIA-256-CBC',
  'CAMELLIA-192-CBC',
  'CAMELLIA-128-CBC',
  'DES-EDE3-CBC',
  'BF-CBC',
  'CAST5-CBC',
];
const DIGESTS = [
  'SHA1',
  'SHA224',
  'SHA256',
  'SHA384',
  'SHA512',
  'SHA512-256',
  'SHA3-256',
  'SHA3-512',
  'BLAKE2b512',
  'RIPEMD160',
  'MD5',
];

/** What the worker plane can do with the OpenSSL of this process as it is now. */
export function workerCapabilities(): PlaneCapabilities {
  return {
    ciphers: [...availableCiphers(CIPHERS), 'none'],
    digests: [...availableDigests(DIGESTS), 'none'],
    ...ENGINE_CAPABILITIES,
  };
}
