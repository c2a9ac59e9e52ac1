// What whoever drives a connection asks of the host for the tunnel. `host.ts` answers, tests fake it.

import type { ConnectionProfile, TunnelOptions } from '../config/config.ts';
import type { DeviceOptions } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { CertificateFacts, ScriptEnvironment } from './environment.ts';
import type { TunnelPlan } from './plan.ts';

/** What the attempt needs of the host for the tunnel: a device for the plane, and everything around it. */
export interface TunnelHost {
  /** Opens the device (or keeps the one of the last attempt where nothing changed) and says how the plane reaches it. */
  open(request: TunnelRequest): Promise<OpenTunnel>;
  /** Routes and the scripts that follow them; called after route-delay. Resolves true when every route was set. */
  route(): Promise<boolean>;
  /**
   * Makes the open tunnel fit other options: only what differs is undone and done, the device stays open. Scripts run as if
   * it was closed and opened again. Rejects when the host refuses; what stands by then is undone by `close`.
   */
  update(request: TunnelRequest): Promise<OpenTunnel>;
  /**
   * The way to the server as text (device, next hop, source address); undefined when there is none past the tunnel. A route
   * of ours to the server follows the host's default route first.
   */
  follow(server: SocketAddress): string | undefined;
  /** Sets the host's name servers again where another program has written over them. Never rejects. */
  refreshDns(): Promise<void>;
  /** What a script of this type would see now. */
  scriptEnvironment(type: string): ScriptEnvironment;
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
  /** undefined for a server, which has many. */
  readonly remote: SocketAddress | undefined;
  /** Called when a kept device does not fit what was pushed now and must be closed first. */
  readonly letGo: () => Promise<void>;
  /** The attempt is over: what has not been begun need not be. */
  readonly signal: AbortSignal;
}

/** What scripts are told about the peer. */
export interface PeerFacts {
  readonly commonName: string | undefined;
  readonly chain: readonly CertificateFacts[];
}

export interface OpenTunnel {
  readonly endpoint: DeviceOptions['endpoint'];
  readonly layer: DeviceOptions['layer'];
  readonly mtuBytes: number;
  readonly blockIpv6: boolean;
  /** The other end's IPv6 address, which answers under `blockIpv6`. */
  readonly unreachableFrom: string | undefined;
  /** Whether it is the very device of the last attempt. */
  readonly kept: boolean;
  readonly name: string;
  /** The device's Ethernet address; undefined: it has none, or it can't be found out. */
  readonly linkAddress: string | undefined;
  /** What the tunnel looks like, for events and statistics. */
  readonly plan: TunnelPlan;
}

/** What is said of a key within it: a kind of text, and the text. */
export interface KeyMetadata {
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** Scripts that belong to the connection itself rather than to the tunnel. */
export interface ConnectionScripts {
  /** tls-verify for each certificate, root first; false refuses. */
  verifyPeer(chain: readonly CertificateFacts[], remote: SocketAddress): Promise<boolean>;
  /** tls-crypt-v2-verify: whether a program takes the key that a peer brings, by its metadata; true where there is none. */
  verifyKey(metadata: KeyMetadata | undefined): Promise<boolean>;
  /** ipchange: the peer was authenticated at this address, or moved to it. */
  ipChange(remote: SocketAddress, peer: PeerFacts): Promise<void>;
}
