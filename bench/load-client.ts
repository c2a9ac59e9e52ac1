// One client of a load test: Sallyport's own session over a socket of its own, without a tunnel. It answers the push,
// keeps its data keys, sends pings and opens what the server sends.

import { createSocket, type Socket } from 'node:dgram';
import type { TlsEngineFactory } from '../src/control/tls-engine.ts';
import type { WrapOptions } from '../src/control/wrap-options.ts';
import type { CryptoProvider, PacketCrypto } from '../src/crypto/provider.ts';
import { createArena, type PacketSpan } from '../src/data/arena.ts';
import { closeDataKey, createDataKey, type DataKey } from '../src/data/data-key.ts';
import { openPacket } from '../src/data/open.ts';
import { DATA_V2, sealPacket, V2_HEADER_BYTES } from '../src/data/seal.ts';
import { PASS } from '../src/data/verdict.ts';
import { createNodeCrypto } from '../src/node/crypto-provider.ts';
import { createNodePacketCrypto } from '../src/node/packet-crypto.ts';
import type { SessionEnd, SessionEvent } from '../src/session/event.ts';
import type { SessionPush } from '../src/session/options.ts';
import { createSession, type Instants, type Session } from '../src/session/session.ts';
import { PING, parseInBand } from '../src/wire/in-band.ts';
import { NO_KEEPALIVE, PUSH, sessionOptions } from '../test/lab/session-pair.ts';
import { nowOf } from './instants.ts';

/** What all clients of one process share. */
export interface LoadShared {
  readonly tls: TlsEngineFactory;
  readonly crypto: CryptoProvider;
  readonly packets: PacketCrypto;
  readonly wrap: WrapOptions;
}

/** Where the one packet under work lies: nonce first, then headroom. */
const NONCE_AT = 0;
const PACKET_AT = 256;
const ARENA_BYTES = 4096;

export function createLoadShared(tls: TlsEngineFactory, wrap: WrapOptions): LoadShared {
  return { tls, crypto: createNodeCrypto(), packets: createNodePacketCrypto(createArena(ARENA_BYTES)), wrap };
}

export interface LoadTarget {
  readonly host: string;
  readonly port: number;
}

export interface LoadObserver {
  /** The first data keys are there: the server's push was answered. */
  up(client: LoadClient): void;
  renegotiated(client: LoadClient): void;
  /** The session is over, before or after it was up; `cause` is one of few words or codes. */
  ended(client: LoadClient, cause: string): void;
}

/** What came on the data channel, of all clients that count here. */
export interface DataCount {
  pings: number;
  packets: number;
  bad: number;
}

export class LoadClient {
  readonly #shared: LoadShared;
  readonly #target: LoadTarget;
  readonly #observer: LoadObserver;
  readonly #count: DataCount;
  readonly #session: Session;
  readonly #socket: Socket;
  readonly #keys = new Map<number, DataKey>();
  #timer: NodeJS.Timeout | undefined;
  #sending: number | undefined;
  #peerId = 0;
  #pingMs = 0;
  #nextPingMs = Number.POSITIVE_INFINITY;
  #wasUp = false;
  #closed = false;

  /** Nothing is sent before `start`. What comes on the data channel counts in `count`. */
  constructor(shared: LoadShared, target: LoadTarget, observer: LoadObserver, count: DataCount) {
    this.#shared = shared;
    this.#target = target;
    this.#observer = observer;
    this.#count = count;
    this.#socket = createSocket('udp4');
    this.#session = createSession(sessionOptions('client', { wrap: shared.wrap }), {
      crypto: shared.crypto,
      tls: shared.tls,
      log: () => {},
      wake: () => this.#drive((now) => this.#session.handleWake(now)),
    });
  }

  get isUp(): boolean {
    return this.#wasUp && !this.#closed;
  }

  start(): void {
    this.#socket.on('message', (bytes) => this.#receive(bytes));
    this.#socket.on('error', (error) => this.#session.handleLinkRefused(error.message));
    this.#socket.bind(0, '127.0.0.1', () => {
      if (this.#closed) return;
      this.#socket.connect(this.#target.port, this.#target.host, () =>
        this.#drive((now) => this.#session.start(now, `${this.#target.host}:${this.#target.port}`)),
      );
    });
  }

  /** Sends a ping if one is due. */
  tick(nowMs: number): void {
    if (nowMs < this.#nextPingMs || this.#closed) return;
    this.#nextPingMs = nowMs + this.#pingMs;
    this.#sendInBand(PING);
  }

  /** Ends without a word, as a client that lost its power. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const key of this.#keys.values()) closeDataKey(key);
    this.#keys.clear();
    this.#session.close();
    this.#socket.close();
  }

  #receive(bytes: Buffer): void {
    if (this.#closed) return;
    if ((bytes[0] ?? 0) >> 3 !== DATA_V2) this.#drive((now) => this.#session.handleControl(bytes, now));
    else this.#open(bytes);
  }

  #open(bytes: Uint8Array): void {
    const keyId = (bytes[0] ?? 0) & 7;
    const { packets } = this.#shared;
    for (const key of this.#keys.values()) {
      if (key.keyId !== keyId || bytes.length > ARENA_BYTES - PACKET_AT) continue;
      packets.arena.bytes.set(bytes, PACKET_AT);
      const span: PacketSpan = { offset: PACKET_AT, length: bytes.length };
      if (openPacket(packets, key, V2_HEADER_BYTES, span, NONCE_AT, performance.now()) !== PASS) continue;
      this.#opened(packets.arena.bytes.slice(span.offset, span.offset + span.length));
      return;
    }
    this.#count.bad++;
  }

  #opened(payload: Uint8Array): void {
    this.#count.packets++;
    const message = parseInBand(payload);
    if (message?.type === 'ping') this.#count.pings++;
    else if (message?.type === 'exit') this.#drive((now) => this.#session.handleInBand(payload, now));
  }

  #sendInBand(payload: Uint8Array): void {
    const key = this.#sending === undefined ? undefined : this.#keys.get(this.#sending);
    if (key === undefined) return;
    const { packets } = this.#shared;
    packets.arena.bytes.set(payload, PACKET_AT);
    const span: PacketSpan = { offset: PACKET_AT, length: payload.length };
    if (sealPacket(packets, key, this.#peerId, span, NONCE_AT) !== PASS) return;
    this.#send(packets.arena.bytes.slice(span.offset, span.offset + span.length));
  }

  #send(bytes: Uint8Array): void {
    this.#socket.send(bytes, () => {});
  }

  #drive(input: (now: Instants) => void): void {
    if (this.#closed) return;
    const now = nowOf();
    input(now);
    for (let more = true; more && !this.#closed; ) {
      more = false;
      for (let packet = this.#session.pollTransmit(now); packet; packet = this.#session.pollTransmit(now)) {
        this.#send(packet);
        more = true;
      }
      for (let event = this.#session.pollEvent(); event !== undefined && !this.#closed; ) {
        this.#handleEvent(event, now);
        more = true;
        event = this.#closed ? undefined : this.#session.pollEvent();
      }
    }
    clearTimeout(this.#timer);
    const due = this.#closed ? undefined : this.#session.pollTimeout();
    if (due === undefined) return;
    this.#timer = setTimeout(
      () => this.#drive((at) => this.#session.handleTimeout(at, NO_TRAFFIC)),
      Math.min(MOST_MS, Math.max(1, due.atMs - now.monoMs)),
    );
  }

  #handleEvent(event: SessionEvent, now: Instants): void {
    switch (event.type) {
      case 'verify-peer':
        this.#session.acceptPeer({ accept: true }, now);
        return;
      case 'push-reply':
        this.#answerPush(event.options, now);
        return;
      case 'data-key': {
        const key = createDataKey(this.#shared.packets, event.handle, event, 64, 15, NONCE_AT);
        this.#keys.set(event.handle, key);
        if (!event.first) return;
        this.#wasUp = true;
        this.#observer.up(this);
        return;
      }
      case 'use-key':
        this.#sending = event.handle;
        return;
      case 'drop-key': {
        const key = this.#keys.get(event.handle);
        if (key !== undefined) closeDataKey(key);
        this.#keys.delete(event.handle);
        return;
      }
      case 'renegotiated':
        this.#observer.renegotiated(this);
        return;
      case 'send-in-band':
        this.#sendInBand(event.bytes);
        return;
      case 'ended':
        this.close();
        this.#observer.ended(this, causeOf(event.end));
        return;
      default:
        return;
    }
  }

  #answerPush(options: readonly string[], now: Instants): void {
    const push = sessionPush(options);
    this.#peerId = push.peerId ?? 0;
    this.#pingMs = 1000 * Number(optionValue(options, 'ping') ?? 0);
    if (this.#pingMs > 0) this.#nextPingMs = now.monoMs + Math.random() * this.#pingMs;
    this.#session.applyPush(push, now);
  }
}

/** A load client is no measure of silence: the test says when it ends. */
const NO_TRAFFIC = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };
/** The longest that a Node timer waits. */
const MOST_MS = 0x7fffffff;

function optionValue(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.startsWith(`${name} `))?.slice(name.length + 1);
}

function sessionPush(options: readonly string[]): SessionPush {
  const flags = (optionValue(options, 'protocol-flags') ?? '').split(' ');
  const peerId = optionValue(options, 'peer-id');
  return {
    ...PUSH,
    cipher: optionValue(options, 'cipher'),
    peerId: peerId === undefined ? undefined : Number(peerId),
    useExporter: flags.includes('tls-ekm') || optionValue(options, 'key-derivation') === 'tls-ekm',
    controlExit: flags.includes('cc-exit'),
    keepalive: NO_KEEPALIVE,
  };
}

function causeOf(end: SessionEnd): string {
  return end.reason === 'failed' ? `${end.error.code}: ${end.error.message}` : end.reason;
}
