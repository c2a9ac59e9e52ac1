// From TLS to key method 2 on one key: verify the peer, wait for the driver's own verdict and for credentials, exchange
// the messages. What comes after is text.

import type { KeyStateEvent } from '../control/key-state.ts';
import type { TlsEstablished } from '../control/tls-engine.ts';
import { refusalAlert, verifyPeer } from '../control/verify-peer.ts';
import { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { announcesCompression, compareOptionsStrings, compressedOptionsString } from '../wire/options-string.ts';
import { parsePeerInfo, writePeerInfo } from '../wire/peer-info.ts';
import type { CredentialStore } from './credentials.ts';
import type { SessionEvent } from './event.ts';
import { keyExchangeError, tlsError } from './failure.ts';
import type { Instants } from './instants.ts';
import type { SessionOptions } from './options.ts';
import type { SessionKey } from './session-key.ts';

/** Plaintext records that may wait for the driver's verdict. */
const EARLY_LIMIT = 16;

/** What a handshake asks of its session. */
export interface HandshakeHost {
  readonly options: SessionOptions;
  readonly log: Log;
  readonly credentials: CredentialStore;
  readonly remoteText: string;
  emit(event: SessionEvent): void;
  /** Whether a key would be the first of the connection. */
  isFirst(): boolean;
  onReady(key: SessionKey, established: TlsEstablished, now: Instants): void;
  onText(key: SessionKey, plaintext: Uint8Array, now: Instants): void;
  onFailed(key: SessionKey, error: SallyportError, now: Instants): void;
}

export class Handshake {
  readonly #host: HandshakeHost;

  constructor(host: HandshakeHost) {
    this.#host = host;
  }

  /** Takes everything that TLS had to say on this key. */
  advance(key: SessionKey, now: Instants): void {
    for (let event = key.state.pollEvent(); event !== undefined; event = key.state.pollEvent()) {
      this.#handleEvent(key, event, now);
    }
  }

  /** The driver's verdict on the peer of a key that waits for one. */
  acceptPeer(key: SessionKey, verdict: { accept: true } | { accept: false; reason: string }, now: Instants): void {
    if (key.phase.name !== 'verify' || key.refusal !== undefined) return;
    if (!verdict.accept) {
      const error = new SallyportError(`The peer's certificate was refused: ${verdict.reason}`, {
        code: 'SALLYPORT_CERTIFICATE',
        blame: 'peer',
        hint: 'The tls-verify script or the program that embeds Sallyport decides this.',
      });
      const { established } = key.phase;
      if (!this.#refuseLater(key, established, error, now)) this.#refuseNow(key, established, error);
      return;
    }
    key.phase = { name: 'credentials', established: key.phase.established };
    this.proceed(key, now);
  }

  /** The driver lets the peer of a judged key in: from now on the key counts. */
  admit(key: SessionKey, now: Instants): void {
    if (key.phase.name !== 'judging' || key.refusal !== undefined) return;
    this.#ready(key, key.phase.established, now);
  }

  /** The peer of a judged session is not let in: says what it came with, and whose certificate that was. */
  refused(key: SessionKey | undefined): string | undefined {
    if (key?.phase.name !== 'judging' || key.refusal !== undefined) return undefined;
    const { established } = key.phase;
    this.#host.log(Level.handshake, controlChannelLine(established));
    return established.chain[0]?.commonName;
  }

  /** Goes on as far as credentials allow. */
  proceed(key: SessionKey, now: Instants): void {
    if (key.phase.name !== 'credentials') return;
    const { established } = key.phase;
    if (this.#host.options.tlsRole === 'client' && !this.#sendMessage(key)) return;
    key.phase = { name: 'exchange', established };
    const early = key.early;
    key.early = [];
    for (const bytes of early) this.#handlePlaintext(key, bytes, now);
  }

  #handleEvent(key: SessionKey, event: KeyStateEvent, now: Instants): void {
    switch (event.type) {
      case 'established':
        this.#handleEstablished(key, event.info, now);
        return;
      case 'plaintext':
        this.#handlePlaintext(key, event.bytes, now);
        return;
      case 'failed':
        if (event.failure.alert !== undefined) this.#host.log(Level.tlsDebugLow, alertLine(event.failure.alert));
        this.#failTls(key, this.#refusalOf(key) ?? tlsError(event.failure, this.#host.remoteText), now);
        return;
      default:
        event satisfies never;
    }
  }

  #handleEstablished(key: SessionKey, info: TlsEstablished, now: Instants): void {
    if (key.phase.name !== 'tls') return;
    const { options, log } = this.#host;
    const judgement = verifyPeer(info, options.verify, now.unixSeconds);
    for (const [flags, text] of judgement.lines) log(flags, text);
    if (judgement.error !== undefined) {
      if (!this.#refuseLater(key, info, judgement.error, now)) this.#refuseNow(key, info, judgement.error);
      return;
    }
    key.phase = { name: 'verify', established: info };
    this.#host.emit({ type: 'verify-peer', established: info, keyId: key.state.keyId });
  }

  #handlePlaintext(key: SessionKey, bytes: Uint8Array, now: Instants): void {
    switch (key.phase.name) {
      case 'tls':
      case 'verify':
      case 'credentials':
        if (key.early.length < EARLY_LIMIT) key.early.push(bytes);
        return;
      case 'exchange':
        this.#handleMessage(key, bytes, key.phase.established, now);
        return;
      case 'judging':
        if (key.refusal === undefined) this.#host.onText(key, bytes, now);
        return;
      case 'ready':
        this.#host.onText(key, bytes, now);
        return;
      default:
        key.phase satisfies never;
    }
  }

  #handleMessage(key: SessionKey, bytes: Uint8Array, established: TlsEstablished, now: Instants): void {
    const { options, log, remoteText } = this.#host;
    const result = key.exchange.handleMessage(bytes);
    bytes.fill(0, 0, 'failure' in result ? bytes.length : bytes.length - result.rest.length);
    const peer = key.exchange.peer;
    if ('failure' in result || peer === undefined) {
      const problem = 'failure' in result ? result.failure : 'short';
      log(Level.tlsErrors, MESSAGE_WORDS[problem]);
      this.#failTls(key, keyExchangeError(problem, remoteText), now);
      return;
    }
    const migrates = options.migrateCompression === true && announcesCompression(peer.optionsString);
    const stated = (text: string): string => (migrates ? compressedOptionsString(text) : text);
    if (options.tlsRole === 'server' && !this.#sendMessage(key, stated(options.optionsString))) return;
    for (const line of compareOptionsStrings(peer.optionsString, stated(options.expectedOptionsString))) {
      log(Level.optionsCompared, line.replace(/[^\x20-\x7e]/g, '.'));
    }
    if (options.judged !== true) {
      this.#ready(key, established, now);
      if (result.rest.length > 0 && key.phase.name === 'ready') this.#host.onText(key, result.rest, now);
      return;
    }
    key.phase = { name: 'judging', established };
    this.#host.emit({
      type: 'authenticate',
      keyId: key.state.keyId,
      first: this.#host.isFirst(),
      established,
      refusal: key.refusal,
      peerOptionsString: peer.optionsString,
      peerInfo: parsePeerInfo(peer.peerInfo ?? ''),
      peerInfoText: peer.peerInfo ?? '',
      username: peer.username,
      password: peer.password,
    });
    if (result.rest.length > 0) this.#handlePlaintext(key, result.rest, now);
  }

  #ready(key: SessionKey, established: TlsEstablished, now: Instants): void {
    key.phase = { name: 'ready', established, readyMs: now.monoMs };
    this.#host.log(Level.handshake, controlChannelLine(established));
    this.#host.onReady(key, established, now);
  }

  /** A judged session goes on as far as a text can be said; only then the peer is refused. */
  #refuseLater(key: SessionKey, established: TlsEstablished, error: SallyportError, now: Instants): boolean {
    if (this.#host.options.judged !== true) return false;
    this.#logTlsError(error);
    key.refusal = error;
    key.phase = { name: 'credentials', established };
    this.proceed(key, now);
    return true;
  }

  /** Ends TLS with the alert that says why; the session fails when that is out. */
  #refuseNow(key: SessionKey, established: TlsEstablished, error: SallyportError): void {
    key.refusal = error;
    key.phase = { name: 'verify', established };
    key.state.refuse(refusalAlert(established, this.#host.options.verify));
  }

  /** Why the peer of a session that is not judged by the driver was refused. */
  #refusalOf(key: SessionKey): SallyportError | undefined {
    return this.#host.options.judged === true ? undefined : key.refusal;
  }

  /** Sends our key method 2; false while credentials are missing. */
  #sendMessage(key: SessionKey, optionsString = this.#host.options.optionsString): boolean {
    const { options, credentials, emit } = this.#host;
    const taken = options.tlsRole === 'client' ? credentials.take() : undefined;
    if (taken === 'missing') {
      emit({ type: 'need-credentials' });
      return false;
    }
    const message = key.exchange.writeMessage({
      optionsString,
      username: taken?.username,
      password: taken?.password,
      peerInfo: options.peerInfo.length > 0 ? writePeerInfo(options.peerInfo) : undefined,
    });
    key.state.sendPlaintext(message);
    return true;
  }

  #failTls(key: SessionKey, error: SallyportError, now: Instants): void {
    this.#logTlsError(error);
    this.#host.onFailed(key, error, now);
  }

  #logTlsError(error: SallyportError): void {
    const { log } = this.#host;
    if (error.code === 'SALLYPORT_TLS' || error.code === 'SALLYPORT_CERTIFICATE') {
      log(Level.tlsErrors, `OpenSSL: error: ${error.message}`);
      log(Level.tlsErrors, 'TLS_ERROR: BIO read tls_read_plaintext error');
      log(Level.tlsErrors, 'TLS Error: TLS object -> incoming plaintext read error');
    }
    log(Level.tlsErrors, 'TLS Error: TLS handshake failed');
  }
}

const MESSAGE_WORDS = {
  short: 'TLS Error: Error reading remote data channel key source entropy from plaintext buffer',
  'key-method': 'TLS ERROR: Unknown key_method/flags received from remote host',
  options: 'TLS Error: Failed to read required OCC options string',
  credentials: 'TLS Error: Username or password too long',
  'peer-info': 'TLS Error: Failed to read peer info',
} as const;

/** `Control Channel: TLSv1.3, cipher TLSv1.3 TLS_AES_256_GCM_SHA384, peer certificate: …`. */
function controlChannelLine(info: TlsEstablished): string {
  const leaf = info.chain[0];
  const certificate =
    leaf === undefined ? '' : `, peer certificate: ${leaf.keyDescription}, signature: ${leaf.signatureAlgorithm}`;
  const key = info.temporaryKey === undefined ? '' : `, peer temporary key: ${info.temporaryKey}`;
  return `Control Channel: ${info.version}, cipher ${info.version} ${info.cipher}${certificate}${key}`;
}

/** `Received fatal SSL alert: protocol version`. */
function alertLine({ direction, name }: { readonly direction: 'received' | 'sent'; readonly name: string }): string {
  return `${direction === 'received' ? 'Received' : 'Sent'} fatal SSL alert: ${name}`;
}

/** `[server] Peer Connection Initiated with [AF_INET]192.0.2.1:1194`. */
export function initiatedLine(commonName: string | undefined, remoteText: string): string {
  return `${commonName === undefined ? '' : `[${commonName}] `}Peer Connection Initiated with ${remoteText}`;
}

/** The event for a first key that is ready. */
export function peerConnected(key: SessionKey, established: TlsEstablished): SessionEvent {
  const peer = key.exchange.peer;
  return {
    type: 'peer-connected',
    established,
    peerOptionsString: peer?.optionsString ?? '',
    peerInfo: parsePeerInfo(peer?.peerInfo ?? ''),
    username: peer?.username,
    password: peer?.password,
    leaf: established.chain[0],
  };
}
