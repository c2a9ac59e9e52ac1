// What clients and servers both ask of the platform: clocks, names, sockets. node/ and linux/ answer, tests fake it.

import type { SocketAddress } from './ip/socket-address.ts';

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
  /** More sockets on the same address, as a data plane's link takes them (data/plane.ts); `close` and `setBuffers` mean them too. */
  readonly siblings?: readonly number[] | undefined;
  /** A TCP connect is under way. */
  readonly connecting: boolean;
  readonly connected: boolean;
  readonly local: SocketAddress;
  /** What the system refused and the socket does without, for the log. */
  readonly notes?: readonly string[] | undefined;
  /** Effective buffer sizes before and after, for the log's `Socket Buffers: R=[a->b] S=[c->d]`. */
  readonly buffers: { readonly receive: readonly [number, number]; readonly send: readonly [number, number] };
}

export interface LinkPort {
  /** Throws HostError (errno name and sentence). */
  open(request: LinkRequest): OpenLink;
  /** The local address of a connected socket. */
  localAddress(fd: number): SocketAddress;
  /** The address of the far end of a connected or accepted socket. Throws HostError (ENOTCONN once it is gone). */
  remoteAddress(fd: number): SocketAddress;
  /** Another descriptor of the same socket. Throws HostError. */
  duplicate(fd: number): number;
  setBuffers(fd: number, sndbufBytes: number | undefined, rcvbufBytes: number | undefined): OpenLink['buffers'];
  close(fd: number): void;
}

/** A stream before the data plane has it: the few bytes that a proxy is asked with. */
export interface ByteStream {
  /** Resolves when the connection stands. Rejects with an Error whose message is the system's sentence. */
  connected(): Promise<void>;
  send(bytes: Uint8Array): void;
  /** The next bytes, at most some 64 KiB; undefined at the stream's end. One call at a time. Rejects as `connected` does. */
  receive(): Promise<Uint8Array | undefined>;
  /** Stops reading: what has come and was not received. Another descriptor of the socket goes on from there. */
  release(): Uint8Array;
  /** Drops what comes from now on; resolves when the stream has ended. */
  ended(): Promise<void>;
  /** Any number of times. */
  close(): void;
}

/** Changes of the host's network, and a socket that goes along. */
export interface NetworkWatchPort {
  /** Calls back after any change of links, addresses or routes, and after a sleep. Returns the end of it. Throws where it can't be had. */
  watch(changed: () => void): () => void;
  /** How long the machine slept since this was asked last; 0 when it did not. */
  sleptMs(): number;
  /** Gives a connected datagram socket the local address that the way to `remote` has now. Throws HostError. */
  rebind(fd: number, remote: SocketAddress): void;
}

export interface StreamPort {
  /** Takes the descriptor of a non-blocking socket over, which may still be connecting; it is closed with the stream. */
  open(fd: number): ByteStream;
}
