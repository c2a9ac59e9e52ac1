// Which library does what for packets. OpenSSL, which the Node binary carries, can everything. AES-GCM goes through the
// system's libipsec-mb, else its GnuTLS, where it has one: one call for a packet instead of five, and a call costs as much
// as 100 bytes of AES. What libipsec-mb does is compared with OpenSSL for each cipher before its first key. A newer OpenSSL on
// a newer processor is faster than GnuTLS with long packets all the same.

import { readFileSync } from 'node:fs';
import type { AeadKey, PacketCrypto } from '../crypto/provider.ts';
import { createNativeArena, type NativeArena } from './arena.ts';
import { GnuTlsAeadKey, loadGnuTls } from './gnutls.ts';
import { IpsecMbAeadKey, type IpsecMbVariant, loadIpsecMb } from './ipsec-mb.ts';
import { OpenSslAeadKey, OpenSslCbcKey, OpenSslFeedbackKey, OpenSslMacKey, randomBytesAt } from './openssl.ts';

/** What does AES-GCM; any but OpenSSL must have been found by `aesGcmLibrary`, which tries it with the usual cipher. */
export type AesGcmLibrary = IpsecMbLibrary | 'gnutls' | 'openssl' | 'by-length';
type IpsecMbLibrary = `ipsec-mb ${IpsecMbVariant}`;

/** The best library of this machine for AES-GCM. Loads what it finds, so it is for a time before chroot. */
export function aesGcmLibrary(): AesGcmLibrary {
  const features = processorFeatures();
  const variant = ipsecMbVariant(features);
  if (variant !== undefined && loadIpsecMb(variant) && ipsecMbWorks(variant, USUAL_CIPHER))
    return `ipsec-mb ${variant}`;
  const gnutls = hasAesInstructions(features) && loadGnuTls();
  return gnutls ? betterAesGcm(features, process.versions.openssl ?? '') : 'openssl';
}

/** Which functions of libipsec-mb suit a processor with these features, the text of /proc/cpuinfo; undefined: none. */
export function ipsecMbVariant(features: string): IpsecMbVariant | undefined {
  if (!hasAesInstructions(features)) return undefined;
  if (hasAll(features, WIDE_AES)) return 'vaes_avx512';
  return hasAll(features, ['avx', 'avx2', 'bmi1', 'bmi2']) ? 'avx_gen4' : undefined;
}

/**
 * GnuTLS, where it is there, or OpenSSL for some. OpenSSL 3.1 and newer (Node 22 has one) takes four blocks at once on
 * processors with wide AES instructions: long packets are its own then, short ones stay with the fewer calls.
 */
export function betterAesGcm(features: string, opensslVersion: string): 'gnutls' | 'by-length' {
  const [, major, minor] = /^(\d+)\.(\d+)\./.exec(opensslVersion) ?? [];
  const isNew = Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 1);
  return isNew && hasAll(features, WIDE_AES) ? 'by-length' : 'gnutls';
}

/** What OpenSSL and libipsec-mb ask for before they take four blocks at once. */
const WIDE_AES = ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'vaes', 'vpclmulqdq'];

const hasAll = (features: string, words: readonly string[]): boolean =>
  words.every((word) => new RegExp(`^flags\\s*:.* ${word}( |$)`, 'm').test(features));

/** Packet cryptography on the given arena. Unknown names and refused keys throw; a packet never does. */
export function createPacketCrypto(arena: NativeArena, aesGcm: AesGcmLibrary): PacketCrypto {
  const base = arena.address;
  return {
    arena,
    aeadKey: (cipher, direction, key): AeadKey =>
      /^AES-\d+-GCM$/i.test(cipher)
        ? aesGcmKey(aesGcm, arena, cipher, direction, key)
        : new OpenSslAeadKey(base, cipher, direction, key),
    cbcKey: (cipher, direction, key) => new OpenSslCbcKey(base, cipher, direction, key),
    feedbackKey: (cipher, direction, key) => new OpenSslFeedbackKey(base, cipher, direction, key),
    macKey: (digest, key) => new OpenSslMacKey(base, digest, key),
    random: (start, length) => randomBytesAt(base + start, length),
  };
}

function aesGcmKey(
  library: AesGcmLibrary,
  memory: NativeMemory,
  cipher: string,
  direction: 'seal' | 'open',
  key: Uint8Array,
): AeadKey {
  const { address } = memory;
  switch (library) {
    case 'ipsec-mb vaes_avx512':
      return ipsecMbOrOpenSslKey('vaes_avx512', memory, cipher, direction, key);
    case 'ipsec-mb avx_gen4':
      return ipsecMbOrOpenSslKey('avx_gen4', memory, cipher, direction, key);
    case 'gnutls':
      return new GnuTlsAeadKey(address, cipher, key);
    case 'openssl':
      return new OpenSslAeadKey(address, cipher, direction, key);
    case 'by-length':
      return new ByLengthAeadKey(
        new GnuTlsAeadKey(address, cipher, key),
        new OpenSslAeadKey(address, cipher, direction, key),
      );
    default:
      return library satisfies never;
  }
}

/** What most connections have: the library is chosen by it, so that it needs no other. */
const USUAL_CIPHER = 'AES-256-GCM';
/** Of each variant and cipher that was asked for: a key's code is the better the fewer ciphers the thread has had. */
const ipsecMbVerdicts = new Map<string, boolean>();

function ipsecMbWorks(variant: IpsecMbVariant, cipher: string): boolean {
  const name = `${variant} ${cipher.toUpperCase()}`;
  let works = ipsecMbVerdicts.get(name);
  if (works === undefined) {
    works = worksAsOpenSsl(cipher, (memory, _, key) => ipsecMbKey(variant, memory, cipher, key));
    ipsecMbVerdicts.set(name, works);
  }
  return works;
}

function ipsecMbOrOpenSslKey(
  variant: IpsecMbVariant,
  memory: NativeMemory,
  cipher: string,
  direction: 'seal' | 'open',
  key: Uint8Array,
): AeadKey {
  return ipsecMbWorks(variant, cipher)
    ? ipsecMbKey(variant, memory, cipher, key)
    : new OpenSslAeadKey(memory.address, cipher, direction, key);
}

function ipsecMbKey(
  variant: IpsecMbVariant,
  { view, address }: NativeMemory,
  cipher: string,
  key: Uint8Array,
): AeadKey {
  return new IpsecMbAeadKey(variant, view, address, cipher, key);
}

/** An arena, or any memory whose address is known. */
interface NativeMemory {
  readonly address: number;
  readonly view: DataView;
  readonly bytes: Uint8Array;
}

const SAMPLE_BYTES = 2048;
const SAMPLE_HEADER = 12;
const SAMPLE_TAG = 16;
const SAMPLE_TEXT = 64;
/** Around where such libraries have code of their own for a length, and a packet's usual one. */
const SAMPLE_LENGTHS = [1, 16, 64, 255, 256, 257, 767, 768, 769, 1424];

/**
 * Whether keys of this AES-GCM cipher that are made so seal some samples to the bytes that OpenSSL seals them to, open them
 * again, and refuse them with another tag. Functions of libipsec-mb are called past the interface that it promises to keep,
 * so a version that has changed is to be found out before it is used.
 */
export function worksAsOpenSsl(cipher: string, keyOf: KeyOf): boolean {
  const [one, other] = samples();
  const key = Uint8Array.from({ length: Number(cipher.slice(4, 7)) / 8 }, (_, index) => 7 * index + 1);
  const [seal, open] = [keyOf(one, 'seal', key), keyOf(one, 'open', key)];
  const model = new OpenSslAeadKey(other.address, cipher, 'seal', key);
  const works = SAMPLE_LENGTHS.every((length) => {
    const opens = (): boolean => open.open(0, 0, SAMPLE_HEADER, SAMPLE_TEXT, length, SAMPLE_TAG);
    for (const { bytes } of [one, other]) bytes.fill(length);
    seal.seal(0, 0, SAMPLE_HEADER, SAMPLE_TEXT, length, SAMPLE_TAG);
    model.seal(0, 0, SAMPLE_HEADER, SAMPLE_TEXT, length, SAMPLE_TAG);
    if (Buffer.compare(one.bytes, other.bytes) !== 0) return false;
    if (!opens() || one.bytes.subarray(SAMPLE_TEXT).some((byte) => byte !== (length & 0xff))) return false;
    one.bytes.set(other.bytes);
    one.bytes[SAMPLE_TAG + (length & 15)]! ^= 1;
    return !opens();
  });
  for (const each of [seal, open, model]) each.close();
  return works;
}

/** Where packets lie in memory of the same kind, for V8 makes its code for the addresses that it sees. */
function samples(): [NativeMemory, NativeMemory] {
  const { bytes, address } = createNativeArena(2 * SAMPLE_BYTES);
  const at = (start: number): NativeMemory => {
    const part = bytes.subarray(start, start + SAMPLE_BYTES);
    return { address: address + start, bytes: part, view: new DataView(bytes.buffer, start, SAMPLE_BYTES) };
  };
  return [at(0), at(SAMPLE_BYTES)];
}

type KeyOf = (memory: NativeMemory, direction: 'seal' | 'open', key: Uint8Array) => AeadKey;

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
