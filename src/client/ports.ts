// What a client asks of the platform beyond the data plane and the host steps. node/ and linux/ answer, tests fake it.

import type { ConnectionProfile, Source } from '../config/config.ts';
import type { TlsEngineFactory } from '../control/tls-engine.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Credentials } from '../session/options.ts';

/** Username and password as a file, an inline block or a person gave them; what is missing is asked for. */
export interface PartialCredentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export interface CredentialsPort {
  /** Reads `auth-user-pass` from its file or block. Throws SallyportError with file and reason. */
  read(source: Source): PartialCredentials;
  /** Asks a person for what is missing. Rejects with SallyportError when there is nobody to ask. */
  ask(known: PartialCredentials, signal: AbortSignal): Promise<Credentials>;
}

/** Key material that was read and checked at start. */
export interface ClientMaterial {
  wrapOf(profile: ConnectionProfile): WrapOptions;
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
