// The life of keys: begun by either side, ready, installed, used, lame, dead (docs/WIRE.md 10).

import { KeyExchange } from '../control/key-exchange.ts';
import { KeyState } from '../control/key-state.ts';
import type { SessionWraps } from '../control/session-wraps.ts';
import type { TlsEngineFactory } from '../control/tls-engine.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { Level, type Log } from '../log.ts';
import { Opcode } from '../wire/opcode.ts';
import { type DataChannel, makeDataKey } from './data-channel.ts';
import type { SessionEvent } from './event.ts';
import { KeySlots, nextKeyId, payloadLimit } from './key-slots.ts';
import type { SessionOptions } from './options.ts';
import { renegotiateAtMs, softResetLine, useAtMs } from './renegotiation.ts';
import type { SessionKey } from './session-key.ts';
import { type Deadline, deadline } from './timers.ts';

/** What the rotation asks of its session. */
export interface RotationHost {
  readonly options: SessionOptions;
  readonly crypto: CryptoProvider;
  readonly tls: TlsEngineFactory;
  readonly log: Log;
  readonly wraps: SessionWraps;
  readonly ownSessionId: Uint8Array;
  readonly peerSessionId: Uint8Array | undefined;
  /** Now. */
  readonly unixSeconds: number;
  wake(): void;
  emit(event: SessionEvent): void;
}

export class KeyRotation {
  readonly slots = new KeySlots();
  readonly #host: RotationHost;
  #channel: DataChannel | undefined;
  #nextHandle = 1;
  #payloadBytes = 0;

  constructor(host: RotationHost) {
    this.#host = host;
  }

  /** What was agreed for the data channel; undefined before the first data key. */
  get channel(): DataChannel | undefined {
    return this.#channel;
  }

  /** Begins the first key with this side's hard reset, which a resumed handshake has behind it. */
  beginFirst(nowMs: number): void {
    const { options, wraps } = this.#host;
    if (options.tlsRole === 'server') {
      this.#begin(0, Opcode.hardResetServerV2, true, nowMs, options.resume !== undefined);
    } else {
      const v3 = wraps.first.kind === 'tls-crypt-v2-client';
      this.#begin(0, v3 ? Opcode.hardResetClientV3 : Opcode.hardResetClientV2, false, nowMs);
    }
  }

  #begin(keyId: number, resetOpcode: Opcode, byPeer: boolean, nowMs: number, resetDone = false): SessionKey {
    const { options, wraps, tls, crypto } = this.#host;
    const wrap = wraps.of(keyId);
    const state = new KeyState(
      {
        keyId,
        tlsRole: options.tlsRole,
        resetOpcode,
        resetDone,
        tlsTimeoutMs: options.tlsTimeoutMs,
        payloadLimit: (opcode) => payloadLimit(options.maxControlPacketBytes, wrap, opcode),
        tls,
        wake: () => this.#host.wake(),
      },
      nowMs,
    );
    const key: SessionKey = {
      state,
      exchange: new KeyExchange(crypto, options.tlsRole),
      startedMs: nowMs,
      byPeer,
      phase: { name: 'tls' },
      refusal: undefined,
      early: [],
      handle: undefined,
      renegotiateAtMs: Number.POSITIVE_INFINITY,
      useAtMs: useAtMs(options, nowMs),
      dieAtMs: Number.POSITIVE_INFINITY,
    };
    // The peer drops its lame duck when it hears of a new key.
    if (this.slots.current !== undefined) this.#use(this.slots.current);
    this.slots.negotiate(key);
    return key;
  }

  /** The key that a packet is for. A soft reset with the next key-id begins one, where that is allowed. */
  keyOf(opcode: Opcode, keyId: number, nowMs: number): SessionKey | 'unknown-key-id' | 'soft-reset-refused' {
    const key = this.slots.find(keyId);
    if (key !== undefined) return key;
    if (opcode !== Opcode.softResetV1) return 'unknown-key-id';
    const current = this.slots.current;
    const expected = current === undefined ? undefined : nextKeyId(current.state.keyId);
    if (!this.slots.mayRenegotiate || keyId !== expected) return 'soft-reset-refused';
    return this.#begin(keyId, Opcode.softResetV1, true, nowMs);
  }

  /** The negotiated key is ready. Whether it is the first one; a later one takes over for receiving at once. */
  ready(key: SessionKey): 'first' | 'replaced' {
    const first = this.slots.current === undefined;
    for (const gone of this.slots.promote()) this.#forget(gone);
    if (first) return 'first';
    const lameDuck = this.slots.lameDuck;
    if (lameDuck !== undefined) lameDuck.dieAtMs = key.startedMs + this.#host.options.tranWindowMs;
    this.#install(key, false);
    return 'replaced';
  }

  /** The data channel is agreed: the first data key is installed and used. */
  open(channel: DataChannel, key: SessionKey): void {
    this.#channel = channel;
    this.#install(key, true);
    this.#use(key);
  }

  /** Begins a renegotiation from this side, unless one is under way. */
  renegotiate(nowMs: number): void {
    const current = this.slots.current;
    if (!this.slots.mayRenegotiate || current?.phase.name !== 'ready') return;
    const { options, log } = this.#host;
    log(Level.tlsDebugLow, softResetLine(options, nowMs - current.phase.readyMs, this.#payloadBytes));
    this.#begin(nextKeyId(current.state.keyId), Opcode.softResetV1, false, nowMs);
  }

  /** A data key may carry no more. */
  handleUsedUp(handle: number, nowMs: number): void {
    const { current, sending } = this.slots;
    if (current === undefined) return;
    if (current.handle === handle) this.renegotiate(nowMs);
    else if (sending?.handle === handle) this.#use(current);
  }

  /** What is due: moving on to a newer key, the end of a lame duck, renegotiation by time. */
  handleTime(nowMs: number, payloadBytes: number): void {
    this.#payloadBytes = payloadBytes;
    const { lameDuck, current } = this.slots;
    if (current === undefined) return;
    if (nowMs >= current.useAtMs) this.#use(current);
    if (lameDuck !== undefined && nowMs >= lameDuck.dieAtMs) {
      this.#host.log(Level.tlsDebugLow, 'TLS: tls_process: killed expiring key');
      this.slots.dropLameDuck();
      this.#forget(lameDuck);
    }
    if (nowMs >= current.renegotiateAtMs) this.renegotiate(nowMs);
  }

  deadlines(): readonly (Deadline | undefined)[] {
    const { negotiating, current, lameDuck, sending, mayRenegotiate } = this.slots;
    const waits = current?.handle !== undefined && sending !== current;
    return [
      ...this.slots.speaking.map((key) => deadline(key.state.nextDueMs(), 'retransmit')),
      deadline(negotiating && handWindowEndMs(negotiating, this.#host.options), 'hand-window'),
      deadline(lameDuck?.dieAtMs, 'lame-duck'),
      deadline(mayRenegotiate ? current?.renegotiateAtMs : undefined, 'renegotiate'),
      deadline(waits ? current.useAtMs : undefined, 'use-key'),
    ];
  }

  #install(key: SessionKey, first: boolean): void {
    const { options, crypto, ownSessionId, peerSessionId, unixSeconds } = this.#host;
    if (this.#channel === undefined || peerSessionId === undefined || key.phase.name !== 'ready') {
      throw new Error('a data key needs an agreed data channel and a ready key');
    }
    const handle = this.#nextHandle++;
    const ids = { own: ownSessionId, peer: peerSessionId };
    this.#host.emit(makeDataKey(this.#channel, key, handle, options, ids, first, unixSeconds));
    key.handle = handle;
    key.renegotiateAtMs = renegotiateAtMs(options, key.phase.readyMs, (length) => crypto.randomBytes(length));
    this.handleAcknowledged();
  }

  /**
   * As the C program chooses: of keys that are all younger than their own delay, the newest sends at once. A server's
   * is for that only once the peer has acknowledged the key exchange: until then the peer cannot open its packets.
   */
  handleAcknowledged(): void {
    const { current, sending } = this.slots;
    if (current?.handle === undefined || sending === undefined || sending === current) return;
    if (current.phase.name !== 'ready' || current.phase.readyMs >= sending.useAtMs) return;
    if (this.#host.options.tlsRole === 'client' || current.state.drained) this.#use(current);
  }

  #use(key: SessionKey): void {
    if (this.slots.sending === key || key.handle === undefined) return;
    this.slots.use(key);
    this.#host.emit({ type: 'use-key', handle: key.handle });
  }

  #forget(key: SessionKey): void {
    const current = this.slots.current;
    if (this.slots.sending === key && current !== undefined) this.#use(current);
    if (key.handle !== undefined) this.#host.emit({ type: 'drop-key', handle: key.handle });
  }
}

/** When a negotiated key has taken too long; never while it waits for the driver's judgement, which has its own limit. */
export function handWindowEndMs(key: SessionKey, options: Pick<SessionOptions, 'handWindowMs'>): number | undefined {
  return key.phase.name === 'judging' ? undefined : key.startedMs + options.handWindowMs;
}
