// What a client asks of the platform beyond the data plane and the host steps. node/ and linux/ answer, tests fake it.

import type { ConnectionProfile, Source, TunnelOptions } from '../config/config.ts';
import type { PeerCertificate, TlsEngineFactory } from '../control/tls-engine.ts';
import type { WrapOptions } from '../control/wrap-options.ts';
import type { DeviceOptions } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { Credentials } from '../session/options.ts';
import type { TunnelPlan } from '../tunnel/plan.ts';

/** Two clocks that are never mixed: monotonic milliseconds that go on through suspend, and Unix seconds. */
export interface Instants {
  readonly monoMs: number;
  readonly unixSeconds: number;
}

export interface ClockPort {
  now(): Instants;
  /** Calls back once, not before `atMs` (monotonic). Returns the cancel function. */
  at(atMs: number, callback: () => void): () => void;
}

export interface ResolverPort {
  /** Addresses in the resolver's order; a literal address resolves to itself at once. Rejects with the resolver's words. */
  resolve(
    host: string,
    family: 4 | 6 | undefined,
    signal: AbortSignal,
  ): Promise<readonly { family: 4 | 6; address: Uint8Array }[]>;
}

export interface LinkRequest {
  readonly transport: 'udp' | 'tcp-client' | 'tcp-server';
  /** undefined: unconnected (a server's socket). */
  readonly remote: SocketAddress | undefined;
  /** undefined: the system chooses address and port. */
  readonly local: SocketAddress | undefined;
  readonly ipv6Only: boolean;
  readonly sndbufBytes: number | undefined;
  readonly rcvbufBytes: number | undefined;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
  readonly mtuDiscovery: 'no' | 'maybe' | 'yes' | undefined;
  readonly tcpNoDelay: boolean;
}

export interface OpenLink {
  readonly fd: number;
  /** A TCP connect is under way. */
  readonly connecting: boolean;
  readonly connected: boolean;
  readonly local: SocketAddress;
  /** Effective buffer sizes before and after, for the log's `Socket Buffers: R=[a->b] S=[c->d]`. */
  readonly buffers: { readonly receive: readonly [number, number]; readonly send: readonly [number, number] };
}

export interface LinkPort {
  /** Throws HostError (errno name and sentence). */
  open(request: LinkRequest): OpenLink;
  /** The local address of a connected socket. */
  localAddress(fd: number): SocketAddress;
  setBuffers(fd: number, sndbufBytes: number | undefined, rcvbufBytes: number | undefined): OpenLink['buffers'];
  close(fd: number): void;
}

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

/** What the attempt needs of the host for the tunnel: a device for the plane, and everything around it. */
export interface TunnelHost {
  /** Opens the device (or keeps the one of the last attempt where nothing changed) and says how the plane reaches it. */
  open(request: TunnelRequest): Promise<OpenTunnel>;
  /** Routes and the scripts that follow them; called after route-delay. Resolves true when every route was set. */
  route(): Promise<boolean>;
  /** Gives up privileges, once. */
  dropPrivileges(): void;
  /**
   * Takes back what the last attempt did. With `keep` (SIGUSR1 under persist-tun) the device, its addresses and its
   * routes stay for the next attempt; `letGo` is called before a device is closed, so that the plane stops reading it.
   */
  close(reason: { signal: string; signalText: string; keep: boolean }, letGo: () => Promise<void>): Promise<void>;
}

export interface TunnelRequest {
  readonly profile: ConnectionProfile;
  readonly tunnel: TunnelOptions;
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly peer: PeerFacts;
  /** Called when a kept device does not fit what was pushed now and must be closed first. */
  readonly letGo: () => Promise<void>;
  /** The attempt is over: what has not been begun need not be. */
  readonly signal: AbortSignal;
}

/** What scripts are told about the peer. */
export interface PeerFacts {
  readonly commonName: string | undefined;
  readonly chain: readonly PeerCertificate[];
}

export interface OpenTunnel {
  readonly endpoint: DeviceOptions['endpoint'];
  readonly layer: DeviceOptions['layer'];
  readonly mtuBytes: number;
  readonly blockIpv6: boolean;
  /** Whether it is the very device of the last attempt. */
  readonly kept: boolean;
  readonly name: string;
  /** What the tunnel looks like, for events and statistics. */
  readonly plan: TunnelPlan;
}

/** Scripts that belong to the connection itself rather than to the tunnel. */
export interface ConnectionScripts {
  /** tls-verify for each certificate, root first; false refuses. */
  verifyPeer(chain: readonly PeerCertificate[], remote: SocketAddress): Promise<boolean>;
  /** ipchange: the peer was authenticated at this address, or moved to it. */
  ipChange(remote: SocketAddress, peer: PeerFacts): Promise<void>;
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
