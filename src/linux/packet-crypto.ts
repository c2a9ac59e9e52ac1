// Which library does what for packets. OpenSSL, which the Node binary carries, can everything. AES-GCM goes through
// GnuTLS where the system has it: one call for a packet instead of five, and a call costs as much as 100 bytes of AES.

import { readFileSync } from 'node:fs';
import type { AeadKey, PacketCrypto } from '../crypto/provider.ts';
import type { NativeArena } from './arena.ts';
import { GnuTlsAeadKey, loadGnuTls } from './gnutls.ts';
import { OpenSslAeadKey, OpenSslCbcKey, OpenSslFeedbackKey, OpenSslMacKey, randomBytesAt } from './openssl.ts';

/** What does AES-GCM: `gnutls` must have been found usable by `aesGcmLibrary`. */
export type AesGcmLibrary = 'gnutls' | 'openssl';

/** The better library of this machine for AES-GCM. Loads what it finds, so it is for a time before chroot. */
export function aesGcmLibrary(): AesGcmLibrary {
  return hasAesInstructions() && loadGnuTls() ? 'gnutls' : 'openssl';
}

/** Packet cryptography on the given arena. Unknown names and refused keys throw; a packet never does. */
export function createPacketCrypto(arena: NativeArena, aesGcm: AesGcmLibrary): PacketCrypto {
  const base = arena.address;
  return {
    arena,
    aeadKey: (cipher, direction, key): AeadKey =>
      aesGcm === 'gnutls' && /^AES-\d+-GCM$/i.test(cipher)
        ? new GnuTlsAeadKey(base, cipher, key)
        : new OpenSslAeadKey(base, cipher, direction, key),
    cbcKey: (cipher, direction, key) => new OpenSslCbcKey(base, cipher, direction, key),
    feedbackKey: (cipher, direction, key) => new OpenSslFeedbackKey(base, cipher, direction, key),
    macKey: (digest, key) => new OpenSslMacKey(base, digest, key),
    random: (start, length) => randomBytesAt(base + start, length),
  };
}

/** Without them GnuTLS takes AES from tables, which is slow and can be watched through the processor's cache; OpenSSL does not. */
function hasAesInstructions(): boolean {
  let features: string;
  try {
    features = readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return false;
  }
  return (
    /^(flags|Features)\s*:.* aes /m.test(features) && /^(flags|Features)\s*:.* (pclmulqdq|pmull)( |$)/m.test(features)
  );
}
