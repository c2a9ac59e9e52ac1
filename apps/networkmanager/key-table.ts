// Every key of vpn.data and vpn.secrets: those of network-manager-openvpn, whose editors and import write them, and those
// of our own. One row a key: what its value may be, and what becomes of it. docs/NETWORKMANAGER.md shows the rows.

import { badArguments, type PluginError, shown } from './plugin-error.ts';

/** What a value may be; an empty one counts as none. */
export type KeyCheck =
  | { readonly kind: 'text' }
  /** One of these words. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'yes-no' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  /** Letters, digits, dots and hyphens. */
  | { readonly kind: 'address' }
  /** The escaped name of a file, which is read before the client starts. */
  | { readonly kind: 'file' };

/** One line of options, as words. */
export interface OptionLine {
  readonly option: string;
  readonly words: readonly string[];
}

export interface DataKey {
  readonly name: string;
  readonly check: KeyCheck;
  /** What becomes of it, in a few words. */
  readonly becomes: string;
  /** The lines it makes by itself; undefined: it is part of something else (settings.ts). */
  readonly lines?: (value: string) => readonly OptionLine[];
  /** Not of network-manager-openvpn, whose service refuses it. */
  readonly own?: true;
}

const INT_MAX = 0x7fff_ffff;
const text: KeyCheck = { kind: 'text' };
const yesNo: KeyCheck = { kind: 'yes-no' };
const file: KeyCheck = { kind: 'file' };
const number = (min: number, max = INT_MAX): KeyCheck => ({ kind: 'number', min, max });
const word = (...words: readonly string[]): KeyCheck => ({ kind: 'word', words });

/** `option VALUE` */
const option = (name: string, check: KeyCheck, becomes = name): DataKey => ({
  name,
  check,
  becomes,
  lines: (value) => [{ option: becomes, words: [value] }],
});
/** `option`, where the value is yes */
const flag = (name: string): DataKey => ({
  name,
  check: yesNo,
  becomes: name,
  lines: (value) => (value === 'yes' ? [{ option: name, words: [] }] : []),
});
const part = (name: string, check: KeyCheck, becomes: string): DataKey => ({ name, check, becomes });
const own = (name: string, check: KeyCheck, becomes: string): DataKey => ({ name, check, becomes, own: true });

export const DATA_KEYS: readonly DataKey[] = [
  part(
    'connection-type',
    word('tls', 'password', 'password-tls', 'static-key'),
    'who logs in with what; static-key is refused',
  ),
  part('remote', text, 'remote, one for each HOST[:PORT[:PROTOCOL]] between commas or blanks'),
  part('port', number(1, 65_535), 'the port of remotes without one'),
  part('proto-tcp', yesNo, 'TCP for remotes without a protocol'),
  flag('remote-random'),
  flag('remote-random-hostname'),
  flag('allow-pull-fqdn'),
  flag('float'),
  part('ca', file, 'ca, or pkcs12'),
  part('cert', file, 'cert, or pkcs12'),
  part('key', file, 'key'),
  part('extra-certs', file, 'extra-certs'),
  part('ta', file, 'tls-auth'),
  part('ta-dir', number(0, 1), 'key-direction'),
  part('tls-crypt', file, 'tls-crypt'),
  part('tls-crypt-v2', file, 'tls-crypt-v2'),
  part('crl-verify-file', file, 'crl-verify'),
  part('crl-verify-dir', text, 'crl-verify DIRECTORY dir; not for a connection that is private to users'),
  part('username', text, 'the user name'),
  part('http-proxy-username', text, 'the user name at the proxy'),
  part('proxy-type', word('http', 'socks'), 'http-proxy or socks-proxy'),
  part('proxy-server', text, 'its host'),
  part('proxy-port', number(1, 65_535), 'its port; 8080 or 1080'),
  part('proxy-retry', yesNo, 'nothing: the client tries again anyway'),
  part('dev', text, 'dev'),
  part('dev-type', word('tun', 'tap'), 'dev-type'),
  part('tap-dev', yesNo, 'dev tap'),
  option('auth', text),
  option('cipher', text),
  option('data-ciphers', text),
  option('data-ciphers-fallback', text),
  option('tls-cipher', text),
  part('tls-version-min', text, 'tls-version-min'),
  part('tls-version-min-or-highest', yesNo, 'or-highest behind tls-version-min'),
  option('tls-version-max', text),
  option('remote-cert-tls', word('client', 'server')),
  option('ns-cert-type', word('client', 'server')),
  part('verify-x509-name', text, 'verify-x509-name, of [TYPE:]NAME'),
  part('tls-remote', text, 'verify-x509-name NAME name'),
  option('ping', number(0)),
  option('ping-exit', number(0)),
  option('ping-restart', number(0)),
  part('connect-timeout', number(0), 'server-poll-timeout; with several remotes, 60 s divided among them, at least 20'),
  part('reneg-seconds', number(0), 'reneg-sec; 0 where it is not set'),
  option('tunnel-mtu', number(0), 'tun-mtu'),
  option('fragment-size', number(0), 'fragment'),
  {
    name: 'mssfix',
    check: text,
    becomes: 'mssfix, where it is yes or a number',
    lines: (value) => {
      if (value === 'yes') return [{ option: 'mssfix', words: [] }];
      return /^\d{1,9}$/.test(value) ? [{ option: 'mssfix', words: [value] }] : [];
    },
  },
  {
    name: 'mtu-disc',
    check: text,
    becomes: 'mtu-disc, where it is no, maybe or yes',
    lines: (value) => (['no', 'maybe', 'yes'].includes(value) ? [{ option: 'mtu-disc', words: [value] }] : []),
  },
  part('local-ip', { kind: 'address' }, 'ifconfig, with remote-ip'),
  part('remote-ip', { kind: 'address' }, 'ifconfig, with local-ip'),
  part('allow-compression', text, 'allow-compression; with no, no compression line'),
  part('compress', text, 'compress'),
  part('comp-lzo', text, 'compress lzo (yes), comp-lzo no (no-by-default), comp-lzo adaptive (adaptive)'),
  flag('push-peer-info'),
  part('tun-ipv6', text, 'nothing: IPv6 in the tunnel needs no option'),
  part('max-routes', number(0, 100_000_000), 'nothing: there is no limit'),
  part('keysize', number(1, 65_535), 'nothing: the name of the cipher says it'),
  part('ncp-disable', yesNo, 'nothing: ciphers are always negotiated'),
  part('static-key', text, 'refused, with its connection-type'),
  part('static-key-direction', number(0, 1), 'refused, with its connection-type'),
  part('password-flags', text, 'whether a password is asked for before connecting'),
  part('cert-pass-flags', text, 'whether the passphrase is asked for before connecting'),
  part('http-proxy-password-flags', text, 'whether the password at the proxy is asked for before connecting'),
  part('challenge-response-flags', text, 'nothing: an answer is always asked for'),
  part('no-secret', text, 'nothing'),
  part('name', text, 'nothing'),
  own('block-ipv6-leak', yesNo, 'no: IPv6 goes past a tunnel that takes all IPv4 and has no IPv6 itself'),
  own(
    'default-route',
    word('always', 'pushed'),
    'pushed: everything goes through the tunnel only where the server says so',
  ),
  own('static-challenge', text, 'static-challenge: the question that is asked along with the password'),
  own('static-challenge-echo', yesNo, 'whether its answer may be seen'),
  own('static-challenge-format', word('scrv1', 'concat'), 'how its answer travels'),
];

export const SECRET_KEYS: readonly { readonly name: string; readonly becomes: string }[] = [
  { name: 'password', becomes: 'the password' },
  { name: 'cert-pass', becomes: 'the passphrase of the private key' },
  { name: 'http-proxy-password', becomes: 'the password at the proxy' },
  { name: 'challenge-response', becomes: 'the answer to a challenge' },
  { name: 'username', becomes: 'the user name that was entered where the connection has none' },
  { name: 'http-proxy-username', becomes: 'the same at the proxy' },
  { name: 'no-secret', becomes: 'nothing: a dialog says that it had nothing to ask' },
];

const DATA_BY_NAME = new Map(DATA_KEYS.map((row) => [row.name, row]));
const SECRET_NAMES = new Set(SECRET_KEYS.map(({ name }) => name));

/** The values that are set, each checked. Throws PluginError for the first that can't be. */
export function checkData(data: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const checked = new Map<string, string>();
  for (const [key, value] of data) {
    const row = DATA_BY_NAME.get(key);
    if (row === undefined) throw unknown('vpn.data', key);
    if (value === '') continue;
    if (/[\0\r\n]/.test(value)) throw badArguments(`vpn.data ${key} has a line break or a zero byte in it`);
    checked.set(key, checkValue(row, value));
  }
  if (checked.size === 0) throw badArguments('vpn.data is empty: there is nothing to connect with');
  return checked;
}

/** Throws PluginError; no value is in its words. */
export function checkSecrets(secrets: ReadonlyMap<string, string>): void {
  for (const [key, value] of secrets) {
    if (!SECRET_NAMES.has(key)) throw unknown('vpn.secrets', key);
    if (/[\0\r\n]/.test(value)) throw badArguments(`vpn.secrets ${key} has a line break or a zero byte in it`);
  }
}

const unknown = (place: string, key: string): PluginError =>
  badArguments(`${place}: "${shown(key)}" is no key that this service knows; remove it from the connection`);

function checkValue({ name, check }: DataKey, value: string): string {
  switch (check.kind) {
    case 'text':
    case 'file':
      return value;
    case 'word':
      if (check.words.includes(value)) return value;
      throw badArguments(`vpn.data ${name}: "${shown(value)}" is none of ${check.words.join(', ')}`);
    case 'yes-no':
      if (value === 'yes' || value === 'no') return value;
      throw badArguments(`vpn.data ${name}: "${shown(value)}" is neither yes nor no`);
    case 'number': {
      const digits = /^\s*(\d{1,10})\s*$/.exec(value)?.[1];
      const amount = Number(digits);
      if (digits !== undefined && amount >= check.min && amount <= check.max) return String(amount);
      throw badArguments(`vpn.data ${name}: "${shown(value)}" is no number from ${check.min} to ${check.max}`);
    }
    case 'address':
      if (/^[A-Za-z0-9.-]+$/.test(value)) return value;
      throw badArguments(`vpn.data ${name}: "${shown(value)}" is no address`);
    default:
      return check satisfies never;
  }
}
