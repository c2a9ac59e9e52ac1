// A connection of NetworkManager as lines of options. Lines are words and never text, so that no value can become another
// line; files come in as they were read, with the rights of whose connection it is (named-files.ts).

import type { NmConnection } from './connection.ts';
import { unescapePath } from './escaped-path.ts';
import { looksLikePkcs12 } from './key-files.ts';
import { checkData, checkSecrets, DATA_KEYS, type OptionLine } from './key-table.ts';
import { badArguments, type PluginError, shown } from './plugin-error.ts';
import { readRemotes } from './remotes.ts';

/** A file that a key of vpn.data names. */
export interface NamedFile {
  readonly key: string;
  readonly path: Uint8Array;
}

/** What a connection asks for; files are still names. */
export interface NmSettings {
  readonly lines: readonly OptionLine[];
  readonly files: readonly NamedFile[];
  readonly device: { readonly name: string; readonly layer: 'tun' | 'tap' };
  /** Whether a user name and password go to the server. */
  readonly login: boolean;
  readonly username: string | undefined;
  readonly proxyUsername: string | undefined;
  readonly blocksIpv6Leak: boolean;
  /** Everything goes through the tunnel unless NetworkManager is told otherwise; else only where the server says so. */
  readonly takesDefaultRoute: boolean;
  /** Sentences for the log about what has no effect. */
  readonly notes: readonly string[];
}

/** A line with the content of its file in the place of the file's name. */
export interface ReadLine extends OptionLine {
  readonly key: string;
  readonly inline: string | undefined;
}

const FILE_KEYS = DATA_KEYS.filter(({ check }) => check.kind === 'file').map(({ name }) => name);
const NO_EFFECT = ['max-routes', 'keysize', 'ncp-disable', 'tun-ipv6', 'proxy-retry'];
/** NetworkManager waits a minute: of several servers at least three are tried in it. */
const CONNECT_SECONDS = 60;
const LEAST_CONNECT_SECONDS = 20;

/** Throws PluginError for whatever can't be used; no secret is in its words. */
export function readSettings(connection: NmConnection): NmSettings {
  const type = connectionType(connection.data);
  const data = checkData(connection.data);
  checkSecrets(connection.secrets);
  if (type === 'static-key') throw staticKeyRefused();
  const get = (key: string): string | undefined => data.get(key);
  const remotes = readRemotes(get('remote') ?? '', { port: get('port'), tcp: get('proto-tcp') === 'yes' });
  const login = type !== 'tls';
  const device = readDevice(get);
  const line = (option: string, ...words: readonly string[]): OptionLine => ({ option, words });
  const simple = DATA_KEYS.flatMap(({ name, lines }) => {
    const value = get(name);
    return value === undefined || lines === undefined ? [] : lines(value);
  });
  return {
    lines: [
      line('client'),
      ...remotes.lines,
      ...(remotes.allUdp ? [line('explicit-exit-notify')] : []),
      line('nobind'),
      line('dev', device.layer),
      line('dev-type', device.layer),
      ...simple,
      ...proxyLines(get),
      ...compressionLines(get),
      ...nameLines(get),
      ...connectTimeoutLines(get, remotes.lines.length),
      line('reneg-sec', get('reneg-seconds') ?? '0'),
      ...tlsVersionLines(get),
      ...revocationFolder(get, connection),
      ...ifconfigLines(get),
      // Whose login is refused is asked again; who has none to change is refused for good.
      ...(login ? [line('auth-user-pass'), line('auth-retry', 'interact'), ...staticChallengeLines(get)] : []),
      line('script-security', '0'),
      line('persist-key'),
      line('persist-tun'),
      // NetworkManager sets addresses, routes and name servers.
      line('ifconfig-noexec'),
      line('route-noexec'),
      line('dns-backend', 'none'),
    ],
    files: namedFiles(get, type),
    device,
    login,
    username: get('username') ?? connection.userName,
    proxyUsername: get('http-proxy-username'),
    blocksIpv6Leak: get('block-ipv6-leak') !== 'no',
    takesDefaultRoute: get('default-route') !== 'pushed',
    notes: NO_EFFECT.filter((key) => data.has(key)).map((key) => `vpn.data ${key} has no effect`),
  };
}

/** Checked before all else, and by itself: NeedSecrets asks for nothing more. Throws PluginError. */
function connectionType(data: ReadonlyMap<string, string>): 'tls' | 'password' | 'password-tls' | 'static-key' {
  const type = data.get('connection-type');
  switch (type) {
    case 'tls':
    case 'password':
    case 'password-tls':
    case 'static-key':
      return type;
    default:
      throw badArguments(
        `vpn.data connection-type: ${type === undefined ? 'it is missing' : `"${shown(type)}" is none`}; there are tls, password and password-tls`,
      );
  }
}

const staticKeyRefused = (): PluginError =>
  badArguments(
    'vpn.data connection-type: static-key connections are refused: the key never changes, so who gets it reads all that was ever sent. OpenVPN 2.7 refuses them by default, too; use certificates (tls)',
  );

/** The same lines with what was read in them. Throws PluginError where a file can't be what it has to be. */
export function readLines(settings: NmSettings, contents: ReadonlyMap<string, Uint8Array>): readonly ReadLine[] {
  const lines: ReadLine[] = settings.lines.map((each) => ({ ...each, key: each.option, inline: undefined }));
  const taken = new Set<string>();
  const cert = contents.get('cert');
  if (cert !== undefined && looksLikePkcs12(cert)) {
    lines.push({ option: 'pkcs12', words: [], key: 'cert', inline: base64Lines(cert) });
    for (const key of ['cert', 'key']) taken.add(key);
  }
  for (const { key } of settings.files) {
    const content = contents.get(key);
    if (content === undefined || taken.has(key)) continue;
    // A PKCS#12 file that is also named as the authority gives its authorities as such.
    if (key === 'ca' && looksLikePkcs12(content)) continue;
    lines.push({ option: FILE_OPTIONS[key] ?? key, words: [], key, inline: inlineText(key, content) });
  }
  return lines;
}

const FILE_OPTIONS: Readonly<Record<string, string>> = { ta: 'tls-auth', 'crl-verify-file': 'crl-verify' };

function namedFiles(get: (key: string) => string | undefined, type: string): readonly NamedFile[] {
  const without = type === 'password' ? ['cert', 'key'] : [];
  return FILE_KEYS.flatMap((key) => {
    const value = get(key);
    return value === undefined || without.includes(key) ? [] : [{ key, path: unescapePath(value, key) }];
  });
}

function readDevice(get: (key: string) => string | undefined): NmSettings['device'] {
  const type = get('dev-type') as 'tun' | 'tap' | undefined;
  const stated = get('dev');
  if (stated === undefined) {
    const layer = type ?? (get('tap-dev') === 'yes' ? 'tap' : 'tun');
    return { name: layer, layer };
  }
  const layer = type ?? (/^(tun|tap)/.exec(stated)?.[1] as 'tun' | 'tap' | undefined);
  if (layer === undefined) {
    throw badArguments(`vpn.data dev: "${shown(stated)}" says neither tun nor tap; set dev-type, too`);
  }
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(stated)) {
    throw badArguments(`vpn.data dev: "${shown(stated)}" can't be the name of a device`);
  }
  return { name: stated, layer };
}

function proxyLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const [type, server, port] = [get('proxy-type'), get('proxy-server'), get('proxy-port')];
  if (type === undefined || server === undefined) return [];
  // Who has no user name there is not offered a login.
  const login = get('http-proxy-username') === undefined ? [] : ['stdin'];
  if (type === 'socks') return [{ option: 'socks-proxy', words: [server, port ?? '1080', ...login] }];
  return [{ option: 'http-proxy', words: [server, port ?? '8080', 'auto'] }];
}

/** comp-lzo=no meant "no line" to an old editor; no-by-default is the option's own `no`. */
function compressionLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const allow = get('allow-compression');
  const allowed: OptionLine[] = allow === undefined ? [] : [{ option: 'allow-compression', words: [allow] }];
  if (allow === 'no') return allowed;
  const [compress, lzo] = [get('compress'), get('comp-lzo')];
  if (compress === 'lzo' || compress === 'lz4' || compress === 'lz4-v2') {
    return [...allowed, { option: 'compress', words: [compress] }];
  }
  if (compress === 'yes') return [...allowed, { option: 'compress', words: [] }];
  if (lzo === 'yes') return [...allowed, { option: 'compress', words: ['lzo'] }];
  if (lzo === 'no-by-default') return [...allowed, { option: 'comp-lzo', words: ['no'] }];
  if (lzo === 'adaptive') return [...allowed, { option: 'comp-lzo', words: ['adaptive'] }];
  return allowed;
}

function nameLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const [stated, old] = [get('verify-x509-name'), get('tls-remote')];
  if (stated !== undefined && old !== undefined) {
    throw badArguments('vpn.data has both verify-x509-name and tls-remote; keep the first');
  }
  if (old !== undefined) return [{ option: 'verify-x509-name', words: [old, 'name'] }];
  if (stated === undefined) return [];
  const [, type = 'subject', name = ''] = /^(?:([^:]*):)?(.*)$/s.exec(stated) ?? [];
  if (name === '' || !['subject', 'name', 'name-prefix'].includes(type)) {
    throw badArguments(
      `vpn.data verify-x509-name: "${shown(stated)}" is not subject:NAME, name:NAME or name-prefix:NAME`,
    );
  }
  return [{ option: 'verify-x509-name', words: [name, type] }];
}

function connectTimeoutLines(get: (key: string) => string | undefined, remotes: number): readonly OptionLine[] {
  const stated = get('connect-timeout');
  if (stated !== undefined) return [{ option: 'server-poll-timeout', words: [stated] }];
  if (remotes < 2) return [];
  const seconds = Math.max(Math.floor(CONNECT_SECONDS / remotes), LEAST_CONNECT_SECONDS);
  return [{ option: 'server-poll-timeout', words: [String(seconds)] }];
}

function tlsVersionLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const [min, orHighest, direction] = [get('tls-version-min'), get('tls-version-min-or-highest'), get('ta-dir')];
  return [
    ...(min === undefined
      ? []
      : [{ option: 'tls-version-min', words: orHighest === 'yes' ? [min, 'or-highest'] : [min] }]),
    ...(direction === undefined || get('ta') === undefined ? [] : [{ option: 'key-direction', words: [direction] }]),
  ];
}

function revocationFolder(get: (key: string) => string | undefined, { users }: NmConnection): readonly OptionLine[] {
  const folder = get('crl-verify-dir');
  if (folder === undefined || get('crl-verify-file') !== undefined) return [];
  if (users.length > 0) {
    throw badArguments(
      'vpn.data crl-verify-dir: a connection that is private to users can name a file only (crl-verify-file)',
    );
  }
  if (!folder.startsWith('/')) throw badArguments(`vpn.data crl-verify-dir: "${shown(folder)}" is no absolute path`);
  return [{ option: 'crl-verify', words: [folder, 'dir'] }];
}

function ifconfigLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const [local, remote] = [get('local-ip'), get('remote-ip')];
  return local === undefined || remote === undefined ? [] : [{ option: 'ifconfig', words: [local, remote] }];
}

function staticChallengeLines(get: (key: string) => string | undefined): readonly OptionLine[] {
  const question = get('static-challenge');
  if (question === undefined) return [];
  const echo = get('static-challenge-echo') === 'yes' ? '1' : '0';
  return [{ option: 'static-challenge', words: [question, echo, get('static-challenge-format') ?? 'scrv1'] }];
}

function inlineText(key: string, content: Uint8Array): string {
  const text = new TextDecoder('utf-8', { fatal: false }).decode(content);
  if (text.includes('\0')) throw badArguments(`vpn.data ${key}: the file is no text; it has to be PEM`);
  return text;
}

function base64Lines(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  return `${(text.match(/.{1,64}/g) ?? []).join('\n')}\n`;
}
