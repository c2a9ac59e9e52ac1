// What a connection is doing, as one value, and the attempt's way of telling.

import type { SocketAddress } from '../ip/socket-address.ts';
import type { PeerFacts } from '../tunnel/host-port.ts';
import type { TunnelPlan } from '../tunnel/plan.ts';

/** The states of a client, in the order in which a connection passes through them. */
export type ClientState =
  | { readonly phase: 'resolving'; readonly host: string }
  | { readonly phase: 'connecting'; readonly remote: SocketAddress }
  | { readonly phase: 'authenticating'; readonly remote: SocketAddress }
  | { readonly phase: 'configuring' }
  | { readonly phase: 'connected'; readonly remote: SocketAddress; readonly plan: TunnelPlan }
  | { readonly phase: 'reconnecting'; readonly reason: string; readonly pauseSeconds: number }
  | { readonly phase: 'ended' };

/** Hears what one attempt goes through. */
export interface AttemptObserver {
  connecting(remote: SocketAddress): void;
  handshaking(remote: SocketAddress): void;
  peerConnected(peer: PeerFacts): void;
  configuring(): void;
  /** `plan` is in force; what was pushed stands behind it. */
  connected(remote: SocketAddress, plan: TunnelPlan): void;
  renegotiated(keyId: number): void;
  info(kind: string, text: string): void;
}
