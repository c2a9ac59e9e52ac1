// A configuration read again while the server runs: what of it can be gone by at once, and what has to wait for a restart.
//
// The lines of options that can't be changed on the way are those of the running configuration, all others are the new
// ones; what they make together is read and checked as any configuration is.

import { SallyportError } from '../error.ts';
import type { Config, ConfigLine } from './config.ts';
import { configOfLines } from './parse.ts';

export interface ConfigChange {
  readonly config: Config;
  /** Names of options that are different now. */
  readonly applied: readonly string[];
  /** Names of changed options that keep their old value. */
  readonly needRestart: readonly string[];
}

/** What new clients, new judgements and new handshakes go by; everything else is fixed from the start. */
const LIVE: ReadonlySet<string> = new Set([
  ...['ca', 'cert', 'key', 'pkcs12', 'extra-certs', 'dh', 'crl-verify', 'askpass'],
  ...['tls-version-min', 'tls-version-max', 'tls-cipher', 'tls-ciphersuites', 'tls-groups', 'ecdh-curve'],
  ...['tls-cert-profile', 'remote-cert-tls', 'remote-cert-ku', 'remote-cert-eku', 'verify-x509-name', 'verify-hash'],
  ...['peer-fingerprint', 'verify-client-cert', 'client-cert-not-required'],
  ...['username-as-common-name', 'x509-username-field'],
  ...['auth-user-pass-verify', 'auth-user-pass-optional', 'tls-verify', 'tls-crypt-v2-verify', 'script-security'],
  ...['client-connect', 'client-disconnect', 'client-crresponse', 'learn-address'],
  ...['push', 'client-config-dir', 'ccd-exclusive', 'ifconfig-push-constraint', 'explicit-exit-notify'],
  ...['max-clients', 'max-routes-per-client', 'connect-freq'],
  ...['keepalive', 'ping', 'ping-restart', 'ping-exit', 'ping-timer-rem', 'inactive', 'session-timeout'],
  ...['data-ciphers', 'ncp-ciphers', 'data-ciphers-fallback', 'cipher', 'force-tls-key-material-export'],
  ...['reneg-sec', 'reneg-bytes', 'reneg-pkts', 'hand-window', 'tran-window', 'tls-timeout', 'replay-window'],
  ...['mute-replay-warnings', 'verb', 'mute', 'status', 'status-version', 'remap-usr1'],
]);

export interface ReloadLimits {
  /** See ConfigHost. */
  readonly checksLogins: boolean;
  /** What `max-clients` can be raised to. */
  readonly mostClients: number;
}

/** Throws SallyportError where the new options do not go with the old ones that stay. */
export function reloadConfig(running: Config, next: Config, limits: ReloadLimits): ConfigChange {
  const isLive = (option: string): boolean =>
    LIVE.has(option) && !(option === 'max-clients' && (next.server?.maxClients ?? 0) > limits.mostClients);
  const changed = changedOptions(running.lines, next.lines);
  const applied = changed.filter(isLive);
  const lines = [
    ...next.lines.filter(({ option }) => isLive(option)),
    ...running.lines.filter(({ option }) => !isLive(option)),
  ];
  const source = next.lines[0]?.origin.file ?? '';
  const { config, findings } = configOfLines(lines, source, limits);
  if (config?.server === undefined) {
    const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
    throw new SallyportError(
      `The new options do not go together with those that stay until a restart: ${errors.join('; ')}`,
      { code: 'SALLYPORT_CONFIG', blame: 'config', hint: 'Restart the server to have them.' },
    );
  }
  return { config, applied, needRestart: changed.filter((option) => !isLive(option)) };
}

/** Options that stand with other words, another number of times, or only on one side. */
function changedOptions(before: readonly ConfigLine[], now: readonly ConfigLine[]): string[] {
  const [old, next] = [byOption(before), byOption(now)];
  return [...new Set([...old.keys(), ...next.keys()])].filter((option) => old.get(option) !== next.get(option));
}

function byOption(lines: readonly ConfigLine[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { option, words, inline } of lines) {
    found.set(option, `${found.get(option) ?? ''}${JSON.stringify([words, inline])}`);
  }
  return found;
}
