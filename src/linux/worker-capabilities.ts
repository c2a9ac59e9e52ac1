import { ENGINE_CAPABILITIES, ENGINE_CIPHERS } from '../data/capabilities.ts';
import type { PlaneCapabilities } from '../data/plane.ts';
import { availableCiphers, availableDigests } from './openssl.ts';

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
    ciphers: [...availableCiphers(ENGINE_CIPHERS), 'none'],
    digests: [...availableDigests(DIGESTS), 'none'],
    ...ENGINE_CAPABILITIES,
  };
}
