// What a configuration says about serving many clients, and what is said about one of them: by its file in
// client-config-dir, by the output of a client-connect script, or by the program that embeds the server.

import type { CompressOption, KeyWrap, Origin, Source, TransportProto } from './config.ts';

/** A socket to listen on: one `local` line, or what `local`, `port` and `proto` say together where there is none. */
export interface ListenOption {
  /** undefined: every address of the host. */
  readonly host: string | undefined;
  readonly port: string;
  readonly proto: TransportProto;
  readonly origin: Origin;
}

/** The server's part of a configuration, macros (`server`, `server-ipv6`, `keepalive`) expanded. */
export interface ServerOptions {
  readonly listens: readonly ListenOption[];
  /**
   * First and last address for clients, undefined for no pool. Under net30 a client takes a /30 block, the first one
   * beginning at `first` with its last two bits cleared. The netmask is what clients are told under subnet.
   */
  readonly pool4: { readonly first: string; readonly last: string; readonly netmask: string | undefined } | undefined;
  /** The first address for clients, and the length that their prefix is told with. */
  readonly pool6: { readonly first: string; readonly prefixLength: number } | undefined;
  readonly poolPersist: { readonly path: string; readonly seconds: number } | undefined;
  /** Pushed to every client, in order, what the macros add included. */
  readonly push: readonly string[];
  readonly clientConfigDir: string | undefined;
  readonly ccdExclusive: boolean;
  readonly clientToClient: boolean;
  readonly duplicateCn: boolean;
  readonly maxClients: number;
  readonly maxRoutesPerClient: number;
  /** Learned Ethernet addresses that were not used for so long are forgotten; looked for every interval. */
  readonly staleRoutes: { readonly ageSeconds: number; readonly intervalSeconds: number } | undefined;
  readonly connectFreq: RateOption | undefined;
  readonly connectFreqInitial: RateOption;
  readonly ifconfigPushConstraint: { readonly network: string; readonly netmask: string } | undefined;
  readonly verifyClientCert: 'none' | 'optional' | 'require';
  readonly usernameAsCommonName: boolean;
  /** `CN`, or fields in the order in which they are looked for; `ext:` in front names an extension. */
  readonly usernameFields: readonly string[];
  readonly authUserPassOptional: boolean;
  readonly authGenToken: TokenOption | undefined;
  readonly authGenTokenSecret: Source | undefined;
  readonly requireExporter: boolean;
  /** Every wrap that clients may come with: at most one of tls-auth and tls-crypt, and tls-crypt-v2 beside it. */
  readonly wraps: readonly KeyWrap[];
  readonly tlsCryptV2: { readonly forceCookie: boolean; readonly maxAgeDays: number | undefined };
  readonly compressMigrate: boolean;
  readonly portShare:
    | { readonly host: string; readonly port: string; readonly directory: string | undefined }
    | undefined;
  readonly tcpQueueLimit: number;
  /** Answers leave from the address that was asked, or by the interface as well; undefined: as the routes say. */
  readonly multihome: 'address' | 'interface' | undefined;
  /** Under 2.7's `explicit-exit-notify N`: 0 none, 1 clients reconnect, 2 clients go to their next server. */
  readonly exitNotify: 0 | 1 | 2;
  /** undefined: the environment's TMPDIR, or /tmp. */
  readonly tmpDir: string | undefined;
  /** Where metrics are served: an address to listen on, loopback unless another one is written. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  readonly scripts: ServerScripts;
}

/** At most `count` in any `seconds`. */
export interface RateOption {
  readonly count: number;
  readonly seconds: number;
}

export interface TokenOption {
  /** 0: as long as the session renews it. */
  readonly lifetimeSeconds: number;
  readonly renewalSeconds: number;
  readonly externalAuth: boolean;
}

/** Programs that a server runs, each as an argv. */
export interface ServerScripts {
  readonly authUserPassVerify: { readonly argv: readonly string[]; readonly by: 'env' | 'file' } | undefined;
  readonly clientConnect: readonly string[] | undefined;
  readonly clientDisconnect: readonly string[] | undefined;
  readonly clientCrResponse: readonly string[] | undefined;
  readonly learnAddress: readonly string[] | undefined;
  readonly tlsCryptV2Verify: readonly string[] | undefined;
}

/** One change of the list that is pushed to a client; they count in their order. */
export type PushChange =
  | { readonly type: 'add'; readonly option: string }
  /**
   * Every option that begins so. `ifconfig` and `ifconfig-ipv6` are special: this client is not told its address of that
   * family, and nothing else is removed.
   */
  | { readonly type: 'remove'; readonly prefix: string }
  | { readonly type: 'reset' };

/** What is said about one client. Later sources are laid over earlier ones. */
export interface ClientOptions {
  readonly disable: boolean;
  readonly ifconfig:
    | { readonly local: string; readonly remoteOrNetmask: string; readonly alias: string | undefined }
    | undefined;
  readonly ifconfigIpv6:
    | { readonly local: string; readonly prefixLength: number; readonly remote: string | undefined }
    | undefined;
  /** `network/bits`, host bits cleared. */
  readonly iroutes: readonly string[];
  readonly iroutes6: readonly string[];
  readonly push: readonly PushChange[];
  readonly maxRoutes: number | undefined;
  readonly overrideUsername: string | undefined;
  /** Timers of the server's end of this client; undefined leaves the server's own, pingRestart and pingExit as one. */
  readonly ping: number | undefined;
  readonly pingRestart: number | undefined;
  readonly pingExit: number | undefined;
  readonly inactive: { readonly seconds: number; readonly bytes: number } | undefined;
  readonly sessionTimeoutSeconds: number | undefined;
  /** Ciphers allowed to this client, in place of the server's. */
  readonly dataCiphers: readonly string[] | undefined;
  /** For a client that does not negotiate, if the server has a fallback; then in its place. */
  readonly cipher: string | undefined;
  /** As `cipher`, and makes a fallback where the server has none. */
  readonly dataCiphersFallback: string | undefined;
  readonly compress: CompressOption | undefined;
}

/** Nothing said. */
export const NO_CLIENT_OPTIONS: ClientOptions = {
  disable: false,
  ifconfig: undefined,
  ifconfigIpv6: undefined,
  iroutes: [],
  iroutes6: [],
  push: [],
  maxRoutes: undefined,
  overrideUsername: undefined,
  ping: undefined,
  pingRestart: undefined,
  pingExit: undefined,
  inactive: undefined,
  sessionTimeoutSeconds: undefined,
  dataCiphers: undefined,
  cipher: undefined,
  dataCiphersFallback: undefined,
  compress: undefined,
};
