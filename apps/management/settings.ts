// The management options of a configuration, out of its lines. Pure.

import type { Config } from '../../src/command.ts';
import type { ExternalKeyFlag } from './external-key.ts';

export interface ManagementSettings {
  /** A path of a unix socket, or host and port. */
  readonly at: { readonly path: string } | { readonly host: string; readonly port: number };
  /** It listens at the tunnel's own address, while there is one: nobody can be waited for or asked before. */
  readonly overTunnel: boolean;
  /** `stdin` for a question on the terminal; undefined: no password. */
  readonly passwordFile: string | undefined;
  /** We connect, and end when the other side goes. */
  readonly connects: boolean;
  readonly clientUser: string | undefined;
  readonly clientGroup: string | undefined;
  readonly hold: boolean;
  readonly queryPasswords: boolean;
  readonly queryRemote: boolean;
  readonly queryProxy: boolean;
  readonly forgetOnDisconnect: boolean;
  readonly signalOnDisconnect: boolean;
  readonly upDown: boolean;
  readonly clientAuth: boolean;
  /** The management client signs, and can do this. */
  readonly externalKey: ReadonlySet<ExternalKeyFlag> | undefined;
  /** It has the certificate, too; the hint that it is told. */
  readonly externalCert: string | undefined;
  readonly logLines: number;
  readonly remapUsr1: 'SIGHUP' | 'SIGTERM' | undefined;
  readonly isServer: boolean;
}

/** Undefined where the configuration has no `management`. */
export function managementSettings(config: Config): ManagementSettings | undefined {
  const last = (option: string) => config.lines.filter((line) => line.option === option).at(-1)?.words;
  const has = (option: string): boolean => last(option) !== undefined;
  const words = last('management');
  if (words === undefined) return undefined;
  const [address = '', port = '', passwordFile] = words;
  const overTunnel = address === 'tunnel' && port !== 'unix' && !has('management-client');
  return {
    overTunnel,
    at: port === 'unix' ? { path: address } : { host: address, port: Number(port) },
    passwordFile,
    connects: has('management-client'),
    clientUser: last('management-client-user')?.[0],
    clientGroup: last('management-client-group')?.[0],
    hold: has('management-hold') && !overTunnel,
    queryPasswords: has('management-query-passwords') && !overTunnel,
    queryRemote: has('management-query-remote') && !overTunnel,
    queryProxy: has('management-query-proxy') && !overTunnel,
    forgetOnDisconnect: has('management-forget-disconnect'),
    signalOnDisconnect: has('management-signal'),
    upDown: has('management-up-down'),
    clientAuth: has('management-client-auth'),
    externalKey: externalKeyFlags(config),
    externalCert: last('management-external-cert')?.[0],
    logLines: Math.max(1, Number(last('management-log-cache')?.[0] ?? 250)),
    remapUsr1: config.process.remapUsr1,
    isServer: config.mode === 'server',
  };
}

/** All lines count; without a word about padding it is the old one alone. Unknown words were refused with the configuration. */
function externalKeyFlags(config: Config): ReadonlySet<ExternalKeyFlag> | undefined {
  const lines = config.lines.filter(({ option }) => option === 'management-external-key');
  if (lines.length === 0) return undefined;
  const flags = new Set(lines.flatMap(({ words }) => words as readonly ExternalKeyFlag[]));
  if (!flags.has('nopadding') && !flags.has('pkcs1')) flags.add('pkcs1');
  return flags;
}
