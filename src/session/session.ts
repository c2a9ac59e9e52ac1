// One peer's control plane, sans-I/O: `handleX` in, `pollX` out, no clock and no socket of its own. This file is the
// room's face; control-session.ts joins the parts.
//
// The path through the room: receive (a packet to its key) → handshake (TLS, the peer's certificate, key method 2) →
// messages (text: push, auth, exit) → data-channel (data keys). key-rotation holds the keys and says which is used,
// keepalive judges silence, failure finds the words.

import type { TlsEngineFactory } from '../control/tls-engine.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { Log } from '../log.ts';
import { ControlSession } from './control-session.ts';
import type { SessionCounters } from './counters.ts';
import type { SessionEnd, SessionEvent } from './event.ts';
import type { Instants } from './instants.ts';
import type { Traffic } from './keepalive.ts';
import type { Credentials, SessionOptions, SessionPush } from './options.ts';
import type { Deadline } from './timers.ts';

export type { Instants } from './instants.ts';
export type { Traffic } from './keepalive.ts';

export interface SessionPorts {
  readonly crypto: CryptoProvider;
  readonly tls: TlsEngineFactory;
  readonly log: Log;
  /** TLS queued something: the driver calls `handleWake` soon (never from inside this call). */
  wake(): void;
}

export type SessionState =
  | { readonly name: 'starting' }
  | { readonly name: 'handshaking'; readonly sinceMs: number }
  /** The first key exchange is complete; options are awaited (or the driver's `applyPush`). */
  | { readonly name: 'waiting-for-push'; readonly sinceMs: number }
  | { readonly name: 'up'; readonly sinceMs: number; readonly cipher: string }
  | { readonly name: 'ended'; readonly end: SessionEnd };

export type PeerVerdict = { readonly accept: true } | { readonly accept: false; readonly reason: string };

/** How a client is turned away: AUTH_FAILED ends it for good, RESTART has it try again. */
export type RefusalWord = 'AUTH_FAILED' | 'RESTART';

/** The driver's side of a session. No call throws for anything that came from the network. */
export interface Session {
  /** Begins. A TLS client sends its reset, a server waits for one. `remoteText` is the peer's address as logs have it. */
  start(now: Instants, remoteText: string): void;
  /** One control packet. */
  handleControl(bytes: Uint8Array, now: Instants): void;
  /** An authenticated in-band message of the data channel (OCC, exit). */
  handleInBand(bytes: Uint8Array, now: Instants): void;
  handleWake(now: Instants): void;
  handleTimeout(now: Instants, traffic: Traffic): void;
  /** The plane says that a data key reached its limits. */
  handleKeyUsedUp(handle: number, now: Instants): void;
  /** ICMP and the like: remembered for the words of a failure. */
  handleLinkRefused(text: string): void;
  setCredentials(credentials: Credentials): void;
  /** Answers `verify-peer`. */
  acceptPeer(verdict: PeerVerdict, now: Instants): void;
  /** Answers `push-reply` (or `peer-connected` where nothing is pulled): data keys follow. */
  applyPush(push: SessionPush, now: Instants): void;
  /** Answers `authenticate`: the key counts. `name` is what the peer is known by from now on. */
  admit(keyId: number, name: string | undefined, now: Instants): void;
  /**
   * Says AUTH_FAILED (or RESTART, after which a client tries again) with the reason and hears nothing more but acknowledgements. The driver closes the session once it
   * is `drained`, or after a while.
   */
  refuse(reason: string | undefined, now: Instants, word?: RefusalWord): void;
  /** Answers `push-request` with options; long lists are split. */
  sendPushReply(options: readonly string[], now: Instants): void;
  /** Sends a text message on the control channel. */
  sendText(text: string, now: Instants): void;
  /** Sends EXIT to a peer that understands it, else the exit notice in band. */
  sendExit(now: Instants): void;
  renegotiate(now: Instants): void;
  /** Control packets to send, oldest first. After the end: what had not been sent yet, once. */
  pollTransmit(now: Instants): Uint8Array | undefined;
  pollEvent(): SessionEvent | undefined;
  /** The earliest deadline, monotonic milliseconds. */
  pollTimeout(): Deadline | undefined;
  readonly state: SessionState;
  /** How the peer names its session; undefined until its reset has come. */
  readonly peerSessionId: Uint8Array | undefined;
  /** Whether everything said on the control channel was acknowledged. */
  readonly drained: boolean;
  /** The TLS exporter of the key in force, after `peer-connected`. Throws where the library can't. */
  exportKeyingMaterial(lengthBytes: number, label: string): Uint8Array;
  counters(): SessionCounters;
  /** Wipes secrets. Nothing may be called afterwards but `state` and `counters`. */
  close(): void;
}

/** A session for one peer. Throws for options that cannot be (an unknown digest under tls-auth). */
export function createSession(options: SessionOptions, ports: SessionPorts): Session {
  return new ControlSession(options, ports);
}
