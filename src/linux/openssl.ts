// Packet cryptography with the OpenSSL that the Node binary carries: one long-lived EVP context for each key and
// direction, armed anew with a nonce for each packet. All addresses are plain numbers into the arena.

import type { AeadKey, CbcKey, FeedbackKey, MacKey } from '../crypto/provider.ts';
import { declareFunctions, type NativeBytes, nativeBytes, writeAddress } from './libc.ts';

/** Random bytes at a native address. */
export function randomBytesAt(address: number, length: number): void {
  if (openssl.randomBytes(address, length) !== 1) throw new Error('RAND_bytes failed');
}

/** Those of the given OpenVPN cipher names that this OpenSSL has, with the providers loaded now. */
export function availableCiphers(names: readonly string[]): string[] {
  return names.filter((name) => {
    const cipher = openssl.cipherFetch(0, opensslCipherName(name), 0);
    if (cipher !== 0) openssl.cipherFree(cipher);
    return cipher !== 0;
  });
}

/** Those of the given digest names that this OpenSSL has. */
export function availableDigests(names: readonly string[]): string[] {
  return names.filter((name) => {
    const digest = openssl.digestFetch(0, name, 0);
    if (digest !== 0) openssl.digestFree(digest);
    return digest !== 0;
  });
}

/** Loads OpenSSL's legacy provider beside the default one (`--providers legacy default`); false when it is not there. */
export function loadProvider(name: string): boolean {
  return openssl.providerLoad(0, name) !== 0;
}

interface OpenSsl {
  cipherFetch(library: number, name: string, properties: number): number;
  cipherFree(cipher: number): void;
  cipherKeyLength(cipher: number): number;
  cipherIvLength(cipher: number): number;
  cipherBlockBytes(cipher: number): number;
  digestFetch(library: number, name: string, properties: number): number;
  digestFree(digest: number): void;
  contextNew(): number;
  contextFree(context: number): void;
  contextParameters(context: number, parameters: number): number;
  cipherInit(context: number, cipher: number, engine: number, key: number, iv: number, encrypt: number): number;
  cipherInitWith(context: number, cipher: number, key: number, iv: number, encrypt: number, parameters: number): number;
  cipherUpdate(context: number, out: number, outLength: number, input: number, length: number): number;
  cipherFinal(context: number, out: number, outLength: number): number;
  macFetch(library: number, name: string, properties: number): number;
  macFree(mac: number): void;
  macContextNew(mac: number): number;
  macContextFree(context: number): void;
  macInit(context: number, key: number, keyLength: number, parameters: number): number;
  macUpdate(context: number, data: number, length: number): number;
  macFinal(context: number, out: number, outLength: number, outSize: number): number;
  macSize(context: number): number;
  randomBytes(address: number, length: number): number;
  compare(a: number, b: number, length: number): number;
  providerLoad(library: number, name: string): number;
}

const openssl = declareFunctions<OpenSsl>({
  cipherFetch: 'uintptr_t EVP_CIPHER_fetch(uintptr_t, const char *, uintptr_t)',
  cipherFree: 'void EVP_CIPHER_free(uintptr_t)',
  cipherKeyLength: 'int EVP_CIPHER_get_key_length(uintptr_t)',
  cipherIvLength: 'int EVP_CIPHER_get_iv_length(uintptr_t)',
  cipherBlockBytes: 'int EVP_CIPHER_get_block_size(uintptr_t)',
  digestFetch: 'uintptr_t EVP_MD_fetch(uintptr_t, const char *, uintptr_t)',
  digestFree: 'void EVP_MD_free(uintptr_t)',
  contextNew: 'uintptr_t EVP_CIPHER_CTX_new()',
  contextFree: 'void EVP_CIPHER_CTX_free(uintptr_t)',
  contextParameters: 'int EVP_CIPHER_CTX_get_params(uintptr_t, uintptr_t)',
  cipherInit: 'int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  cipherInitWith: 'int EVP_CipherInit_ex2(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int, uintptr_t)',
  cipherUpdate: 'int EVP_CipherUpdate(uintptr_t, uintptr_t, uintptr_t, uintptr_t, int)',
  cipherFinal: 'int EVP_CipherFinal_ex(uintptr_t, uintptr_t, uintptr_t)',
  macFetch: 'uintptr_t EVP_MAC_fetch(uintptr_t, const char *, uintptr_t)',
  macFree: 'void EVP_MAC_free(uintptr_t)',
  macContextNew: 'uintptr_t EVP_MAC_CTX_new(uintptr_t)',
  macContextFree: 'void EVP_MAC_CTX_free(uintptr_t)',
  macInit: 'int EVP_MAC_init(uintptr_t, uintptr_t, size_t, uintptr_t)',
  macUpdate: 'int EVP_MAC_update(uintptr_t, uintptr_t, size_t)',
  macFinal: 'int EVP_MAC_final(uintptr_t, uintptr_t, uintptr_t, size_t)',
  macSize: 'size_t EVP_MAC_CTX_get_mac_size(uintptr_t)',
  randomBytes: 'int RAND_bytes(uintptr_t, int)',
  compare: 'int CRYPTO_memcmp(uintptr_t, uintptr_t, size_t)',
  providerLoad: 'uintptr_t OSSL_PROVIDER_load(uintptr_t, const char *)',
});

// The tag has 16 bytes with every cipher here.
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const KEEP_DIRECTION = -1;
const MAX_DIGEST_BYTES = 64;

let scratchMemory: ReturnType<typeof makeScratch> | undefined;

/** Per thread: where OpenSSL writes lengths and digests to compare, and where keys pass through. */
function scratch(): ReturnType<typeof makeScratch> {
  scratchMemory ??= makeScratch();
  return scratchMemory;
}

function makeScratch() {
  return { length: nativeBytes(64), digest: nativeBytes(MAX_DIGEST_BYTES) };
}

/** OpenVPN's name for a cipher, as OpenSSL fetches it: equal but for the case of ChaCha20. */
function opensslCipherName(name: string): string {
  return name.toUpperCase() === 'CHACHA20-POLY1305' ? 'ChaCha20-Poly1305' : name;
}

/** Calls with the native address of a copy of the key, and wipes the copy. */
function withKey<T>(key: Uint8Array, use: (address: number) => T): T {
  // At least one byte: OpenSSL takes the null address for "no key".
  const copy = nativeBytes(Math.max(key.length, 64));
  copy.bytes.set(key);
  try {
    return use(copy.address);
  } finally {
    copy.bytes.fill(0);
  }
}

function openContext(
  name: string,
  direction: 'seal' | 'open',
  key: Uint8Array,
): { context: number; ivBytes: number; blockBytes: number } {
  const cipher = openssl.cipherFetch(0, opensslCipherName(name), 0);
  if (cipher === 0) throw new Error(`this OpenSSL has no cipher ${name}`);
  const keyBytes = openssl.cipherKeyLength(cipher);
  const ivBytes = openssl.cipherIvLength(cipher);
  const blockBytes = openssl.cipherBlockBytes(cipher);
  const context = key.length === keyBytes ? openssl.contextNew() : 0;
  const encrypt = direction === 'seal' ? 1 : 0;
  const armed =
    context !== 0 && withKey(key, (address) => openssl.cipherInit(context, cipher, 0, address, 0, encrypt)) === 1;
  openssl.cipherFree(cipher); // the context holds its own reference
  if (!armed) {
    if (context !== 0) openssl.contextFree(context);
    throw new Error(`${name}: a key of ${key.length} bytes was refused (${keyBytes} are needed)`);
  }
  return { context, ivBytes, blockBytes };
}

export class OpenSslAeadKey implements AeadKey {
  #context: number;
  readonly #base: number;
  readonly #outLength: number;
  /** `{ tag: 16 bytes at … }`, with the address written anew for each packet. */
  readonly #tag: NativeBytes;

  constructor(base: number, cipher: string, direction: 'seal' | 'open', key: Uint8Array) {
    const { context, ivBytes } = openContext(cipher, direction, key);
    if (ivBytes !== NONCE_BYTES) {
      openssl.contextFree(context);
      throw new Error(`${cipher} is no AEAD cipher with a nonce of ${NONCE_BYTES} bytes`);
    }
    this.#context = context;
    this.#base = base;
    this.#outLength = scratch().length.address;
    this.#tag = tagParameters();
  }

  seal(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): void {
    const context = this.#live();
    const base = this.#base;
    const ok =
      openssl.cipherInit(context, 0, 0, 0, base + nonce, KEEP_DIRECTION) === 1 &&
      openssl.cipherUpdate(context, 0, this.#outLength, base + associated, associatedLength) === 1 &&
      openssl.cipherUpdate(context, base + text, this.#outLength, base + text, length) === 1 &&
      openssl.cipherFinal(context, base + text, this.#outLength) === 1 &&
      openssl.contextParameters(context, this.#tagAt(base + tag)) === 1;
    if (!ok) throw new Error('OpenSSL could not seal a packet');
  }

  open(
    nonce: number,
    associated: number,
    associatedLength: number,
    text: number,
    length: number,
    tag: number,
  ): boolean {
    const context = this.#live();
    const base = this.#base;
    return (
      openssl.cipherInitWith(context, 0, 0, base + nonce, KEEP_DIRECTION, this.#tagAt(base + tag)) === 1 &&
      openssl.cipherUpdate(context, 0, this.#outLength, base + associated, associatedLength) === 1 &&
      openssl.cipherUpdate(context, base + text, this.#outLength, base + text, length) === 1 &&
      openssl.cipherFinal(context, base + text, this.#outLength) === 1
    );
  }

  #tagAt(address: number): number {
    const { address: parameters, view } = this.#tag;
    writeAddress(view, PARAM_DATA, address);
    return parameters;
  }

  close(): void {
    if (this.#context !== 0) openssl.contextFree(this.#context); // wipes the key
    this.#context = 0;
  }

  #live(): number {
    if (this.#context === 0) throw new Error('the AEAD key is closed');
    return this.#context;
  }
}

export class OpenSslCbcKey implements CbcKey {
  readonly blockBytes: number;
  #context: number;
  readonly #base: number;
  readonly #out = scratch().length;

  constructor(base: number, cipher: string, direction: 'seal' | 'open', key: Uint8Array) {
    const { context, blockBytes, ivBytes } = openContext(cipher, direction, key);
    if (ivBytes !== blockBytes || blockBytes < 8) {
      openssl.contextFree(context);
      throw new Error(`${cipher} is no CBC cipher`);
    }
    this.#context = context;
    this.#base = base;
    this.blockBytes = blockBytes;
  }

  encrypt(iv: number, text: number, length: number): number {
    const total = this.#run(iv, text, length);
    if (total < 0) throw new Error('OpenSSL could not encrypt a packet');
    return total;
  }

  decrypt(iv: number, text: number, length: number): number {
    return length === 0 || length % this.blockBytes !== 0 ? -1 : this.#run(iv, text, length);
  }

  #run(iv: number, text: number, length: number): number {
    const context = this.#context;
    if (context === 0) throw new Error('the CBC key is closed');
    const at = this.#base + text;
    const { address, view } = this.#out;
    if (openssl.cipherInit(context, 0, 0, 0, this.#base + iv, KEEP_DIRECTION) !== 1) return -1;
    if (openssl.cipherUpdate(context, at, address, at, length) !== 1) return -1;
    const written = view.getInt32(0, true);
    if (openssl.cipherFinal(context, at + written, address) !== 1) return -1;
    return written + view.getInt32(0, true);
  }

  close(): void {
    if (this.#context !== 0) openssl.contextFree(this.#context);
    this.#context = 0;
  }
}

export class OpenSslFeedbackKey implements FeedbackKey {
  readonly ivBytes: number;
  #context: number;
  readonly #base: number;
  readonly #outLength = scratch().length.address;

  constructor(base: number, cipher: string, direction: 'seal' | 'open', key: Uint8Array) {
    if (!/-(?:CFB[18]?|OFB)$/i.test(cipher)) throw new Error(`${cipher} is no CFB or OFB cipher`);
    const { context, ivBytes } = openContext(cipher, direction, key);
    this.#context = context;
    this.#base = base;
    this.ivBytes = ivBytes;
  }

  apply(iv: number, text: number, length: number): void {
    const context = this.#context;
    if (context === 0) throw new Error('the key is closed');
    const at = this.#base + text;
    const ok =
      openssl.cipherInit(context, 0, 0, 0, this.#base + iv, KEEP_DIRECTION) === 1 &&
      openssl.cipherUpdate(context, at, this.#outLength, at, length) === 1;
    if (!ok) throw new Error('OpenSSL could not encrypt or decrypt a packet');
  }

  close(): void {
    if (this.#context !== 0) openssl.contextFree(this.#context);
    this.#context = 0;
  }
}

export class OpenSslMacKey implements MacKey {
  readonly lengthBytes: number;
  #context: number;
  readonly #base: number;
  readonly #outLength: number;
  readonly #digest: number;

  constructor(base: number, digest: string, key: Uint8Array) {
    const mac = openssl.macFetch(0, 'HMAC', 0);
    const context = mac === 0 ? 0 : openssl.macContextNew(mac);
    if (mac !== 0) openssl.macFree(mac); // the context holds its own reference
    const parameters = digestParameters(digest);
    if (context === 0 || withKey(key, (a) => openssl.macInit(context, a, key.length, parameters.address)) !== 1) {
      if (context !== 0) openssl.macContextFree(context);
      throw new Error(`this OpenSSL has no digest ${digest} for HMAC`);
    }
    parameters.bytes.fill(0); // in use until here: what native code reads must stay referenced
    this.lengthBytes = openssl.macSize(context);
    this.#context = context;
    this.#base = base;
    this.#outLength = scratch().length.address;
    this.#digest = scratch().digest.address;
  }

  sign(start: number, length: number, out: number): void {
    this.#compute(start, length, this.#base + out);
  }

  verify(start: number, length: number, mac: number): boolean {
    this.#compute(start, length, this.#digest);
    return openssl.compare(this.#digest, this.#base + mac, this.lengthBytes) === 0;
  }

  #compute(start: number, length: number, out: number): void {
    const context = this.#context;
    if (context === 0) throw new Error('the HMAC key is closed');
    const ok =
      openssl.macInit(context, 0, 0, 0) === 1 && // the same key again
      openssl.macUpdate(context, this.#base + start, length) === 1 &&
      openssl.macFinal(context, out, this.#outLength, this.lengthBytes) === 1;
    if (!ok) throw new Error('OpenSSL could not compute an HMAC');
  }

  close(): void {
    if (this.#context !== 0) openssl.macContextFree(this.#context);
    this.#context = 0;
  }
}

// OSSL_PARAM (40 bytes): name u64 | type u32 | data u64 at 16 | size u64 at 24 | returned size u64; the last has no name.
const OSSL_PARAM_BYTES = 40;
const PARAM_DATA = 16;
const OSSL_PARAM_OCTET_STRING = 5;
const OSSL_PARAM_UTF8_STRING = 4;

/** The native form of `{ "tag": 16 bytes }`: two OSSL_PARAM and the name; where the bytes are is still to be written. */
function tagParameters(): NativeBytes {
  const strings = 2 * OSSL_PARAM_BYTES;
  const memory = nativeBytes(strings + 8);
  memory.bytes.set(Buffer.from('tag\0', 'latin1'), strings);
  const { view, address } = memory;
  writeAddress(view, 0, address + strings);
  view.setUint32(8, OSSL_PARAM_OCTET_STRING, true);
  view.setBigUint64(24, BigInt(TAG_BYTES), true);
  return memory;
}

/** The native form of `{ "digest": name }`: two OSSL_PARAM (key, type, data, size, returned size) and their two strings. */
function digestParameters(name: string): ReturnType<typeof nativeBytes> {
  const text = Buffer.from(`digest\0${name}\0`, 'latin1');
  const memory = nativeBytes(2 * OSSL_PARAM_BYTES + text.length);
  const strings = 2 * OSSL_PARAM_BYTES;
  memory.bytes.set(text, strings);
  const { view, address } = memory;
  writeAddress(view, 0, address + strings);
  view.setUint32(8, OSSL_PARAM_UTF8_STRING, true);
  writeAddress(view, PARAM_DATA, address + strings + 7);
  view.setBigUint64(24, BigInt(name.length), true);
  return memory;
}
