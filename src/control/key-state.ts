// One TLS session under one key-id: its message ids, its engine, and nothing about what is said inside.
//
// Ciphertext of the engine is cut into messages as the send window has room; messages come back in order and go into the
// engine. What TLS has to say arrives through the listener on a later turn, waits here, and is taken by `pollEvent`.

import { parseEarlyNegotiation } from '../wire/early-negotiation.ts';
import { isHardReset, type KeyId, Opcode } from '../wire/opcode.ts';
import { type ReceiveVerdict, ReliableReceive } from './reliable-receive.ts';
import { ReliableSend } from './reliable-send.ts';
import type { TlsEngine, TlsEngineFactory, TlsEstablished, TlsFailure } from './tls-engine.ts';

/** Ciphertext of ours that waits for room in the window. A peer that acknowledges nothing cannot make it grow. */
const WAITING_LIMIT_BYTES = 256 * 1024;
/** Events of the engine that wait to be taken. */
const EVENTS_LIMIT = 256;

export interface KeyStateOptions {
  readonly keyId: KeyId;
  readonly tlsRole: 'client' | 'server';
  /** The reset that this side starts with. */
  readonly resetOpcode: Opcode;
  /** Both resets were exchanged before this key state was made (a server's stateless handshake). */
  readonly resetDone?: boolean;
  readonly tlsTimeoutMs: number;
  /** Largest payload of a packet of this opcode. */
  readonly payloadLimit: (opcode: Opcode) => number;
  readonly tls: TlsEngineFactory;
  /** The engine queued something: `pollEvent` and `pollPacket` soon. */
  readonly wake: () => void;
}

export type KeyStateEvent =
  | { readonly type: 'established'; readonly info: TlsEstablished }
  | { readonly type: 'plaintext'; readonly bytes: Uint8Array }
  | { readonly type: 'failed'; readonly failure: TlsFailure };

/** What goes into a control packet beside the session ids. */
export interface OutgoingPacket {
  readonly opcode: Opcode;
  readonly keyId: KeyId;
  readonly acks: readonly number[];
  readonly messageId: number | undefined;
  readonly payload: Uint8Array;
}

const NO_PAYLOAD = new Uint8Array(0);

export class KeyState {
  readonly keyId: KeyId;
  readonly #options: KeyStateOptions;
  readonly #send: ReliableSend;
  readonly #receive: ReliableReceive;
  #engine: TlsEngine | undefined;
  #events: KeyStateEvent[] = [];
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #resendWrappedKey = false;
  #resetAcked = false;
  #heardTls = false;
  /** Messages of ours in the engine whose ciphertext has not come out yet. */
  #inEngine = 0;
  #closed = false;

  constructor(options: KeyStateOptions, nowMs: number) {
    this.keyId = options.keyId;
    this.#options = options;
    const firstId = options.resetDone === true ? 1 : 0;
    this.#send = new ReliableSend(options.tlsTimeoutMs, firstId);
    this.#receive = new ReliableReceive(firstId);
    this.#resetAcked = firstId > 0;
    if (firstId === 0) this.#send.queue(options.resetOpcode, NO_PAYLOAD, nowMs);
  }

  /** The peer has acknowledged our reset. */
  get resetAcked(): boolean {
    return this.#resetAcked;
  }

  /** TLS bytes of the peer have arrived. */
  get heardTls(): boolean {
    return this.#heardTls;
  }

  /** Everything we sent was acknowledged, and nothing waits, not even in the engine. */
  get drained(): boolean {
    return this.#send.empty && this.#waiting.length === 0 && this.#inEngine === 0;
  }

  get retransmits(): number {
    return this.#send.retransmits;
  }

  /** An authentic packet of this key-id. `messageId` is undefined for bare acknowledgements. */
  handlePacket(
    packet: {
      readonly opcode: Opcode;
      readonly acks: readonly number[];
      readonly messageId: number | undefined;
      readonly payload: Uint8Array;
    },
    nowMs: number,
  ): ReceiveVerdict {
    if (this.#closed) return 'out-of-window';
    this.#send.handleAcks(packet.acks);
    this.#resetAcked ||= this.#send.isAcknowledged(0);
    let verdict: ReceiveVerdict = 'accepted';
    if (packet.messageId !== undefined) {
      verdict = this.#receive.handleMessage(packet.messageId, packet.opcode, packet.payload);
    }
    this.#deliver();
    if (this.#resetAcked) this.#startEngine();
    this.#fill(nowMs);
    return verdict;
  }

  /** What the engine said since the last call, in order. */
  pollEvent(): KeyStateEvent | undefined {
    return this.#events.shift();
  }

  /** The next packet to send: messages that are due, then acknowledgements alone. `ackLimit` is for bare ones. */
  pollPacket(nowMs: number, acksWithMessage: number, acksAlone: number): OutgoingPacket | undefined {
    if (this.#closed) return undefined;
    this.#fill(nowMs);
    if (this.#owesWrappedKey && this.#receive.hasPendingAcks && this.#send.room > 0) {
      this.#send.queue(Opcode.controlWkcV1, NO_PAYLOAD, nowMs);
    }
    const message = this.#send.pollDue(nowMs);
    if (message !== undefined) return this.#packet(message, acksWithMessage);
    return this.#acksAlone(acksAlone);
  }

  /** The last words of a session that has ended: what never left and what is still unacknowledged by us, once. */
  pollLast(acksWithMessage: number, acksAlone: number): OutgoingPacket | undefined {
    const message = this.#send.pollUnsent();
    return message === undefined ? this.#acksAlone(acksAlone) : this.#packet(message, acksWithMessage);
  }

  /** When `pollPacket` has something because of time. */
  nextDueMs(): number | undefined {
    return this.#closed ? undefined : this.#send.nextDueMs();
  }

  /** The peer answers for the first time: everything goes out again at once. */
  retransmitAll(nowMs: number): void {
    this.#send.retransmitAll(nowMs);
  }

  /** Sends application bytes inside TLS. Only after `established`. */
  sendPlaintext(bytes: Uint8Array): void {
    if (this.#engine === undefined) return;
    this.#inEngine++;
    this.#engine.handlePlaintext(bytes);
  }

  /** TLS exporter. Only after `established`. */
  exportKeyingMaterial(lengthBytes: number, label: string): Uint8Array {
    if (this.#engine === undefined) throw new Error('there is no TLS session yet');
    return this.#engine.exportKeyingMaterial(lengthBytes, label);
  }

  /** Ends TLS with a fatal alert; a `failed` event follows. Only after `established`. */
  refuse(alert: number): void {
    this.#engine?.refuse(alert);
  }

  close(): void {
    this.#closed = true;
    this.#engine?.close();
    this.#engine = undefined;
    this.#events = [];
    this.#waiting = [];
  }

  /** Ends TLS but leaves what is queued to `pollLast` (an alert of ours, for instance). */
  endTls(nowMs: number): void {
    this.#fill(nowMs);
    this.#engine?.close();
    this.#engine = undefined;
  }

  /** The server asked for the wrapped key again, and our second message has not been made yet. */
  get #owesWrappedKey(): boolean {
    return this.#resendWrappedKey && this.#send.nextId === 1;
  }

  #packet(message: { messageId: number; opcode: number; payload: Uint8Array }, ackLimit: number): OutgoingPacket {
    const opcode = message.opcode as Opcode;
    const acks = this.#receive.takeAcks(ackLimit);
    return { opcode, keyId: this.keyId, acks, messageId: message.messageId, payload: message.payload };
  }

  #acksAlone(limit: number): OutgoingPacket | undefined {
    if (!this.#receive.hasPendingAcks) return undefined;
    const acks = this.#receive.takeAcks(limit);
    return { opcode: Opcode.ackV1, keyId: this.keyId, acks, messageId: undefined, payload: NO_PAYLOAD };
  }

  #deliver(): void {
    for (let packet = this.#receive.pollNext(); packet !== undefined; packet = this.#receive.pollNext()) {
      const opcode = packet.opcode as Opcode;
      if (isHardReset(opcode)) {
        if (packet.messageId === 0) this.#handleReset(packet.payload);
      } else if (packet.payload.length > 0) {
        this.#heardTls = true;
        this.#startEngine();
        this.#engine?.handleCiphertext(packet.payload);
      }
    }
  }

  #handleReset(payload: Uint8Array): void {
    const negotiation = parseEarlyNegotiation(payload);
    if (negotiation === undefined) {
      this.#pushEvent({
        type: 'failed',
        failure: { origin: 'local', code: 'EARLY_NEGOTIATION', text: 'Early negotiation malformed packet' },
      });
      return;
    }
    this.#resendWrappedKey = negotiation.resendWrappedKey;
  }

  #startEngine(): void {
    if (this.#engine !== undefined || this.#closed) return;
    this.#engine = this.#options.tls.create(this.#options.tlsRole, {
      ciphertext: (bytes) => this.#queueCiphertext(bytes),
      established: (info) => this.#pushEvent({ type: 'established', info }),
      plaintext: (bytes) => this.#pushEvent({ type: 'plaintext', bytes: bytes.slice() }),
      flushed: () => this.#handleFlushed(),
      failed: (failure) => this.#pushEvent({ type: 'failed', failure }),
    });
  }

  #handleFlushed(): void {
    this.#inEngine--;
    if (!this.#closed) this.#options.wake();
  }

  #queueCiphertext(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    if (this.#waitingBytes + bytes.length > WAITING_LIMIT_BYTES) {
      this.#pushEvent({
        type: 'failed',
        failure: { origin: 'local', code: 'CONTROL_QUEUE_FULL', text: 'the peer acknowledges nothing' },
      });
      return;
    }
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    this.#options.wake();
  }

  #pushEvent(event: KeyStateEvent): void {
    if (this.#closed) return;
    if (this.#events.length < EVENTS_LIMIT) this.#events.push(event);
    else this.#events[EVENTS_LIMIT - 1] = { type: 'failed', failure: FLOODED };
    this.#options.wake();
  }

  /** Cuts waiting ciphertext into messages, several records into one where they fit. */
  #fill(nowMs: number): void {
    while (this.#waiting.length > 0 && this.#send.room > 0) {
      const opcode = this.#owesWrappedKey ? Opcode.controlWkcV1 : Opcode.controlV1;
      this.#send.queue(opcode, this.#takeWaiting(this.#options.payloadLimit(opcode)), nowMs);
    }
  }

  #takeWaiting(limit: number): Uint8Array {
    const payload = new Uint8Array(Math.min(limit, this.#waitingBytes));
    for (let at = 0; at < payload.length; ) {
      const first = this.#waiting[0] ?? NO_PAYLOAD;
      const part = first.subarray(0, payload.length - at);
      payload.set(part, at);
      at += part.length;
      if (part.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(part.length);
    }
    this.#waitingBytes -= payload.length;
    return payload;
  }
}

const FLOODED: TlsFailure = { origin: 'local', code: 'CONTROL_QUEUE_FULL', text: 'too much from the peer at once' };
