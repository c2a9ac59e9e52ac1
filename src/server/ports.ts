// What a server asks of the platform beyond the data plane and the host steps. node/ and linux/ answer, tests fake it.

import type { FirstContactOptions } from '../control/first-contact.ts';
import type { PeerCertificate, TlsEngineFactory } from '../control/tls-engine.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import type { DataPlane, PlaneListener } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { ClockPort, LinkPort, ResolverPort } from '../ports.ts';
import type { TunnelHost } from '../tunnel/host-port.ts';
import type { CertificateFiles, ScriptPort } from '../tunnel/ports.ts';
import type { ServerHooks } from './hooks.ts';

/** Files that a server reads and writes while it runs. Small ones; all calls are synchronous. */
export interface ServerFiles {
  /** The text of a file of at most `limitBytes`; undefined when there is none. Throws SallyportError with path and reason. */
  read(path: string, limitBytes: number): string | undefined;
  /** Puts a file in place at one stroke. Throws SallyportError. */
  replace(path: string, content: string | Uint8Array): void;
  /** An empty file of this user's alone in tmp-dir; its path. Throws SallyportError. */
  temporary(prefix: string): string;
  /** A file that is not there is no error. */
  remove(path: string): void;
}

/** Something that judges passwords beside the program of auth-user-pass-verify (a `plugin`). */
export interface PasswordPlugin {
  /** As in the log. */
  readonly name: string;
  /** Its line is written when the server starts, and when it is asked. */
  readonly path: string;
  /** Never rejects. `questions`: what it asked for, for the log. */
  verify(
    login: {
      readonly username: string;
      readonly password: string;
      readonly commonName: string;
      readonly remote: string;
    },
    timeoutMs: number,
  ): Promise<{ readonly accepted: boolean; readonly problem: string; readonly questions: readonly string[] }>;
}

/** Key material that was read and checked. */
export interface ServerMaterial {
  readonly tls: TlsEngineFactory;
  /** Asked every few seconds; without it only handshakes know of revocations. */
  readonly revocation?: RevocationPort | undefined;
  readonly wraps: FirstContactOptions;
  /** Key of auth-gen-token; random bytes where no file names one. */
  readonly tokenKey: Uint8Array | undefined;
}

/** Certificates that were good once and are not any more. */
export interface RevocationPort {
  /** Looks whether there is another list; true when it is another one than at the last call. */
  refresh(): boolean;
  isRevoked(chain: readonly PeerCertificate[]): boolean;
}

/** Passes a stream that is not OpenVPN on to another server (port-share). */
export interface StreamRelay {
  /** Takes the fd over. `readAhead` was read from it already. */
  relay(fd: number, readAhead: Uint8Array, from: SocketAddress): void;
  close(): void;
}

export interface ServerPorts {
  readonly clock: ClockPort;
  readonly resolver: ResolverPort;
  readonly links: LinkPort;
  readonly crypto: CryptoProvider;
  readonly host: TunnelHost;
  readonly scripts: ScriptPort;
  readonly files: ServerFiles;
  readonly certificateFiles?: CertificateFiles | undefined;
  readonly passwordPlugins?: readonly PasswordPlugin[];
  /** `2026-11-28 21:16:35` in the host's time zone. */
  localTime(unixSeconds: number): string;
  readonly material: ServerMaterial;
  readonly hooks: ServerHooks;
  readonly log: Log;
  readonly relay: StreamRelay | undefined;
  /** Makes the data plane; its events come back through the listener. */
  plane(listener: PlaneListener): DataPlane;
}
