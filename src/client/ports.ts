// What a client asks of the platform beyond the data plane and the host steps. node/ and linux/ answer, tests fake it.

import type { ConnectionProfile, Source } from '../config/config.ts';
import type { TlsEngineFactory } from '../control/tls-engine.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { BroughtKey } from '../session/brought-key.ts';
import type { Credentials } from '../session/options.ts';

/** Username and password as a file, an inline block or a person gave them; what is missing is asked for. */
export interface PartialCredentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Whose user name and password: the server's, or a proxy's. The words are the C program's, which stand in its questions. */
export type LoginKind = 'Auth' | 'HTTP Proxy' | 'SOCKS Proxy';

export interface CredentialsPort {
  /** Reads a file or block with user name and password. Throws SallyportError with file and reason. */
  read(source: Source, kind: LoginKind): PartialCredentials;
  /** Asks a person for what is missing. Rejects with SallyportError when there is nobody to ask. */
  ask(known: PartialCredentials, signal: AbortSignal, kind: LoginKind): Promise<Credentials>;
  /** What `ask` gives is complete: whoever answers has seen the question of `static-challenge`, or the server's, and written its answer into the password. */
  readonly answersChallenges?: boolean | undefined;
}

/** A question beside username and password. */
export interface Challenge {
  /** The profile's own (`static-challenge`), the server's after a refused login, or the server's while the login is pending. */
  readonly kind: 'static' | 'dynamic' | 'pending';
  /** Of the server or the profile, without control characters. */
  readonly text: string;
  /** Whether the answer may be shown while it is typed. */
  readonly echo: boolean;
  /** Without it the text is only to be shown; what is returned is not sent. */
  readonly responseRequired: boolean;
  /** How long the server waits; undefined where it did not say. */
  readonly secondsLeft: number | undefined;
}

/** An address to log in at. The tunnel comes up by itself once that is done; nobody tells this side. */
export interface WebLogin {
  /** http or https, printable ASCII. */
  readonly url: string;
  /** What the server says about the browser: `external`, `hidden` … */
  readonly flags: readonly string[];
  readonly secondsLeft: number | undefined;
}

/** Whoever says when and where the next attempt goes (a management client). Both reject when the signal fires. */
export interface Steering {
  /** Before each attempt. True: somebody was waited for, and there is no further pause. */
  hold(pauseSeconds: number, signal: AbortSignal): Promise<boolean>;
  /** The profile to use in place of this one; undefined: go on to the next. */
  choose(profile: ConnectionProfile, index: number, signal: AbortSignal): Promise<ConnectionProfile | undefined>;
}

/** Whoever answers questions; what is missing can't be asked. */
export interface ChallengePort {
  /** Resolves to the response. Rejects with SallyportError when it can't be had. */
  readonly respond: ((challenge: Challenge, signal: AbortSignal) => Promise<string>) | undefined;
  /** Shows the address; the signal says that the login is over, one way or the other. */
  readonly webLogin: ((login: WebLogin, signal: AbortSignal) => Promise<void>) | undefined;
  /** The ways to confirm a pending login that are named to the server (IV_SSO). */
  readonly announced: readonly ('openurl' | 'webauth' | 'crtext')[];
  /** A dynamic challenge is asked whatever `auth-retry` says, which otherwise has to be `interact`, as for the C program. */
  readonly ignoresAuthRetry: boolean;
}

/** Key material that was read and checked at start. */
export interface ClientMaterial {
  /** What control packets come under; undefined where a peer's first packet brings the key (tls-crypt-v2 at a TLS server). */
  wrapOf(profile: ConnectionProfile): WrapOptions | undefined;
  /** That key, a copy; undefined where the packet has none, and where none is asked for. */
  broughtKey(profile: ConnectionProfile, first: Uint8Array): BroughtKey | undefined;
  readonly tls: TlsEngineFactory;
  readonly peerInfo: PeerInfoFacts;
}

/** Facts about this program and machine for the peer info lines. */
export interface PeerInfoFacts {
  readonly version: string;
  readonly platform: string;
  readonly platformVersion: string;
  readonly sslVersion: string;
  /** Link-layer address of the interface towards the server, looked up when push-peer-info asks for it. */
  hardwareAddress(remote: SocketAddress): string | undefined;
}
