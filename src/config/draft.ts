// The configuration while it is being read: the same shapes as in config.ts, but open to change.

import type { HttpProxyDraft } from './build-proxy.ts';
import type { Config, ConfigLine, ConnectionProfile, Origin, TunnelOptions } from './config.ts';
import type { Say } from './findings.ts';
import type { ProxyLogin } from './proxy-options.ts';

/** A record whose fields may be set and whose lists may be appended to. */
export type Draft<T> = {
  -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K];
};

/** Reads one line into a draft. `args` has as many words as the option's row allows. */
export type Reader<D> = (draft: D, args: readonly string[], say: Say, line: ConfigLine) => void;

/** Readers by option name. */
export type Readers<D> = Readonly<Record<string, Reader<D>>>;

export type TunnelDraft = Draft<TunnelOptions>;

/** One connection with what is decided only at the end. */
export interface ConnectionDraft extends Draft<Omit<ConnectionProfile, 'httpProxy'>> {
  httpProxy: HttpProxyDraft | undefined;
  /** `tcp` without a role stays open until the role is known. */
  protoName: string;
  localPortStated: boolean;
  bindStated: boolean;
  tunMtuStated: boolean;
  keyDirection: 0 | 1 | undefined;
  /** `local` lines, each with its own words: what is missing comes from `port` and `proto`, wherever they stand. */
  locals: readonly LocalDraft[];
}

export interface LocalDraft {
  /** undefined for `*`. */
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly protoName: string | undefined;
  readonly origin: Origin;
}

export type GeneralDraft = Draft<
  Omit<Config, 'connections' | 'server' | 'tunnel' | 'tls' | 'scripts' | 'process' | 'lines'>
> & {
  clientMacro: boolean;
  keepalive: { readonly interval: number; readonly timeout: number } | undefined;
  keyDirection: 0 | 1 | undefined;
  protoForce: string | undefined;
  httpProxyLogin: ProxyLogin | undefined;
  httpProxyOverride: HttpProxyDraft | undefined;
  deviceName: string;
  deviceType: string | undefined;
  deviceNode: string | undefined;
  /** Names as written, `?optional` and DEFAULT not yet resolved. */
  dataCiphersText: string | undefined;
};

/** A tunnel of which nothing is known. */
export const emptyTunnel = (): TunnelDraft => ({
  topology: undefined,
  ifconfig: undefined,
  ifconfigIpv6: undefined,
  routes: [],
  routes6: [],
  routeGateway: undefined,
  routeIpv6Gateway: undefined,
  routeMetric: undefined,
  routeTable: undefined,
  routeDelay: undefined,
  redirectGateway: undefined,
  redirectPrivate: undefined,
  blockIpv6: false,
  natRules: [],
  dns: [],
  dnsSearchDomains: [],
  dhcpOptions: [],
  tunMtuBytes: undefined,
  ping: undefined,
  pingExit: undefined,
  pingRestart: undefined,
  pingTimerRem: false,
  inactive: undefined,
  sessionTimeoutSeconds: undefined,
  explicitExitNotify: undefined,
  compress: undefined,
  cipher: undefined,
  auth: undefined,
  peerId: undefined,
  protocolFlags: [],
  keyDerivation: undefined,
  authToken: undefined,
  authTokenUser: undefined,
  shaperBytesPerSecond: undefined,
  sndbuf: undefined,
  rcvbuf: undefined,
  socketFlags: [],
  echo: [],
  setenv: [],
  verb: undefined,
  mute: undefined,
  persistTun: false,
  txQueueLength: undefined,
  linkAddress: undefined,
  withoutEffect: [],
});
