// Writes into README.md what has been tried against which OpenVPN, with counts from the report of a whole, green run of
// `npm test` (which leaves it at .cache/test-report.json): npm run docs:tested [-- report]

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { OPTIONS } from '../src/config/option-table.ts';

const BEGIN = '<!-- tested: written by npm run docs:tested -->';
const END = '<!-- /tested -->';

/** What a suite of test/interop is about, by the beginning of its file's name; the first that fits. */
const SUBJECTS: readonly (readonly [pattern: RegExp, subject: string])[] = [
  [/^(server|library-server)/, 'a server: logins, certificates, addresses, scripts, refusals, reload, floods'],
  [
    /^(matrix|data-channel|renegotiation|fast-path|workers|epoch|dynamic)/,
    'ciphers, control channel wraps, transports, new keys',
  ],
  [/^(authentication|challenges|certificate|plugin|pam)/, 'logins, challenges and certificates of a client'],
  [/^(push-update|routes|network-options|host|mtu|socket|gateway)/, 'addresses, routes, MTU and what is pushed'],
  [/^(tap|bridge|p2p|peer-to-peer|proxy|proxies|http|socks)/, 'TAP, two equal ends, proxies'],
  [
    /^(life|endings|failures|remotes|scripts|privileges|output|words|system-log|steps)/,
    'a connection from start to end: words, signals, scripts, privileges',
  ],
  [/^(config-verdicts|genkey|pki|tools|deprecated)/, 'configurations, keys and tools'],
  [/^management/, 'the management interface, of a client and of a server'],
  [/^(network-manager|nm-service)/, 'NetworkManager: its own OpenVPN service with Sallyport in it, and ours'],
  [
    /^(dns|split|ipv6-leak|explain|desktop|commands|killed-host|refused-host|network-changes|packaging|persistent)/,
    'the desktop: name servers, split tunnels, profiles, recovery, changes of network, the package',
  ],
  [/^upstream/, "OpenVPN's own test scripts"],
];
const OTHER = 'other';
const PEERS = ['2.7', '2.6', '2.6-deaf', '2.5'];

interface Case {
  readonly status: string;
  readonly fullName: string;
  readonly meta?: { readonly peers?: readonly string[]; readonly upstreamCases?: number };
}

/** What vitest's JSON reporter writes, as far as it is needed. */
export interface Report {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Case[] }[];
}

export interface RunFacts {
  /** Files of the interop suite, without which a run is not a whole one. */
  readonly interopFiles: readonly string[];
  /** What each peer calls itself. */
  readonly versions: Readonly<Record<string, string | undefined>>;
  /** Whose own test scripts were run. */
  readonly release: string;
  /** What had to be taken out of their command lines, if anything. */
  readonly without: string | undefined;
}

/** Cases by what took part; `all` is every case. */
type Row = Record<string, number>;

/** The table of one report. Throws where a case failed or was skipped, or the run was not a whole one. */
export function testedTable(report: Report, { interopFiles, versions, release, without }: RunFacts): string {
  const files = report.testResults.map((file) => ({ name: file.name, cases: file.assertionResults }));
  const cases = files.flatMap(({ name, cases: all }) => all.map((each) => ({ ...each, file: name })));
  const bad = cases.filter(({ status }) => status !== 'passed');
  if (bad.length > 0)
    throw new Error(`${bad.length} cases did not pass, the first is: ${bad[0]?.fullName} (${bad[0]?.status})`);
  const interop = cases.filter(({ file }) => file.includes('/test/interop/'));
  const ran = new Set(interop.map(({ file }) => basename(file)));
  const absent = interopFiles.filter((file) => !ran.has(file));
  if (absent.length > 0) throw new Error(`not a whole run: ${absent.join(', ')} did not run`);
  const rows = new Map<string, Row>();
  for (const each of interop) {
    const subject = SUBJECTS.find(([pattern]) => pattern.test(basename(each.file)))?.[1] ?? OTHER;
    const row = rows.get(subject) ?? {};
    const weight = each.meta?.upstreamCases ?? 1;
    row.all = (row.all ?? 0) + weight;
    for (const peer of each.meta?.peers ?? []) row[peer] = (row[peer] ?? 0) + weight;
    rows.set(subject, row);
  }
  const order = [...SUBJECTS.map(([, subject]) => subject), OTHER].filter((subject) => rows.has(subject));
  const total: Row = {};
  for (const row of rows.values())
    for (const [key, count] of Object.entries(row)) total[key] = (total[key] ?? 0) + count;
  const line = (title: string, row: Row): string =>
    `| ${title} | ${row.all} | ${PEERS.map((peer) => row[peer] ?? '').join(' | ')} |`;
  return [
    `| what | cases | ${PEERS.map((peer) => (peer === '2.6-deaf' ? '2.6, deaf' : (versions[peer] ?? peer))).join(' | ')} |`,
    `| --- | ---: |${' ---: |'.repeat(PEERS.length)}`,
    ...order.map((subject) => line(subject, rows.get(subject) ?? {})),
    line('together', total),
    '',
    `Beside these, ${cases.length - interop.length} unit tests. Counted by the test run (\`npm run docs:tested\`): in how many cases a real OpenVPN of`,
    `each version took part; the rest have Sallyport at both ends, or alone. "2.6, deaf" is 2.6 that behaves as before 2.5: keys without`,
    `the TLS exporter. OpenVPN's own scripts are those of ${release}, each of their tests counted${without === undefined ? '' : `; our servers run them without ${without}, which is not built yet`}.`,
  ].join('\n');
}

/** The README with the table in its place. */
export function withTable(readme: string, table: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`README.md has no place for it: ${BEGIN} … ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n${table}\n${readme.slice(end)}`;
}

const versionOf = (program: string): string | undefined => {
  try {
    return /^OpenVPN (\S+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const report = JSON.parse(readFileSync(process.argv[2] ?? '.cache/test-report.json', 'utf8')) as Report;
  const peers = execFileSync('bash', ['scripts/peers.sh', '--print-dir'], { encoding: 'utf8' }).trim();
  const versions: Record<string, string | undefined> = { '2.6': versionOf('openvpn') };
  for (const peer of ['2.7', '2.5']) versions[peer] = versionOf(join(peers, `openvpn-${peer}`));
  const marker = join(peers, '2.7-source/VERSION');
  const release = existsSync(marker) ? readFileSync(marker, 'utf8').trim() : '2.7';
  const interopFiles = readdirSync('test/interop').filter((name) => name.endsWith('.test.ts'));
  const without = OPTIONS.get('management')?.status.kind === 'not-yet' ? '`--management`' : undefined;
  const table = testedTable(report, { interopFiles, versions, release, without });
  writeFileSync('README.md', withTable(readFileSync('README.md', 'utf8'), table));
}
