// What a server's programs are asked and told (`auth-user-pass-verify`, `client-connect` …), as the rest of the room sees
// it. script-calls.ts answers; a server without any program has one that agrees to everything.

import type { PeerCertificate } from '../control/tls-engine.ts';
import type { Log } from '../log.ts';
import type { ScriptEnvironment } from '../tunnel/environment.ts';
import type { WrappedMetadata } from '../wire/tls-crypt-v2.ts';
import type { ClientFacts } from './client-facts.ts';
import type { Dialog } from './dialog.ts';

/** `accept: undefined`: nobody was asked. */
export interface PasswordVerdict {
  readonly accept: boolean | undefined;
  /** What the program wrote for the client. */
  readonly reason: string | undefined;
}

export interface Traffic {
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface EnvironmentExtras {
  readonly password?: string | undefined;
  readonly ended?: Traffic & { readonly durationSeconds: number };
}

export interface ServerScripts {
  /** `tls-verify` for each certificate, root first; false refuses. */
  verifyPeer(client: ClientFacts, chain: readonly PeerCertificate[]): Promise<boolean>;
  /** Whether a program judges the metadata of tls-crypt-v2 keys … */
  readonly checksKeys: boolean;
  /** … and its answer (`tls-crypt-v2-verify`). `log` has the client's address in front. */
  verifyKey(metadata: WrappedMetadata | undefined, log: Log): Promise<boolean>;
  /** Whether a program checks passwords at all. */
  readonly checksPasswords: boolean;
  /** `auth-user-pass-verify`, deferred answers awaited. `session`: state of the client's auth-token, for the environment. */
  verifyPassword(
    client: ClientFacts,
    credentials: { readonly username: string; readonly password: string },
    session: TokenSession | undefined,
    dialog: Dialog,
  ): Promise<PasswordVerdict>;
  /** `client-connect`, deferred answers awaited: the lines it wrote, or that it refuses. */
  connect(
    client: ClientFacts,
    signal: AbortSignal,
  ): Promise<{ readonly accept: boolean; readonly options: readonly ScriptOutput[] }>;
  disconnect(client: ClientFacts, traffic: Traffic, nowUnixSeconds: number): Promise<void>;
  /** `learn-address`; false: the address is not to be used. */
  learnAddress(type: 'add' | 'update' | 'delete', prefix: string, client: ClientFacts | undefined): Promise<boolean>;
  /** What a program would see of the client now. `more`: its password, or how much it moved, at its end. */
  environment(client: ClientFacts, more?: EnvironmentExtras): ScriptEnvironment;
  /** `client-crresponse`. */
  crResponse(client: ClientFacts, base64: string): Promise<void>;
  /** The server ends: files of programs that still run go now. */
  close(): void;
}

export interface ScriptOutput {
  /** Named in findings about its lines. */
  readonly file: string;
  readonly text: string;
}

/** What scripts are told of auth-gen-token. */
export interface TokenSession {
  readonly sessionId: string;
  /** `Initial`, `Authenticated`, `Expired` … */
  readonly sessionState: string;
}
