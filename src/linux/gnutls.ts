// AES-GCM for packets with the system's GnuTLS (3.6.10 and later): nonce, associated data, text and tag in one call, in
// place, with the tag wherever the packet's format wants it. All addresses are plain numbers into the arena.

import type { AeadKey } from '../crypto/provider.ts';
import { declareFunctions, type NativeBytes, nativeBytes, systemLibrary, writeAddress } from './libc.ts';

/** `tagLength`: its address to encrypt, which may write a shorter one; itself to decrypt. */
type Crypt = (
  handle: number,
  nonce: number,
  nonceLength: number,
  associated: number,
  associatedCount: number,
  text: number,
  textCount: number,
  tag: number,
  tagLength: number,
) => number;

interface GnuTls {
  cipherId(name: string): number;
  keySize(cipher: number): number;
  init(handle: number, cipher: number, key: number): number;
  deinit(handle: number): void;
  readonly encrypt: Crypt;
  readonly decrypt: Crypt;
}

let functions: GnuTls | false | undefined;

/** Whether the system has a GnuTLS that can do this. Loads it. */
export function loadGnuTls(): boolean {
  functions ??= load() ?? false;
  return functions !== false;
}

function load(): GnuTls | undefined {
  const library = systemLibrary('libgnutls.so.30');
  if (library === undefined) return undefined;
  const gnutls = declareFunctions<GnuTls>(
    {
      cipherId: 'int gnutls_cipher_get_id(const char *)',
      keySize: 'size_t gnutls_cipher_get_key_size(int)',
      init: 'int gnutls_aead_cipher_init(uintptr_t, int, uintptr_t)',
      deinit: 'void gnutls_aead_cipher_deinit(uintptr_t)',
      encrypt:
        'int gnutls_aead_cipher_encryptv2(uintptr_t, uintptr_t, size_t, uintptr_t, int, uintptr_t, int, uintptr_t, uintptr_t)',
      decrypt:
        'int gnutls_aead_cipher_decryptv2(uintptr_t, uintptr_t, size_t, uintptr_t, int, uintptr_t, int, uintptr_t, size_t)',
    },
    library,
  );
  try {
    // Declared now: an older library without one of them is as good as none.
    return [gnutls.init, gnutls.deinit, gnutls.encrypt, gnutls.decrypt].length > 0 &&
      gnutls.cipherId('AES-256-GCM') !== 0
      ? gnutls
      : undefined;
  } catch {
    return undefined;
  }
}

const TAG_BYTES = 16;
const NONCE_BYTES = 12;

// The native record that goes with a key: iovec of the associated data, iovec of the text (each address u64, length
// u64), length of the tag (u64), handle (u64), gnutls_datum_t of the key (address u64, length u32).
const ASSOCIATED = 0;
const TEXT = 16;
const TAG_LENGTH = 32;
const HANDLE = 40;
const DATUM = 48;
const RECORD_BYTES = 64;
const LENGTH = 8;

/** An AES-GCM key; the same handle seals and opens. */
export class GnuTlsAeadKey implements AeadKey {
  readonly #gnutls: GnuTls;
  readonly #base: number;
  readonly #record: NativeBytes;
  #handle: number;

  /** Throws when `cipher` is unknown or the key has another length than it needs. `base`: native address of the arena. */
  constructor(base: number, cipher: string, key: Uint8Array) {
    if (functions === undefined || functions === false) throw new Error('GnuTLS is not loaded');
    this.#gnutls = functions;
    this.#base = base;
    this.#record = nativeBytes(RECORD_BYTES);
    this.#handle = this.#open(cipher, key);
    this.#record.view.setUint32(TAG_LENGTH, TAG_BYTES, true);
  }

  #open(cipher: string, key: Uint8Array): number {
    const id = this.#gnutls.cipherId(cipher.toUpperCase());
    if (id === 0) throw new Error(`this GnuTLS has no cipher ${cipher}`);
    const keyBytes = this.#gnutls.keySize(id); // it does not look itself
    if (key.length !== keyBytes) {
      throw new Error(`${cipher}: a key of ${key.length} bytes was refused (${keyBytes} are needed)`);
    }
    const { address, view } = this.#record;
    const copy = nativeBytes(keyBytes);
    copy.bytes.set(key);
    writeAddress(view, DATUM, copy.address);
    view.setUint32(DATUM + LENGTH, keyBytes, true);
    const result = this.#gnutls.init(address + HANDLE, id, address + DATUM);
    copy.bytes.fill(0);
    if (result !== 0) throw new Error(`GnuTLS could not take a key for ${cipher} (${result})`);
    return Number(view.getBigUint64(HANDLE, true));
  }

  seal(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): void {
    const { encrypt } = this.#gnutls;
    const tagLength = this.#record.address + TAG_LENGTH;
    if (this.#crypt(encrypt, nonce, associated, associatedLength, text, length, tag, tagLength) !== 0) {
      throw new Error('GnuTLS could not seal a packet');
    }
  }

  open(
    nonce: number,
    associated: number,
    associatedLength: number,
    text: number,
    length: number,
    tag: number,
  ): boolean {
    const { decrypt } = this.#gnutls;
    return this.#crypt(decrypt, nonce, associated, associatedLength, text, length, tag, TAG_BYTES) === 0;
  }

  #crypt(
    crypt: Crypt,
    nonce: number,
    associated: number,
    associatedLength: number,
    text: number,
    length: number,
    tag: number,
    tagLength: number,
  ): number {
    const { address } = this.#record;
    const base = this.#base;
    this.#describe(associated, associatedLength, text, length);
    return crypt(
      this.#live(),
      base + nonce,
      NONCE_BYTES,
      address + ASSOCIATED,
      1,
      address + TEXT,
      1,
      base + tag,
      tagLength,
    );
  }

  #describe(associated: number, associatedLength: number, text: number, length: number): void {
    const { view } = this.#record;
    writeAddress(view, ASSOCIATED, this.#base + associated);
    view.setUint32(ASSOCIATED + LENGTH, associatedLength, true);
    writeAddress(view, TEXT, this.#base + text);
    view.setUint32(TEXT + LENGTH, length, true);
  }

  close(): void {
    if (this.#handle !== 0) this.#gnutls.deinit(this.#handle); // wipes the key
    this.#handle = 0;
  }

  #live(): number {
    if (this.#handle === 0) throw new Error('the AEAD key is closed');
    return this.#handle;
  }
}
