// What the program that embeds a server decides: who may come in, what a client gets, and what it is told of. Every hook
// may be async, gets an AbortSignal that fires when its client is gone or its time is over, and delays only its own
// client. One that throws or rejects refuses its client.

import type { PeerCertificate } from '../control/tls-engine.ts';

/** Where a client is, as the server's socket sees it. */
export interface ClientEndpoint {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly transport: 'udp' | 'tcp';
}

/** Somebody who wants in: nothing of it is believed yet but the certificate, if there is one. */
export interface ClientIdentity {
  /** The peer-id; no two live clients have the same. */
  readonly id: number;
  /** Common name of the certificate, which has passed every check; undefined when the client has none. */
  readonly commonName: string | undefined;
  readonly certificate: PeerCertificate | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The answer to the client's static-challenge. */
  readonly response: string | undefined;
  /** The answer to a dynamic challenge that an earlier attempt was refused with. */
  readonly challenge: { readonly state: string; readonly response: string } | undefined;
  readonly endpoint: ClientEndpoint;
  /** `IV_VER`, `IV_PLAT`, `IV_SSO`, `UV_…` as the client sent them, cleaned. */
  readonly peerInfo: ReadonlyMap<string, string>;
  /** The client is in already and proves itself again for new keys. */
  readonly renegotiation: boolean;
}

/** Names and values, as the environment of scripts has them. */
export type HookEnvironment = Readonly<Record<string, string>>;

/** What a hook may do while it makes up its mind. */
export interface AuthenticateContext {
  readonly signal: AbortSignal;
  /** What a program of the configuration (`auth-user-pass-verify`) would see of the client. */
  environment(): HookEnvironment;
  /** Asks the person at the client (CR_TEXT); resolves with the answer, rejects when the time is over. */
  ask(text: string, options?: { readonly echo?: boolean; readonly timeoutSeconds?: number }): Promise<string>;
  /** Sends the person to a web page (WEB_AUTH) and gives the decision this long. Ask for `IV_SSO` with webauth first. */
  webLogin(url: string, options?: { readonly timeoutSeconds?: number; readonly flags?: string }): void;
  /** Tells the client what it waits for (INFO_PRE, as it is written) and gives the decision this long; what it answers goes to nobody here. */
  pending(extra: string, timeoutSeconds: number): void;
  /** Asks for more time than the hand-window gives. */
  wait(timeoutSeconds: number): void;
}

/** `true` and `false` in short. */
export type AuthenticateDecision =
  | boolean
  | { readonly accept: true /** What the client is known by from now on. */; readonly name?: string }
  | { readonly accept: false /** Told to the client. */; readonly reason?: string }
  /** Refused for now: the client asks its person and comes again with the answer (CRV1). */
  | { readonly accept: false; readonly challenge: DynamicChallenge }
  /** Refused for a while (AUTH_FAILED,TEMP). */
  | { readonly accept: false; readonly retry: RetryAdvice };

export interface DynamicChallenge {
  readonly text: string;
  /** Comes back with the answer; opaque to the client. No colon. */
  readonly state: string;
  readonly echo?: boolean;
  /** Whether an answer is wanted at all; default true. */
  readonly response?: boolean;
}

export interface RetryAdvice {
  readonly text?: string;
  readonly backoffSeconds?: number;
  readonly advance?: 'no' | 'address' | 'remote';
}

/** What a client that was let in gets, beside what the configuration says. Nothing returned means: just that. */
export type ConnectDecision =
  // biome-ignore lint/suspicious/noConfusingVoidType: a hook without a return statement is one that agrees
  | void
  | boolean
  | { readonly accept: false; readonly reason?: string }
  | {
      readonly accept?: true;
      /** Tunnel address in place of the pool's: `10.8.0.50` with the pool's netmask, or `10.8.0.50/24`. */
      readonly address4?: string;
      readonly address6?: string;
      /** Options to push, as `push` has them. */
      readonly push?: readonly string[];
      /** Networks behind the client (`iroute`): `192.168.4.0/24`, `fd00:4::/64`. */
      readonly routes?: readonly string[];
      /** Lines of a client-config-dir file. */
      readonly options?: string;
    };

/** A client that is in. A picture of the moment. */
export interface ClientInfo {
  readonly id: number;
  /** What it is known by: common name, or user name. */
  readonly name: string | undefined;
  readonly username: string | undefined;
  readonly endpoint: ClientEndpoint;
  readonly address4: string | undefined;
  readonly address6: string | undefined;
  readonly routes: readonly string[];
  /** IV_PLAT and IV_VER. */
  readonly platform: string | undefined;
  readonly version: string | undefined;
  readonly cipher: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** Unix seconds. */
  readonly connectedSince: number;
}

export interface AddressChange {
  readonly type: 'add' | 'update' | 'delete';
  /** `10.8.0.2/32`, `192.168.4.0/24`, `fd00:8::1000/128`. */
  readonly prefix: string;
  /** Undefined when an address is forgotten. */
  readonly client: ClientInfo | undefined;
}

export interface ServerHooks {
  readonly onAuthenticate?:
    | ((client: ClientIdentity, context: AuthenticateContext) => AuthenticateDecision | Promise<AuthenticateDecision>)
    | undefined;
  readonly onConnect?:
    | ((
        client: ClientIdentity,
        context: { readonly signal: AbortSignal },
      ) => ConnectDecision | Promise<ConnectDecision>)
    | undefined;
  /** A client answered a question (`pending`); base64, as it came. */
  readonly onResponse?: ((id: number, base64: string, environment: () => HookEnvironment) => void) | undefined;
  readonly onDisconnect?:
    | ((client: ClientInfo, reason: string, environment: () => HookEnvironment) => void | Promise<void>)
    | undefined;
  readonly onAddress?: ((change: AddressChange) => void | Promise<void>) | undefined;
}
