// What tunnel steps ask of the host. linux/ answers with netlink and ioctl, tests answer with a record of calls.
// All calls are synchronous and throw HostError (an errno name and the sentence of strerror).

import type { PrefixText } from '../ip/prefix.ts';

export interface OpenDevice {
  readonly name: string;
  readonly index: number;
  /** Non-blocking; -1 for `dev null`. */
  readonly fd: number;
  /** Whether it outlives the process (made by mktun or by another program). */
  readonly persistent: boolean;
  /** Whether packets of the fd have a virtio header and may stand for many (data/plane.ts); absent for bare ones. */
  readonly offload?: 'none' | 'tcp' | 'tcp-udp' | undefined;
  /** The fds of further queues of the device. */
  readonly queues?: readonly number[] | undefined;
}

export interface DevicePort {
  /** `name` may be `tun` (first free) or a full name. Sets POINTOPOINT and NOARP as a kernel tun has them. */
  open(options: {
    name: string;
    layer: 'tun' | 'tap';
    node: string | undefined;
    txQueueLength: number | undefined;
  }): OpenDevice;
  close(device: OpenDevice): void;
  /** Whether this process may still open one, as far as files go: rights may have been given up, and the root changed. */
  mayOpen(node: string | undefined): boolean;
}

export interface HostRoute {
  readonly prefix: PrefixText;
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
  /** A route that refuses; absent for one that leads somewhere. The device of an IPv6 one is `lo`, as the kernel tells it. */
  readonly type?: 'unreachable' | 'blackhole' | 'prohibit' | undefined;
  /** Only in what `defaultRoutes` returns: all that the kernel says of the route, opaque text; `addRoute` puts exactly that back. */
  readonly exact?: string | undefined;
}

/** How the host reaches an address now. */
export interface RouteLookup {
  readonly gateway: string | undefined;
  readonly device: string;
  readonly deviceIndex: number;
  /** Source address the kernel would use. */
  readonly source: string | undefined;
  /** Link-layer address of the device, for IV_HWADDR; undefined when it has none. */
  readonly linkAddress: string | undefined;
}

export interface NetworkPort {
  setLinkUp(device: string, up: boolean): void;
  setMtu(device: string, mtuBytes: number): void;
  /** `address`: six pairs of hexadecimal digits. */
  setLinkAddress(device: string, address: string): void;
  addAddress(
    device: string,
    address: string,
    prefixLength: number,
    options: { remote?: string; broadcast?: string },
  ): void;
  removeAddress(device: string, address: string, prefixLength: number, options: { remote?: string }): void;
  /** An identical route that exists already throws HostError EEXIST. */
  addRoute(route: HostRoute): void;
  removeRoute(route: HostRoute): void;
  /** The route to an address, or undefined when there is none. */
  lookup(address: string): RouteLookup | undefined;
  /** The default routes of the main table, lowest metric first. */
  defaultRoutes(family: 4 | 6): readonly HostRoute[];
  /** Every configured route to exactly this destination, in all tables but `local`. */
  routesTo(prefix: PrefixText): readonly HostRoute[];
  /** The number of a device; undefined when there is none of the name. */
  linkIndex(device: string): number | undefined;
  /** A device's Ethernet address, six pairs of hexadecimal digits; undefined when it has none. */
  linkAddressOf(device: string): string | undefined;
  /** Addresses with prefix length of one device, for redirect-gateway's block-local and overlap tests. */
  addressesOf(device: string): readonly { readonly address: string; readonly prefixLength: number }[];
  /** Every address of every device. */
  addresses(): readonly { readonly device: string; readonly address: string; readonly prefixLength: number }[];
}

/** Where a program gets something to read from: there while it runs, for this user alone. */
export interface TemporaryFiles {
  /** The path of a new file; undefined when none can be made. */
  write(content: string | Uint8Array): string | undefined;
  remove(path: string): void;
}

/** Where certificates of a peer are put for scripts (`tls-export-cert`). */
export interface CertificateFiles extends TemporaryFiles {
  readonly directory: string;
}

/** A command that keeps root's rights, for when the tunnel goes down (plugin down-root). */
export interface DownRootPort {
  /** What it will see; only the first counts. */
  arm(environment: Readonly<Record<string, string>>): void;
  /** Its exit code; undefined when it could not be run. */
  run(): Promise<number | undefined>;
}

/** Runs a program without a shell. Never throws for the program's own failure. */
export interface ScriptPort {
  run(
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
    options: {
      readonly timeoutMs: number | undefined;
      /** Nobody waits for the program any more: it is stopped, with all that it started. */
      readonly signal?: AbortSignal;
    },
  ): Promise<{
    readonly exitCode: number | undefined;
    readonly signal: string | undefined;
    readonly error: string | undefined;
    /** It ran and was made to end; `error` says why, as a predicate. */
    readonly stopped?: boolean;
  }>;
}

/** A refused change of the host. */
export class HostError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'HostError';
    this.code = code;
  }
}
