// What a connection is doing, as one value, and the attempt's way of telling.

import type { SallyportError } from '../error.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { PeerFacts } from '../tunnel/host-port.ts';
import type { TunnelPlan } from '../tunnel/plan.ts';

/** The states of a client, in the order in which a connection passes through them. */
export type ClientState =
  | { readonly phase: 'resolving'; readonly host: string }
  | { readonly phase: 'connecting'; readonly remote: SocketAddress }
  | { readonly phase: 'authenticating'; readonly remote: SocketAddress }
  | LoginPending
  | { readonly phase: 'configuring'; readonly remote: SocketAddress }
  | {
      readonly phase: 'connected';
      readonly remote: SocketAddress;
      readonly plan: TunnelPlan;
      /** Of the data channel, by OpenSSL's name. */
      readonly cipher: string | undefined;
    }
  | {
      readonly phase: 'reconnecting';
      /** The C program's word for it; empty where a person asked for it. */
      readonly reason: string;
      readonly pauseSeconds: number;
      /** What went wrong, where something did. */
      readonly error?: SallyportError | undefined;
    }
  | { readonly phase: 'ended' };

/** Name and password are not enough: somebody is asked, here or elsewhere. */
export interface LoginPending {
  readonly phase: 'login-pending';
  readonly needs: 'nothing' | 'response' | 'web-login';
  /** The question of `response`. */
  readonly text: string | undefined;
  /** The address of `web-login`. */
  readonly url: string | undefined;
  /** How long the server waits; undefined where it did not say. */
  readonly secondsLeft: number | undefined;
}

/** Hears what one attempt goes through. */
export interface AttemptObserver {
  connecting(remote: SocketAddress): void;
  handshaking(remote: SocketAddress): void;
  peerConnected(peer: PeerFacts): void;
  loginPending(state: LoginPending): void;
  configuring(remote: SocketAddress): void;
  /** `plan` is in force; what was pushed stands behind it. */
  connected(remote: SocketAddress, plan: TunnelPlan, cipher: string | undefined): void;
  info(kind: string, text: string): void;
  /** The server refused the login; its reason, or an empty text. */
  loginRefused?(reason: string): void;
  authToken?(token: string): void;
  /** The device is open with its addresses; its routes come next. */
  assigned?(plan: TunnelPlan): void;
  /** A pushed `echo`. */
  echo?(text: string): void;
}
