// Command lines that print something and end: the lists of `--show-…` and `--test-crypto`. The form of each line is the
// C program's, because scripts read them; the sentences around them are ours.

import {
  createLogger,
  Level,
  type Log,
  MAX_PROFILE_BYTES,
  readBoundedFile,
  SallyportError,
  stdoutSink,
} from '../../src/command.ts';
import {
  familyOf,
  hostGateway,
  listCiphers,
  listDigests,
  listGroups,
  listTls,
  loadProviders,
  parseToolRequest,
  type ToolName,
  type ToolRequest,
} from '../../src/tools.ts';
import { testCrypto } from './test-crypto.ts';
import { ToolError } from './tool-error.ts';

/** Answers everything that the command line asks for; returns the exit code. */
export function runTools(argv: readonly string[]): number {
  const request = parseToolRequest(argv, { readText });
  if ('problems' in request) {
    const plain = logger(1, true);
    for (const line of [...request.problems, 'Use --help for more information.']) plain(Level.fatal, line);
    return 1;
  }
  const log = logger(request.verb, argv.includes('--suppress-timestamps'));
  try {
    for (const name of loadProviders(request.providers)) throw new ToolError(`failed to load provider '${name}'`);
    for (const tool of request.tools) TOOL[tool](request, log);
    return 0;
  } catch (error) {
    for (const line of [...linesOf(error), 'Exiting due to fatal error']) log(Level.fatal, line);
    return 1;
  }
}

const TOOL: Readonly<Record<ToolName, (request: ToolRequest, log: Log) => void>> = {
  'show-gateway': showGateway,
  'show-ciphers': showCiphers,
  'show-digests': showDigests,
  'show-engines': () => print('There are no engines: OpenSSL 3 has providers in their place (--providers).', ''),
  'show-tls': showTls,
  'show-groups': () =>
    print('The following groups of TLS key exchange are there, for --tls-groups.', '', ...listGroups(), ''),
  'test-crypto': testCrypto,
};

function showCiphers(): void {
  const ciphers = [...listCiphers()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const line = ({ name, kind, keyBytes, blockBytes }: (typeof ciphers)[number]): string => {
    const block =
      kind === 'cbc' || kind === 'feedback'
        ? `${8 * blockBytes} bit block`
        : STREAM_LIKE.has(name)
          ? 'stream cipher'
          : '128 bit block';
    return `${name}  (${8 * keyBytes} bit key, ${block}${kind !== 'cbc' ? ', TLS client/server mode only' : ''})`;
  };
  print('The following ciphers of the data channel are there, for --data-ciphers.', '');
  print(...ciphers.filter(({ smallBlock }) => !smallBlock).map(line), '');
  const small = ciphers.filter(({ smallBlock }) => smallBlock);
  if (small.length === 0) return;
  print(
    'The following ciphers have blocks of 64 bits, which give plaintext away after some gigabytes (SWEET32).',
    'They are taken under --providers legacy default only, for peers that can do nothing else.',
    '',
    ...small.map(line),
    '',
  );
}

const STREAM_LIKE = new Set(['CHACHA20-POLY1305']);

function showDigests(): void {
  print('The following digests are there, for --auth: HMAC of CBC packets and of tls-auth.', '');
  print(...listDigests().map(({ name, bytes }) => `${name} ${8 * bytes} bit digest size`), '');
}

function showTls(request: ToolRequest, log: Log): void {
  const profile = request.tlsCertProfile;
  if (profile !== undefined && !isProfile(profile)) throw new ToolError(`ERROR: Invalid cert profile: ${profile}`);
  const settings = { cipherList: request.tlsCipher, cipherSuites: request.tlsCiphersuites, certProfile: profile };
  const { tls13, older } = listTls(settings, (text) => log(Level.warning, text));
  print('Available TLS Ciphers, listed in order of preference:', '');
  print('For TLS 1.3 and newer (--tls-ciphersuites):', '', ...tls13.map(({ name }) => name), '');
  print('For TLS 1.2 and older (--tls-cipher):', '', ...older.map(({ name }) => name), '');
  print(
    'Which of them a connection uses is decided with the peer: by its list, its certificate and its TLS version.',
    '',
  );
}

const PROFILES = ['insecure', 'legacy', 'preferred', 'suiteb'] as const;
const isProfile = (text: string): text is (typeof PROFILES)[number] => PROFILES.some((profile) => profile === text);

function showGateway({ address }: ToolRequest, log: Log): void {
  const asked = address === undefined ? undefined : familyOf(address);
  if (address !== undefined && asked !== 4) log(Level.warning, `Can't parse ${address} as IPv4 address`);
  if (address !== undefined && asked !== 6) log(Level.warning, `Can't parse ${address} as IPv6 address`);
  const four = hostGateway(asked === 4 ? address : undefined, 4);
  if (four === undefined) log(Level.warning, 'There is no way out by IPv4.');
  else {
    const { gateway, netmask, device, linkAddress } = four;
    const via = gateway === undefined ? 'ON_LINK' : `${gateway}${netmask === undefined ? '' : `/${netmask}`}`;
    log(Level.info, `ROUTE_GATEWAY ${via} IFACE=${device} HWADDR=${linkAddress}`);
  }
  const six = hostGateway(asked === 6 ? address : undefined, 6);
  if (six === undefined) log(Level.warning, 'There is no way out by IPv6.');
  else log(Level.info, `ROUTE6_GATEWAY ${six.gateway ?? `${address ?? '::'} ON_LINK`} IFACE=${six.device}`);
}

const print = (...lines: readonly string[]): void => {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
};

const linesOf = (error: unknown): readonly string[] => {
  if (error instanceof ToolError) return error.lines;
  if (error instanceof SallyportError) return [error.message, ...(error.hint === undefined ? [] : [`  ${error.hint}`])];
  return [error instanceof Error ? error.message : String(error)];
};

/** A log on standard output, which is where the C program has it. */
const logger = (verb: number, suppressTimestamps: boolean): Log =>
  createLogger({ verb, mute: 0, sink: stdoutSink({ suppressTimestamps, machineReadable: false }) }).log;

function readText(path: string): string | undefined {
  try {
    return readBoundedFile(path === 'stdin' ? 0 : path, MAX_PROFILE_BYTES).toString('utf8');
  } catch {
    return undefined;
  }
}
