// The session itself: owns the state, gives each input to the part that knows it, and collects events.

import { randomSessionId } from '../control/session-id.ts';
import { SessionWraps } from '../control/session-wraps.ts';
import type { TlsEstablished } from '../control/tls-engine.ts';
import { wipeDataKeys } from '../crypto/derive-data-keys.ts';
import { SallyportError } from '../error.ts';
import { Level } from '../log.ts';
import { formatSessionId } from '../wire/hex.ts';
import { writePushReply } from '../wire/push-reply.ts';
import { type ControlDrop, Counters, type SessionCounters } from './counters.ts';
import { CredentialStore } from './credentials.ts';
import { agreeDataChannel } from './data-channel.ts';
import { DropLog } from './drop-log.ts';
import type { SessionEnd, SessionEvent } from './event.ts';
import { answerInBand, exitNotice } from './exit.ts';
import { handWindowError, keyDerivationError } from './failure.ts';
import { Handshake, type HandshakeHost, initiatedLine, peerConnected } from './handshake.ts';
import type { Instants } from './instants.ts';
import { Keepalive, keepaliveLine, type Traffic } from './keepalive.ts';
import { handWindowEndMs, KeyRotation } from './key-rotation.ts';
import { type MessageHost, Messages } from './messages.ts';
import type { Credentials, SessionOptions, SessionPush } from './options.ts';
import { Outbox } from './outbox.ts';
import { PeerFacts } from './peer-facts.ts';
import { PushWait } from './push-wait.ts';
import { type RefusedWrap, receiveControl } from './receive.ts';
import type { PeerVerdict, RefusalWord, Session, SessionPorts, SessionState } from './session.ts';
import { type SessionKey, stepOf } from './session-key.ts';
import { type Deadline, earliest } from './timers.ts';

export class ControlSession implements Session {
  readonly #options: SessionOptions;
  readonly #ports: SessionPorts;
  readonly #wraps: SessionWraps;
  readonly #ownSessionId: Uint8Array;
  readonly #counters = new Counters();
  readonly #credentials: CredentialStore;
  readonly #rotation: KeyRotation;
  readonly #outbox: Outbox;
  readonly #handshake: Handshake;
  readonly #messages: Messages;
  readonly #drops: DropLog;
  readonly #pushWait: PushWait;
  readonly #peer = new PeerFacts();
  #state: SessionState = { name: 'starting' };
  #now: Instants = { monoMs: 0, unixSeconds: 0 };
  #remoteText = '';
  #keepalive: Keepalive;
  #events: SessionEvent[] = [];
  #closed = false;
  /** AUTH_FAILED was said. */
  #refused = false;

  constructor(options: SessionOptions, ports: SessionPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#wraps = new SessionWraps(options.wrap, {
      ...options,
      crypto: ports.crypto,
      firstSendId: options.resume?.firstSendId,
    });
    this.#ownSessionId = options.resume?.ownSessionId ?? randomSessionId(ports.crypto);
    this.#keepalive = new Keepalive(options.keepalive, 0);
    this.#credentials = new CredentialStore({
      needed: options.needsCredentials ?? false,
      forget: options.forgetCredentials ?? false,
    });
    const session = this;
    this.#rotation = new KeyRotation({
      options,
      crypto: ports.crypto,
      tls: ports.tls,
      log: ports.log,
      wraps: this.#wraps,
      ownSessionId: this.#ownSessionId,
      get peerSessionId() {
        return session.#peer.sessionId;
      },
      get unixSeconds() {
        return session.#now.unixSeconds;
      },
      wake: () => ports.wake(),
      emit: (event) => this.#emit(event),
    });
    this.#outbox = new Outbox(this.#rotation.slots, this.#wraps, this.#ownSessionId, ports.log);
    this.#handshake = new Handshake(this.#handshakeHost());
    this.#pushWait = new PushWait(options, ports.log);
    this.#messages = new Messages(this.#messageHost());
    this.#drops = new DropLog(this.#counters, ports.log);
  }

  get state(): SessionState {
    return this.#state;
  }

  get drained(): boolean {
    return this.#outbox.drained;
  }

  get peerSessionId(): Uint8Array | undefined {
    return this.#peer.sessionId;
  }

  exportKeyingMaterial(lengthBytes: number, label: string): Uint8Array {
    const key = this.#rotation.slots.current;
    if (key === undefined) throw new Error('there is no key yet');
    return key.state.exportKeyingMaterial(lengthBytes, label);
  }

  start(now: Instants, remoteText: string): void {
    if (this.#state.name !== 'starting') throw new Error('the session was started before');
    this.#now = now;
    this.#remoteText = remoteText;
    this.#keepalive = new Keepalive(this.#options.keepalive, now.monoMs);
    this.#state = { name: 'handshaking', sinceMs: now.monoMs };
    const { resume, tlsRole, speaksFirst } = this.#options;
    if (resume !== undefined) this.#meetPeer(resume.peerSessionId, now);
    else if (tlsRole === 'client' || speaksFirst === true) this.#rotation.beginFirst(now.monoMs);
  }

  handleControl(bytes: Uint8Array, now: Instants): void {
    this.#now = now;
    this.#counters.packetsIn++;
    if (!this.#running) {
      this.#drop('after-end');
      return;
    }
    const received = receiveControl(
      bytes,
      {
        options: this.#options,
        wraps: this.#wraps,
        ownSessionId: this.#ownSessionId,
        peerSessionId: this.#peer.sessionId,
      },
      now.unixSeconds,
    );
    if ('drop' in received) {
      this.#drop(received.drop, received.unwrapped);
      return;
    }
    const { packet, firstOfPeer } = received;
    if (firstOfPeer) this.#meetPeer(packet.sessionId.slice(), now);
    const key = this.#rotation.keyOf(packet.opcode, packet.keyId, now.monoMs);
    if (typeof key === 'string') {
      this.#drop(key);
      return;
    }
    this.#peer.packets++;
    this.#peer.heardMs = now.monoMs;
    this.#keepalive.handleControl(now.monoMs);
    const verdict = key.state.handlePacket(packet, now.monoMs);
    if (verdict !== 'accepted') this.#drop(verdict === 'replay' ? 'repeated-message' : verdict);
    // A peer that comes into being only now has missed what was sent before.
    if (firstOfPeer && !key.state.resetAcked) key.state.retransmitAll(now.monoMs);
    this.#advance(now);
  }

  handleInBand(bytes: Uint8Array, now: Instants): void {
    this.#now = now;
    if (!this.#running || this.#refused) return;
    const answer = answerInBand(bytes, this.#options.optionsString);
    if (answer.type === 'reply') this.#emit({ type: 'send-in-band', bytes: answer.bytes });
    if (answer.type !== 'peer-exit') return;
    this.#ports.log(Level.streamErrors, 'OCC exit message received by peer');
    this.#end({ reason: 'peer-exit', notice: 'in-band' });
  }

  handleWake(now: Instants): void {
    this.#now = now;
    this.#advance(now);
  }

  handleTimeout(now: Instants, traffic: Traffic): void {
    this.#now = now;
    if (!this.#running) return;
    const { negotiating } = this.#rotation.slots;
    const windowEndMs = negotiating && handWindowEndMs(negotiating, this.#options);
    if (negotiating !== undefined && windowEndMs !== undefined && now.monoMs >= windowEndMs) {
      this.#handWindowOver(negotiating);
    }
    this.#tickPush();
    if (!this.#running) return;
    this.#rotation.handleTime(now.monoMs, traffic.payloadBytes);
    const verdict = this.#keepalive.handleTime(now.monoMs, traffic);
    if (verdict === undefined) return;
    this.#ports.log(Level.info, keepaliveLine(verdict, this.#peer.name));
    this.#end({ reason: verdict });
  }

  handleKeyUsedUp(handle: number, now: Instants): void {
    this.#now = now;
    if (this.#running) this.#rotation.handleUsedUp(handle, now.monoMs);
  }

  handleLinkRefused(text: string): void {
    this.#peer.refusedText = text;
  }

  setCredentials(credentials: Credentials): void {
    this.#credentials.setCredentials(credentials);
    for (const key of this.#rotation.slots.speaking) this.#handshake.proceed(key, this.#now);
  }

  acceptPeer(verdict: PeerVerdict, now: Instants): void {
    this.#now = now;
    if (!this.#running) return;
    for (const key of this.#rotation.slots.speaking) this.#handshake.acceptPeer(key, verdict, now);
  }

  applyPush(push: SessionPush, now: Instants): void {
    this.#now = now;
    const key = this.#rotation.slots.current;
    if (this.#state.name !== 'waiting-for-push' || key === undefined) return;
    if (push.authToken !== undefined) this.#credentials.setToken(push.authToken, push.authTokenUser);
    const { crypto, log } = this.#ports;
    const channel = agreeDataChannel(this.#options, push, key.exchange.peer?.optionsString ?? '', crypto, log);
    if (channel instanceof SallyportError) {
      this.#fail(channel);
      return;
    }
    this.#pushWait.finish();
    this.#keepalive.handleUp(push.keepalive, now.monoMs);
    const made = this.#makeKeys(() => {
      if (push.dynamicTlsCrypt) this.#beginDynamicWrap(key);
      this.#rotation.open(channel, key);
    });
    if (!made) return;
    this.#state = { name: 'up', sinceMs: now.monoMs, cipher: channel.cipher.name };
  }

  admit(keyId: number, name: string | undefined, now: Instants): void {
    this.#now = now;
    const key = this.#rotation.slots.negotiating;
    if (!this.#running || this.#refused || key?.state.keyId !== keyId) return;
    this.#peer.name = name;
    this.#handshake.admit(key, now);
  }

  refuse(reason: string | undefined, now: Instants, word: RefusalWord = 'AUTH_FAILED'): void {
    this.#now = now;
    if (!this.#running || this.#refused) return;
    this.#refused = true;
    this.#peer.name ??= this.#handshake.refused(this.#rotation.slots.negotiating);
    this.#outbox.close();
    this.sendText(reason === undefined ? word : `${word},${reason}`, now);
  }

  sendPushReply(options: readonly string[], now: Instants): void {
    for (const text of writePushReply(options)) this.sendText(text, now);
  }

  sendText(text: string, now: Instants): void {
    this.#now = now;
    if (this.#running) this.#outbox.sendText(text, this.#peer.name);
  }

  sendExit(now: Instants): void {
    this.#now = now;
    if (this.#state.name !== 'up') return;
    // While a key is negotiated the peer reads no text; the notice in band is always understood.
    const byText = this.#rotation.channel?.controlExit === true && this.#rotation.slots.negotiating === undefined;
    if (byText) this.sendText('EXIT', now);
    else this.#emit({ type: 'send-in-band', bytes: exitNotice() });
  }

  renegotiate(now: Instants): void {
    this.#now = now;
    if (this.#running) this.#rotation.renegotiate(now.monoMs);
  }

  pollTransmit(now: Instants): Uint8Array | undefined {
    if (this.#closed) return undefined;
    const packet = this.#outbox.pollPacket(now, this.#peer.sessionId, this.#running);
    if (packet !== undefined) this.#counters.packetsOut++;
    return packet;
  }

  pollEvent(): SessionEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): Deadline | undefined {
    if (!this.#running) return undefined;
    return earliest(...this.#rotation.deadlines(), this.#pushWait.deadline(), this.#keepalive.nextDeadline());
  }

  counters(): SessionCounters {
    return this.#counters.snapshot(this.#rotation.slots.retransmits);
  }

  close(): void {
    this.#closed = true;
    this.#rotation.slots.close();
    this.#outbox.close();
    this.#wraps.close();
    this.#credentials.close();
    for (const event of this.#events) if (event.type === 'data-key') wipeDataKeys(event.material);
    this.#events = [];
  }

  get #running(): boolean {
    return !this.#closed && this.#state.name !== 'starting' && this.#state.name !== 'ended';
  }

  #meetPeer(sessionId: Uint8Array, now: Instants): void {
    this.#peer.sessionId = sessionId;
    // After a stateless handshake the initial packet is long past; the C program does not mention it.
    if (this.#options.resume === undefined) {
      this.#ports.log(
        Level.tlsDebugLow,
        `TLS: Initial packet from ${this.#remoteText}, sid=${formatSessionId(sessionId)}`,
      );
    }
    this.#emit({ type: 'peer-answered' });
    const { tlsRole, speaksFirst } = this.#options;
    if (tlsRole === 'server' && speaksFirst !== true) this.#rotation.beginFirst(now.monoMs);
  }

  #advance(now: Instants): void {
    for (const key of this.#rotation.slots.speaking) {
      if (this.#running && !this.#refused) this.#handshake.advance(key, now);
    }
    if (this.#running && !this.#refused) this.#rotation.handleAcknowledged();
  }

  #onReady(key: SessionKey, established: TlsEstablished, now: Instants): void {
    this.#counters.handshakes++;
    const done = this.#makeKeys(() => {
      if (this.#rotation.ready(key) === 'first') {
        this.#connect(key, established, now);
        return;
      }
      this.#counters.renegotiations++;
      this.#emit({ type: 'renegotiated', keyId: key.state.keyId });
    });
    if (done) this.#outbox.flush(this.#peer.name);
  }

  #connect(key: SessionKey, established: TlsEstablished, now: Instants): void {
    if (this.#options.judged !== true) this.#peer.name = established.chain[0]?.commonName;
    this.#ports.log(Level.info, initiatedLine(this.#peer.name, this.#remoteText));
    this.#state = { name: 'waiting-for-push', sinceMs: now.monoMs };
    this.#emit(peerConnected(key, established));
    if (!this.#options.pull) return;
    this.#pushWait.begin(now.monoMs);
    this.#tickPush();
  }

  /** Derivation can fail in the library only; then the session is over and false is returned. */
  #makeKeys(make: () => void): boolean {
    try {
      make();
      return true;
    } catch (cause) {
      this.#ports.log(Level.tlsErrors, 'TLS Error: generate_key_expansion failed');
      this.#fail(keyDerivationError(cause));
      return false;
    }
  }

  #beginDynamicWrap(first: SessionKey): void {
    this.#wraps.beginDynamic((length, label) => first.state.exportKeyingMaterial(length, label));
    for (const direction of ['Outgoing', 'Incoming']) {
      const log = (text: string) => this.#ports.log(Level.mtuInfo, `${direction} dynamic tls-crypt: ${text}`);
      log("Cipher 'AES-256-CTR' initialized with 256 bit key");
      log("Using 256 bit message hash 'SHA256' for HMAC authentication");
    }
  }

  #tickPush(): void {
    const tick = this.#pushWait.handleTime(this.#now.monoMs, this.#peer.heardMs, this.#remoteText);
    if (tick === 'request') this.sendText('PUSH_REQUEST', this.#now);
    else if (tick !== 'wait') this.#fail(tick);
  }

  #handWindowOver(key: SessionKey): void {
    const { slots } = this.#rotation;
    const log = (text: string) => this.#ports.log(Level.tlsErrors, text);
    if (slots.current !== undefined && key.byPeer && !key.state.heardTls) {
      // Begun in the peer's name and never gone on with: a forgery, or a peer that gave up. The current key is good.
      slots.abandon();
      this.#counters.abandonedRenegotiations++;
      log('TLS Error: the peer began a renegotiation and did not go on with it, ignored');
      this.#outbox.flush(this.#peer.name);
      return;
    }
    const seconds = Math.floor(this.#options.handWindowMs / 1000);
    log(`TLS Error: TLS key negotiation failed to occur within ${seconds} seconds (check your network connectivity)`);
    log('TLS Error: TLS handshake failed');
    const error = handWindowError({
      step: stepOf(key),
      seconds,
      remoteText: this.#remoteText,
      wrapKind: this.#wraps.of(key.state.keyId).kind,
      packetsIn: this.#counters.packetsIn,
      badHmac: this.#counters.drops['bad-hmac'],
      authentic: this.#peer.packets,
      refusedText: this.#peer.refusedText,
      renegotiation: slots.current !== undefined,
    });
    this.#fail(error);
  }

  #handshakeHost(): HandshakeHost {
    const session = this;
    return {
      options: this.#options,
      log: this.#ports.log,
      credentials: this.#credentials,
      get remoteText() {
        return session.#remoteText;
      },
      emit: (event) => {
        this.#emit(event);
        // The peer has our key method 2 by then: from now on it reads on this key what waits to be said.
        if (event.type === 'authenticate') this.#outbox.flush(this.#peer.name);
      },
      isFirst: () => this.#rotation.slots.current === undefined,
      onReady: (key, established, now) => this.#onReady(key, established, now),
      onText: (_key, plaintext) => {
        if (this.#running && !this.#refused) this.#messages.handlePlaintext(plaintext);
      },
      onFailed: (_key, error) => this.#fail(error),
    };
  }

  #messageHost(): MessageHost {
    const session = this;
    return {
      pull: this.#options.pull,
      log: this.#ports.log,
      credentials: this.#credentials,
      pushWait: this.#pushWait,
      counters: this.#counters,
      get ended() {
        return !session.#running;
      },
      emit: (event) => this.#emit(event),
      end: (end) => this.#end(end),
    };
  }

  #drop(cause: ControlDrop, unwrapped?: RefusedWrap): void {
    this.#drops.handleDrop(cause, this.#remoteText, this.#now.monoMs, unwrapped);
  }

  #fail(error: SallyportError): void {
    this.#end({ reason: 'failed', error });
  }

  #emit(event: SessionEvent): void {
    this.#events.push(event);
  }

  #end(end: SessionEnd): void {
    if (this.#state.name === 'ended') return;
    this.#state = { name: 'ended', end };
    for (const key of this.#rotation.slots.speaking) key.state.endTls(this.#now.monoMs);
    this.#emit({ type: 'ended', end });
  }
}
