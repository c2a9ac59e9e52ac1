// The crypto port: what the pure rooms ask of a cryptographic library. node/ answers it with node:crypto, linux/ answers
// the packet part with OpenSSL through FFI.

/** Digest names as `--auth` takes them, upper case. */
export type DigestName = string;

/** Control-plane cryptography: few calls, allocation allowed, synchronous. */
export interface CryptoProvider {
  randomBytes(lengthBytes: number): Uint8Array;
  /** Digest length in bytes, or undefined when the library does not know the name. */
  digestLength(name: DigestName): number | undefined;
  digest(name: DigestName, ...parts: readonly Uint8Array[]): Uint8Array;
  hmac(name: DigestName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** AES-256 in counter mode; the same call encrypts and decrypts. `iv` has 16 bytes. */
  aes256Ctr(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array;
  /** Constant-time comparison; false for unequal lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** Memory that packets live in. All packet-crypto offsets count from the first byte of `bytes`; it never moves or grows. */
export interface Arena {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** An AEAD key in one direction, armed anew with a nonce for each packet. Tag 16 bytes, nonce 12. */
export interface AeadKey {
  /** Encrypts `length` bytes at `text` in place and writes the tag at `tag`. */
  seal(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): void;
  /** Decrypts in place; false when the tag does not fit (the text is then garbage and must not be used). */
  open(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): boolean;
  /** Wipes the key. Later calls are misuse and throw. */
  close(): void;
}

/** An AES-CBC (or other CBC) key in one direction, PKCS#7 padding. */
export interface CbcKey {
  readonly blockBytes: number;
  /** Encrypts `length` bytes at `text` in place (room for one more block is needed after them); returns the padded length. */
  encrypt(iv: number, text: number, length: number): number;
  /** Decrypts `length` bytes in place; returns the length without padding, or -1 when length or padding is wrong. */
  decrypt(iv: number, text: number, length: number): number;
  close(): void;
}

/** A CFB or OFB key in one direction: a stream, so that the length stays. */
export interface FeedbackKey {
  readonly ivBytes: number;
  /** Encrypts or decrypts `length` bytes at `text` in place. */
  apply(iv: number, text: number, length: number): void;
  close(): void;
}

/** An HMAC key; writes the full digest. */
export interface MacKey {
  readonly lengthBytes: number;
  /** HMAC over `length` bytes at `start`, written at `out`. */
  sign(start: number, length: number, out: number): void;
  /** Constant-time check of the digest at `mac` against the HMAC over `length` bytes at `start`. */
  verify(start: number, length: number, mac: number): boolean;
  close(): void;
}

/** Packet cryptography on one arena: no allocation for a packet, offsets as plain numbers. */
export interface PacketCrypto {
  readonly arena: Arena;
  /** `cipher` is an OpenVPN AEAD name (AES-256-GCM, ARIA-128-GCM, CHACHA20-POLY1305 …). */
  aeadKey(cipher: string, direction: 'seal' | 'open', key: Uint8Array): AeadKey;
  /** `cipher` is an OpenVPN CBC name (AES-256-CBC, BF-CBC …). */
  cbcKey(cipher: string, direction: 'seal' | 'open', key: Uint8Array): CbcKey;
  /** `cipher` is an OpenVPN name of a CFB or OFB cipher (AES-256-CFB, CAMELLIA-128-OFB …). */
  feedbackKey(cipher: string, direction: 'seal' | 'open', key: Uint8Array): FeedbackKey;
  macKey(digest: DigestName, key: Uint8Array): MacKey;
  /** Fills `length` bytes at `start` with random bytes. */
  random(start: number, length: number): void;
}
