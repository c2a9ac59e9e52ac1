// Which library does what for packets. OpenSSL, which the Node binary carries, can everything. AES-GCM goes through
// GnuTLS where the system has it: one call for a packet instead of five, and a call costs as much as 100 bytes of AES. A
// newer OpenSSL on a newer processor is the faster one with long packets all the same.

import { readFileSync } from 'node:fs';
import type { AeadKey, PacketCrypto } from '../crypto/provider.ts';
import type { NativeArena } from './arena.ts';
import { GnuTlsAeadKey, loadGnuTls } from './gnutls.ts';
import { OpenSslAeadKey, OpenSslCbcKey, OpenSslFeedbackKey, OpenSslMacKey, randomBytesAt } from './openssl.ts';

/** What does AES-GCM; one with GnuTLS in it must have been found usable by `aesGcmLibrary`. */
export type AesGcmLibrary = 'gnutls' | 'openssl' | 'by-length';

/** The better library of this machine for AES-GCM. Loads what it finds, so it is for a time before chroot. */
export function aesGcmLibrary(): AesGcmLibrary {
  const features = processorFeatures();
  const gnutls = hasAesInstructions(features) && loadGnuTls();
  return gnutls ? betterAesGcm(features, process.versions.openssl ?? '') : 'openssl';
}

/**
 * Which one, where GnuTLS is there. OpenSSL 3.1 and newer (Node 22 has one) takes four blocks at once on processors with
 * wide AES instructions: long packets are its own then, short ones stay with the fewer calls.
 */
export function betterAesGcm(processorFeatures: string, opensslVersion: string): AesGcmLibrary {
  const has = (word: string): boolean => new RegExp(`^flags\\s*:.* ${word}( |$)`, 'm').test(processorFeatures);
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(opensslVersion) ?? [];
  const isNew = Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 1);
  return isNew && WIDE_AES.every(has) ? 'by-length' : 'gnutls';
}

/** What OpenSSL asks for before it uses them. */
const WIDE_AES = ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'vaes', 'vpclmulqdq'];

/** Packet cryptography on the given arena. Unknown names and refused keys throw; a packet never does. */
export function createPacketCrypto(arena: NativeArena, aesGcm: AesGcmLibrary): PacketCrypto {
  const base = arena.address;
  return {
    arena,
    aeadKey: (cipher, direction, key): AeadKey => {
      if (aesGcm === 'openssl' || !/^AES-\d+-GCM$/i.test(cipher)) {
        return new OpenSslAeadKey(base, cipher, direction, key);
      }
      const short = new GnuTlsAeadKey(base, cipher, key);
      return aesGcm === 'gnutls' ? short : new ByLengthAeadKey(short, new OpenSslAeadKey(base, cipher, direction, key));
    },
    cbcKey: (cipher, direction, key) => new OpenSslCbcKey(base, cipher, direction, key),
    feedbackKey: (cipher, direction, key) => new OpenSslFeedbackKey(base, cipher, direction, key),
    macKey: (digest, key) => new OpenSslMacKey(base, digest, key),
    random: (start, length) => randomBytesAt(base + start, length),
  };
}

/** From here on OpenSSL's wide AES makes up for its five calls; both took the same at 600 to 800 bytes. */
const LONG_BYTES = 700;

/** One key in both libraries, for whichever is faster with a packet of that length. */
class ByLengthAeadKey implements AeadKey {
  readonly #short: AeadKey;
  readonly #long: AeadKey;

  constructor(short: AeadKey, long: AeadKey) {
    this.#short = short;
    this.#long = long;
  }

  seal(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): void {
    this.#for(length).seal(nonce, associated, associatedLength, text, length, tag);
  }

  open(
    nonce: number,
    associated: number,
    associatedLength: number,
    text: number,
    length: number,
    tag: number,
  ): boolean {
    return this.#for(length).open(nonce, associated, associatedLength, text, length, tag);
  }

  close(): void {
    this.#short.close();
    this.#long.close();
  }

  #for(length: number): AeadKey {
    return length < LONG_BYTES ? this.#short : this.#long;
  }
}

function processorFeatures(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'latin1');
  } catch {
    return '';
  }
}

/** Without them GnuTLS takes AES from tables, which is slow and can be watched through the processor's cache; OpenSSL does not. */
function hasAesInstructions(features: string): boolean {
  return (
    /^(flags|Features)\s*:.* aes /m.test(features) && /^(flags|Features)\s*:.* (pclmulqdq|pmull)( |$)/m.test(features)
  );
}
