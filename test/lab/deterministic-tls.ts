// A TLS engine without TLS, for tests with a virtual clock: the shape of the real thing (two flights, several packets of
// certificate, records that refuse a flipped bit, answers on a later turn), and nothing left to chance. It protects
// nothing.
//
// Records: type(1) | length(2) | checksum(4) | body.

import { createHash } from 'node:crypto';
import type {
  PeerCertificate,
  TlsEngine,
  TlsEngineFactory,
  TlsEstablished,
  TlsFailure,
  TlsListener,
} from '../../src/control/tls-engine.ts';
import { concatBytes, Writer } from '../../src/wire/writer.ts';

const HELLO = 1;
const FINISHED = 2;
const DATA = 3;
const ALERT = 4;
const HEADER_BYTES = 7;

export interface DeterministicTlsOptions {
  /** Names this end; its certificate says so. */
  readonly name: string;
  /** Distinguishes handshakes: each engine takes the next number. */
  readonly seed: number;
  /** Bytes of certificate in the hello. */
  readonly certificateBytes?: number;
  /** What the engine reports about its peer beside the chain. */
  readonly report?: Partial<TlsEstablished>;
  /** The same for a peer of this name. */
  readonly reportOf?: (name: string) => Partial<TlsEstablished>;
  /** What is said inside in place of what should be. */
  readonly mangle?: (plaintext: Uint8Array) => Uint8Array;
  /** The engine refuses the handshake with an alert to the peer. */
  readonly refuse?: boolean;
}

/** Makes engines; nothing reaches a listener before `pump`. */
export class DeterministicTls implements TlsEngineFactory {
  readonly #options: DeterministicTlsOptions;
  #count = 0;
  readonly #open = new Set<Engine>();
  #later: (() => void)[] = [];

  constructor(options: DeterministicTlsOptions) {
    this.#options = options;
  }

  get created(): number {
    return this.#count;
  }

  /** Engines that were not closed. */
  get open(): number {
    for (const engine of this.#open) if (engine.over) this.#open.delete(engine);
    return this.#open.size;
  }

  create(role: 'client' | 'server', listener: TlsListener): TlsEngine {
    const random = digest(`${this.#options.name}/${this.#options.seed}/${this.#count++}`);
    const engine = new Engine(role, listener, random, this.#options, (callback) => this.#later.push(callback));
    this.#open.add(engine);
    return engine;
  }

  /** Delivers what was said since; returns whether there was anything. */
  pump(): boolean {
    const batch = this.#later.splice(0);
    for (const callback of batch) callback();
    return batch.length > 0;
  }
}

class Engine implements TlsEngine {
  readonly #role: 'client' | 'server';
  readonly #listener: TlsListener;
  readonly #random: Uint8Array;
  readonly #options: DeterministicTlsOptions;
  readonly #later: (callback: () => void) => void;
  #input: Uint8Array = new Uint8Array(0);
  #peerRandom: Uint8Array | undefined;
  #peerName = '';
  #established = false;
  #over = false;

  constructor(
    role: 'client' | 'server',
    listener: TlsListener,
    random: Uint8Array,
    options: DeterministicTlsOptions,
    later: (callback: () => void) => void,
  ) {
    this.#role = role;
    this.#listener = listener;
    this.#random = random;
    this.#options = options;
    this.#later = later;
    if (role === 'client') this.#hello();
  }

  get over(): boolean {
    return this.#over;
  }

  handleCiphertext(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#input = concatBytes(this.#input, bytes);
    while (this.#input.length >= HEADER_BYTES) {
      const view = new DataView(this.#input.buffer, this.#input.byteOffset);
      const length = view.getUint16(1);
      if (this.#input.length < HEADER_BYTES + length) return;
      const body = this.#input.subarray(HEADER_BYTES, HEADER_BYTES + length);
      const good = checksum(this.#input[0] ?? 0, body) === view.getUint32(3);
      const type = this.#input[0] ?? 0;
      this.#input = this.#input.slice(HEADER_BYTES + length);
      if (!good) {
        this.#fail({ origin: 'local', code: 'BAD_RECORD', text: 'bad record checksum' });
        return;
      }
      this.#handleRecord(type, body);
      if (this.#over) return;
    }
  }

  handlePlaintext(bytes: Uint8Array): void {
    if (!this.#established) throw new Error('plaintext before the handshake');
    this.#record(DATA, mask(this.#options.mangle?.(bytes) ?? bytes));
    this.#tell(() => this.#listener.flushed());
  }

  exportKeyingMaterial(lengthBytes: number, label: string): Uint8Array {
    const peer = this.#peerRandom;
    if (peer === undefined) throw new Error('exporter before the handshake');
    const [client, server] = this.#role === 'client' ? [this.#random, peer] : [peer, this.#random];
    const out = new Uint8Array(lengthBytes);
    for (let at = 0, block = 0; at < lengthBytes; at += 32, block++) {
      out.set(digest(label, client, server, Uint8Array.of(block)).subarray(0, lengthBytes - at), at);
    }
    return out;
  }

  refuse(): void {
    this.#record(ALERT, new Uint8Array(0));
    this.#fail({ origin: 'local', code: 'PEER_REFUSED', text: 'the peer was refused' });
  }

  close(): void {
    this.#over = true;
  }

  #handleRecord(type: number, body: Uint8Array): void {
    if (type === HELLO && this.#peerRandom === undefined) this.#handleHello(body);
    else if (type === FINISHED && this.#role === 'server' && this.#peerRandom !== undefined && !this.#established) {
      this.#establish();
    } else if (type === DATA && this.#established) this.#tell(() => this.#listener.plaintext(mask(body)));
    else if (type === ALERT)
      this.#fail({ origin: 'alert', code: 'ALERT_HANDSHAKE_FAILURE', text: 'handshake failure' });
    else this.#fail({ origin: 'local', code: 'UNEXPECTED_MESSAGE', text: `unexpected record ${type}` });
  }

  #handleHello(body: Uint8Array): void {
    if (this.#options.refuse === true) {
      this.#record(ALERT, new Uint8Array(0));
      this.#fail({ origin: 'local', code: 'REFUSED', text: 'this end refuses' });
      return;
    }
    this.#peerRandom = body.slice(0, 32);
    this.#peerName = new TextDecoder().decode(body.slice(33, 33 + (body[32] ?? 0)));
    if (this.#role === 'server') {
      this.#hello();
      return;
    }
    this.#record(FINISHED, digest('finished', this.#random, this.#peerRandom));
    this.#establish();
  }

  #hello(): void {
    const name = new TextEncoder().encode(this.#options.name);
    const certificate = new Uint8Array(this.#options.certificateBytes ?? 2500).fill(0x43);
    this.#record(HELLO, concatBytes(this.#random, Uint8Array.of(name.length), name, certificate));
  }

  #establish(): void {
    this.#established = true;
    const info: TlsEstablished = {
      version: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      temporaryKey: undefined,
      resumed: false,
      chain: [certificateOf(this.#peerName)],
      verdict: { trusted: true },
      ...this.#options.report,
      ...this.#options.reportOf?.(this.#peerName),
    };
    this.#tell(() => this.#listener.established(info));
  }

  #record(type: number, body: Uint8Array): void {
    const bytes = new Writer(HEADER_BYTES + body.length)
      .u8(type)
      .u16(body.length)
      .u32(checksum(type, body))
      .bytes(body)
      .finish();
    this.#tell(() => this.#listener.ciphertext(bytes));
  }

  #fail(failure: TlsFailure): void {
    this.#tell(() => this.#listener.failed(failure));
    this.#later(() => {
      this.#over = true;
    });
  }

  #tell(callback: () => void): void {
    this.#later(() => {
      if (!this.#over) callback();
    });
  }
}

/** A certificate that is good for everything, valid around 2026. */
export function certificateOf(name: string, change: Partial<PeerCertificate> = {}): PeerCertificate {
  return {
    depth: 0,
    der: new Uint8Array(0),
    pem: '',
    subject: `C=DE, O=Lab, CN=${name}`,
    issuer: 'CN=Lab CA',
    subjectFields: [['CN', name]],
    commonName: name,
    serialHex: '1F',
    notBefore: 1_700_000_000,
    notAfter: 1_900_000_000,
    sha1: digest('sha1', new TextEncoder().encode(name)).slice(0, 20),
    sha256: digest('sha256', new TextEncoder().encode(name)),
    keyUsage: 0xa000,
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    netscapeCertType: undefined,
    isCa: false,
    keyDescription: '384 bits ECsecp384r1',
    signatureAlgorithm: 'ecdsa-with-SHA256',
    subjectAltNames: [],
    issuerAltNames: [],
    ...change,
  };
}

function mask(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => byte ^ 0x5a);
}

function checksum(type: number, body: Uint8Array): number {
  const hash = digest('record', Uint8Array.of(type), body);
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0);
}

function digest(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256').update(label);
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
