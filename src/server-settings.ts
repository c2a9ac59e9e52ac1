// A server's configuration as an object, made into the lines of a configuration file: there is one parser and one set of
// checks.

import { quoteWord } from './config/lexer.ts';
import { SallyportError } from './error.ts';
import { formatAddress } from './ip/address.ts';
import { lengthToNetmask, parsePrefix } from './ip/prefix.ts';
import { checkNames, type KnownNames } from './known-names.ts';

/** The options that nearly every server has; all others go into `options`, as a configuration file has them. */
export interface ServerSettings {
  /** Network of the tunnel; the server takes its first address: `10.8.0.0/24`. */
  readonly network?: string;
  /** The same for IPv6: `fd00:8::/64`. */
  readonly network6?: string;
  /** What to listen on; default: UDP port 1194 of every address. Several at once are several sockets. */
  readonly listen?: ListenSetting | readonly ListenSetting[];
  /** Files by name, or PEM text. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly crl?: string;
  /** At most one of the first two. */
  readonly tlsAuth?: string;
  readonly tlsCrypt?: string;
  readonly tlsCryptV2?: string;
  /** Options for every client: `route 10.77.0.0 255.255.255.0`. */
  readonly push?: readonly string[];
  /** Seconds between pings of a silent tunnel, and of silence until it counts as gone. Default: 10 and 60. */
  readonly keepalive?: readonly [pingSeconds: number, restartSeconds: number];
  readonly clientToClient?: boolean;
  readonly maxClients?: number;
  /** Threads that move packets; default: by the number of processors. */
  readonly workers?: number;
  /** Whether clients need a certificate; where they don't, `onAuthenticate` decides. Default: `require`. */
  readonly clientCertificate?: 'require' | 'optional' | 'none';
  /** Clients are known by their user name. */
  readonly usernameAsCommonName?: boolean;
  /** Name of the host's device; default: the first free one. */
  readonly deviceName?: string;
  /** Further lines. */
  readonly options?: string;
}

export interface ListenSetting {
  readonly port?: number;
  readonly host?: string;
  readonly proto?: 'udp' | 'tcp' | 'udp4' | 'tcp4' | 'udp6' | 'tcp6';
}

const SETTINGS = {
  network: 'value',
  network6: 'value',
  listen: 'value',
  ca: 'value',
  cert: 'value',
  key: 'value',
  crl: 'value',
  tlsAuth: 'value',
  tlsCrypt: 'value',
  tlsCryptV2: 'value',
  push: 'value',
  keepalive: 'value',
  clientToClient: 'value',
  maxClients: 'value',
  workers: 'value',
  clientCertificate: 'value',
  usernameAsCommonName: 'value',
  deviceName: 'value',
  options: 'value',
} as const satisfies KnownNames<ServerSettings>;

const LISTEN_SETTINGS = { host: 'value', port: 'value', proto: 'value' } as const satisfies KnownNames<ListenSetting>;

const DEFAULT_PORT = 1194;

/** The text of a configuration file. Throws SallyportError for what has no line: a name that is none, a network that is none. */
export function settingsText(settings: ServerSettings): string {
  checkNames(settings, SETTINGS, 'setting', "the server's configuration");
  const { network, network6, listen = {}, keepalive = [10, 60] } = settings;
  const listens = Array.isArray(listen) ? (listen as readonly ListenSetting[]) : [listen as ListenSetting];
  for (const each of listens) checkNames(each, LISTEN_SETTINGS, 'setting', 'listen');
  const lines = [
    line('dev', settings.deviceName ?? 'tun'),
    'dev-type tun',
    ...listenLines(listens),
    'topology subnet',
    ...(network === undefined ? [] : [serverLine(network)]),
    ...(network6 === undefined ? [] : [line('server-ipv6', network6)]),
    ...(network === undefined && network6 === undefined ? ['mode server', 'tls-server'] : []),
    'dh none',
    material('ca', settings.ca),
    material('cert', settings.cert),
    material('key', settings.key),
    material('crl-verify', settings.crl),
    material('tls-auth', settings.tlsAuth),
    material('tls-crypt', settings.tlsCrypt),
    material('tls-crypt-v2', settings.tlsCryptV2),
    line('keepalive', ...keepalive.map(String)),
    line('verify-client-cert', settings.clientCertificate ?? 'require'),
    ...(settings.clientToClient === true ? ['client-to-client'] : []),
    ...(settings.usernameAsCommonName === true ? ['username-as-common-name'] : []),
    ...(settings.maxClients === undefined ? [] : [line('max-clients', String(settings.maxClients))]),
    ...(settings.workers === undefined ? [] : [line('workers', String(settings.workers))]),
    ...(settings.push ?? []).map((option) => line('push', option)),
    settings.options ?? '',
  ];
  return `${lines.filter((text) => text !== '').join('\n')}\n`;
}

const line = (option: string, ...words: readonly string[]): string => [option, ...words.map(quoteWord)].join(' ');

function listenLines(listens: readonly ListenSetting[]): string[] {
  const [first, ...more] = listens;
  if (first !== undefined && more.length === 0) {
    const { host, port = DEFAULT_PORT, proto = 'udp' } = first;
    return [line('proto', proto), line('port', String(port)), ...(host === undefined ? [] : [line('local', host)])];
  }
  return listens.map(({ host = '*', port = DEFAULT_PORT, proto = 'udp' }) => line('local', host, String(port), proto));
}

function serverLine(network: string): string {
  const prefix = parsePrefix(network);
  if (prefix?.address.length !== 4 || !network.includes('/')) {
    throw new SallyportError(`network "${network}" is not an IPv4 network`, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
      hint: 'Write it as 10.8.0.0/24; an IPv6 network is network6.',
    });
  }
  return line('server', formatAddress(prefix.address), formatAddress(lengthToNetmask(prefix.length, 4)));
}

/** A file's name, or its text as a block. */
function material(option: string, value: string | undefined): string {
  if (value === undefined) return '';
  if (value.includes(`</${option}>`)) {
    throw new SallyportError(`${option} is neither a file's name nor PEM text`, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
    });
  }
  return value.includes('-----BEGIN') ? `<${option}>\n${value.trim()}\n</${option}>` : line(option, value);
}
