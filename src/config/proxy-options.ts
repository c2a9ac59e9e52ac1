// How a connection goes through a proxy, as the profile has it.

import type { Source } from './config.ts';

/** Where user name and password for a proxy come from. */
export interface ProxyLogin {
  /** undefined: a person is asked. */
  readonly source: Source | undefined;
}

/** How a program can log in at an HTTP proxy. */
export type HttpProxyMethod = 'basic' | 'digest';

export interface HttpProxyHeader {
  readonly name: string;
  /** undefined: the whole line is in `name`. */
  readonly content: string | undefined;
}

export interface HttpProxyOptions {
  readonly host: string;
  readonly port: string;
  readonly login: ProxyLogin | undefined;
  /** What may be used when the proxy asks for a login; none: then the attempt ends there. */
  readonly methods: readonly HttpProxyMethod[];
  /** The profile names Basic: it is sent with the first request, without being asked for. */
  readonly basicAtOnce: boolean;
  /** `1.0`, `1.1` … */
  readonly version: string;
  readonly agent: string | undefined;
  readonly headers: readonly HttpProxyHeader[];
}

export interface SocksProxyOptions {
  readonly host: string;
  readonly port: string;
  readonly login: ProxyLogin | undefined;
}
