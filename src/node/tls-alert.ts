// The last word of a TLS session whose peer is refused: a fatal alert, as OpenSSL would have sent it. node:tls lets every
// handshake finish (this program judges afterwards) and has no way to send an alert, so the record is made here, from the
// session's own secret, which node:tls tells as a key log line. Formats: RFC 8446, sections 5.2 and 7.3; RFC 5246, sections
// 5 and 6.3; RFC 5288 and 7905.
//
//   TLS 1.3   17 03 03 length(2)                AEAD( 02 alert 15 ) tag(16)    nonce: iv XOR sequence; associated: header
//   TLS 1.2   15 03 03 length(2) [explicit(8)]  AEAD( 02 alert ) tag(16)       associated: sequence(8) 15 03 03 0002

import { type CipherGCMTypes, createCipheriv, createHmac, randomBytes } from 'node:crypto';

const APPLICATION_DATA = 0x17;
const HANDSHAKE = 0x16;
const ALERT = 0x15;
const FATAL = 2;
const TAG_BYTES = 16;
const RANDOM_BYTES = 32;
const SERVER_HELLO = 2;
/** record header(5) | type(1) length(3) version(2) | random(32) */
const RANDOM_AT = 11;

export interface AlertFacts {
  readonly role: 'client' | 'server';
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** Standard name of the cipher suite. */
  readonly cipher: string;
}

/** What of a session is needed for one alert after its handshake. Keeps the secret until `wipe`. */
export class LastWord {
  readonly #role: 'client' | 'server';
  #secret: Buffer | undefined;
  #clientRandom: Buffer | undefined;
  /** The first bytes that the server said. */
  #hello = Buffer.alloc(0);
  readonly #in = new Records();
  readonly #out = new Records();
  /** The peer has begun to encrypt: what a server sends encrypted from then on goes by its last key. */
  #peerEncrypts = false;
  #sentEncrypted = 0;
  #over = false;

  constructor(role: 'client' | 'server') {
    this.#role = role;
  }

  /** A line as node:tls tells it: `LABEL client-random secret`, in hexadecimal. The line is wiped. */
  handleKeyLog(line: Buffer): void {
    const [label, random = '', secret = ''] = line.toString('latin1').trim().split(' ');
    line.fill(0);
    if (this.#over) return;
    const own = this.#role === 'client' ? 'CLIENT_TRAFFIC_SECRET_0' : 'SERVER_TRAFFIC_SECRET_0';
    if (label !== own && label !== 'CLIENT_RANDOM') return;
    this.#secret = Buffer.from(secret, 'hex');
    this.#clientRandom = Buffer.from(random, 'hex');
  }

  handleInput(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#role === 'client') this.#hear(bytes);
    this.#in.handle(bytes, (type) => {
      if (type === APPLICATION_DATA) this.#peerEncrypts = true;
    });
  }

  handleOutput(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#role === 'server') this.#hear(bytes);
    this.#out.handle(bytes, (type) => {
      if (type === APPLICATION_DATA && this.#peerEncrypts) this.#sentEncrypted++;
    });
  }

  /** The record of a fatal alert, or undefined where it can't be made (a suite with CBC, for instance). */
  seal(alert: number, { version, cipher }: Omit<AlertFacts, 'role'>): Uint8Array | undefined {
    const secret = this.#secret;
    const suite = suiteOf(cipher);
    if (secret === undefined || suite === undefined || this.#over) return undefined;
    if (version === 'TLSv1.3') {
      // A client has sent nothing under this key; a server its tickets.
      return seal13(secret, suite, this.#role === 'client' ? 0 : this.#sentEncrypted, alert);
    }
    const serverRandom = randomOf(this.#hello);
    if (version !== 'TLSv1.2' || serverRandom === undefined || this.#clientRandom === undefined) return undefined;
    const randoms = Buffer.concat([serverRandom, this.#clientRandom]);
    return seal12(secret, randoms, suite, this.#role, alert);
  }

  wipe(): void {
    this.#over = true;
    this.#secret?.fill(0);
    this.#secret = undefined;
    this.#hello = Buffer.alloc(0);
  }

  #hear(bytes: Uint8Array): void {
    const missing = RANDOM_AT + RANDOM_BYTES - this.#hello.length;
    if (missing > 0) this.#hello = Buffer.concat([this.#hello, bytes.subarray(0, missing)]);
  }
}

/** Tells the types of the records in a stream that is cut anywhere. */
class Records {
  readonly #header = new Uint8Array(5);
  #have = 0;
  #skip = 0;

  handle(bytes: Uint8Array, tell: (type: number) => void): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, bytes.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      this.#header[this.#have++] = bytes[at++] ?? 0;
      if (this.#have < this.#header.length) continue;
      this.#have = 0;
      this.#skip = ((this.#header[3] ?? 0) << 8) | (this.#header[4] ?? 0);
      tell(this.#header[0] ?? 0);
    }
  }
}

interface Suite {
  readonly cipher: string;
  readonly keyBytes: number;
  readonly hash: 'sha256' | 'sha384';
}

function suiteOf(name: string): Suite | undefined {
  const hash = name.endsWith('_SHA384') ? 'sha384' : 'sha256';
  if (name.includes('CHACHA20_POLY1305')) return { cipher: 'chacha20-poly1305', keyBytes: 32, hash };
  const bits = /_AES_(128|256)_GCM_/.exec(name)?.[1];
  return bits === undefined ? undefined : { cipher: `aes-${bits}-gcm`, keyBytes: Number(bits) / 8, hash };
}

function seal13(secret: Buffer, { cipher, keyBytes, hash }: Suite, sequence: number, alert: number): Uint8Array {
  const key = expandLabel(secret, 'key', keyBytes, hash);
  const nonce = maskedBy(expandLabel(secret, 'iv', 12, hash), sequence);
  const text = Uint8Array.of(FATAL, alert, ALERT);
  const header = Uint8Array.of(APPLICATION_DATA, 3, 3, 0, text.length + TAG_BYTES);
  return Buffer.concat([header, sealed(cipher, key, nonce, header, text)]);
}

/** The first record after Finished, whose sequence number is 1 at either end. */
function seal12(
  master: Buffer,
  randoms: Buffer,
  { cipher, keyBytes, hash }: Suite,
  role: 'client' | 'server',
  alert: number,
): Uint8Array {
  const isGcm = cipher.endsWith('gcm');
  const ivBytes = isGcm ? 4 : 12;
  const block = expand(master, Buffer.concat([Buffer.from('key expansion'), randoms]), 2 * (keyBytes + ivBytes), hash);
  const half = role === 'client' ? 0 : 1;
  const key = block.subarray(half * keyBytes, (half + 1) * keyBytes);
  const iv = block.subarray(2 * keyBytes + half * ivBytes, 2 * keyBytes + (half + 1) * ivBytes);
  const explicit = isGcm ? randomBytes(8) : Buffer.alloc(0);
  const nonce = isGcm ? Buffer.concat([iv, explicit]) : maskedBy(iv, 1);
  const text = Uint8Array.of(FATAL, alert);
  const associated = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, ALERT, 3, 3, 0, text.length);
  const body = sealed(cipher, key, nonce, associated, text);
  return Buffer.concat([Uint8Array.of(ALERT, 3, 3, 0, explicit.length + body.length), explicit, body]);
}

function sealed(cipher: string, key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, text: Uint8Array): Buffer {
  const sealing = createCipheriv(cipher as CipherGCMTypes, key, nonce, { authTagLength: TAG_BYTES });
  sealing.setAAD(associated);
  return Buffer.concat([sealing.update(text), sealing.final(), sealing.getAuthTag()]);
}

function maskedBy(iv: Buffer, sequence: number): Buffer {
  const nonce = Buffer.from(iv);
  const last = nonce.length - 1;
  nonce[last] = (nonce[last] ?? 0) ^ sequence;
  return nonce;
}

/** HKDF-Expand-Label; no label here needs more than one block. */
function expandLabel(secret: Buffer, label: string, lengthBytes: number, hash: string): Buffer {
  const text = `tls13 ${label}`;
  const info = Buffer.concat([Uint8Array.of(0, lengthBytes, text.length), Buffer.from(text), Uint8Array.of(0, 1)]);
  return createHmac(hash, secret).update(info).digest().subarray(0, lengthBytes);
}

/** The PRF of TLS 1.2. */
function expand(secret: Buffer, seed: Buffer, lengthBytes: number, hash: string): Buffer {
  const blocks: Buffer[] = [];
  let a = seed;
  for (let have = 0; have < lengthBytes; have += blocks.at(-1)?.length ?? lengthBytes) {
    a = createHmac(hash, secret).update(a).digest();
    blocks.push(createHmac(hash, secret).update(a).update(seed).digest());
  }
  return Buffer.concat(blocks).subarray(0, lengthBytes);
}

function randomOf(hello: Buffer): Buffer | undefined {
  if (hello.length < RANDOM_AT + RANDOM_BYTES || hello[0] !== HANDSHAKE || hello[5] !== SERVER_HELLO) return undefined;
  return hello.subarray(RANDOM_AT, RANDOM_AT + RANDOM_BYTES);
}
