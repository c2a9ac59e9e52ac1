// The options string of key method 2: both peers' ideas of the tunnel, compared for warnings only.
// Order and words as in the C program's options_string.c (2.7).

export interface OptionsStringFacts {
  readonly deviceType: 'tun' | 'tap' | 'null';
  /** The old overhead arithmetic, done by the caller. */
  readonly linkMtuBytes: number;
  readonly tunMtuBytes: number;
  /** As the C program writes it: `UDPv4`, `TCPv4_CLIENT` … */
  readonly proto: string;
  readonly tunIpv6: boolean;
  /** Point-to-point only: the words after `ifconfig`. */
  readonly ifconfig: string | undefined;
  readonly compression: boolean;
  readonly fragment: boolean;
  readonly keyDirection: 0 | 1 | undefined;
  /** undefined when the peer should not read one (not in data-ciphers). `none` is written [null-cipher]. */
  readonly cipher: string | undefined;
  /** Digest name, or [null-digest] for AEAD. */
  readonly auth: string;
  readonly keySizeBits: number;
  readonly tlsAuth: boolean;
  readonly tlsRole: 'client' | 'server';
}

/** Options string without its NUL. */
export function writeOptionsString(facts: OptionsStringFacts): string {
  const words = ['V4', `dev-type ${facts.deviceType}`, `link-mtu ${facts.linkMtuBytes}`];
  words.push(`tun-mtu ${facts.tunMtuBytes}`, `proto ${facts.proto}`);
  if (facts.tunIpv6) words.push('tun-ipv6');
  if (facts.ifconfig !== undefined) words.push(`ifconfig ${facts.ifconfig}`);
  if (facts.compression) words.push('comp-lzo');
  if (facts.fragment) words.push('mtu-dynamic');
  if (facts.keyDirection !== undefined) words.push(`keydir ${facts.keyDirection}`);
  if (facts.cipher !== undefined) words.push(`cipher ${facts.cipher === 'none' ? '[null-cipher]' : facts.cipher}`);
  words.push(`auth ${facts.auth}`, `keysize ${facts.keySizeBits}`);
  if (facts.tlsAuth) words.push('tls-auth');
  words.push('key-method 2', `tls-${facts.tlsRole}`);
  return words.join(',');
}

/** The options string of this side towards a peer that still has compression: it is then said to have it, too. */
export function compressedOptionsString(optionsString: string): string {
  const [match, mtu] = /,link-mtu (\d{3,4})(?=,)/.exec(optionsString) ?? [];
  if (match === undefined) return optionsString;
  return `${optionsString.replace(match, `,link-mtu ${Number(mtu) + 1}`)},comp-lzo`;
}

/** Whether a peer's options string announces compression. */
export const announcesCompression = (optionsString: string): boolean => optionsString.includes(',comp-lzo,');

/** Reads the value of one option (`cipher`, `link-mtu` …) from a peer's options string. */
export function parseOptionsStringValue(optionsString: string, option: string): string | undefined {
  for (const word of optionsString.split(',')) {
    if (word.startsWith(`${option} `) && word.length > option.length + 1) return word.slice(option.length + 1);
  }
  return undefined;
}

/** The cipher that a peer without negotiation announces, in the names of `--cipher`. */
export function parseOptionsStringCipher(optionsString: string): string | undefined {
  const cipher = parseOptionsStringValue(optionsString, 'cipher');
  return cipher === '[null-cipher]' ? 'none' : cipher;
}

/** Options about which the C program warns no more. */
const UNWARNED = ['key-method ', 'keydir ', 'proto ', 'tun-ipv6', 'cipher '];

/** The C program's lines about differences between what we expected and what the peer has; since 2.6 for verb 7 only. */
export function compareOptionsStrings(actual: string, expected: string): string[] {
  if (actual === expected || actual.slice(0, 2) !== expected.slice(0, 2)) return [];
  const local = `version ${expected}`.split(',');
  const remote = `version ${actual}`.split(',');
  return [...scan(local, remote, 'local', 'remote', true), ...scan(remote, local, 'remote', 'local', false)];
}

function* scan(
  ours: readonly string[],
  theirs: readonly string[],
  ourName: string,
  theirName: string,
  reportInconsistent: boolean,
): Generator<string> {
  for (const own of ours) {
    if (own === '' || own === 'tls-auth' || UNWARNED.some((prefix) => own.startsWith(prefix))) continue;
    const option = own.split(' ', 1)[0] ?? '';
    const match = theirs.find((word) => word !== '' && (word === own || word.split(' ', 1)[0] === option));
    if (match === own) continue;
    if (match === undefined) {
      yield `WARNING: '${option}' is present in ${ourName} config but missing in ${theirName} config, ${ourName}='${own}'`;
    } else if (reportInconsistent) {
      yield `WARNING: '${option}' is used inconsistently, ${ourName}='${own}', ${theirName}='${match}'`;
    }
  }
}
