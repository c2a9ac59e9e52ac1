// A file of its own: the main thread of a worker plane reads it without loading the engine.

import { cipherNames } from '../crypto/cipher-table.ts';
import type { PlaneCapabilities } from './plane.ts';

/** What the engine can do, whichever plane it is in; ciphers and digests are the library's. */
export const ENGINE_CAPABILITIES: Omit<PlaneCapabilities, 'ciphers' | 'digests'> = {
  dataV1: true,
  epoch: true,
  framings: ['udp', 'tcp', 'socks-udp'],
  fragment: true,
  compression: ['none', 'comp-lzo', 'stub', 'stub-v2'],
  inBand: true,
  keyLimits: true,
  float: 'request',
};

/** Every cipher that the protocol knows; the library decides which of them are there. */
export const ENGINE_CIPHERS: readonly string[] = cipherNames();
