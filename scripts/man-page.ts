// The man page sallyport(8), made from the option table: the sentences are those of `--help`.

import type { OptionRow } from '../src/config/option-row.ts';
import { OPTION_GROUPS } from '../src/config/option-table.ts';
import { deprecationOf, placeOf, STATUS_WORDS, whyOf } from '../src/config/option-words.ts';
import { OPENVPN_VERSION, SALLYPORT_VERSION } from '../src/version.ts';

/** When the sentences around the options were last written. */
export const PAGE_DATE = '2026-11-29';

/** The page in man(7); no clock is asked: the same table gives the same bytes. */
export function manPage(): string {
  return `${[
    '.\\" Made by `npm run docs` from the option table (src/config/rows-*.ts). Do not edit.',
    `.TH SALLYPORT 8 ${PAGE_DATE} "Sallyport ${SALLYPORT_VERSION}" "System administration"`,
    '.SH NAME',
    'sallyport \\- OpenVPN client and server',
    '.SH SYNOPSIS',
    ...SYNOPSIS.flatMap(([name, rest], at) => [...paragraph(at), `.B ${roff(name)}`, roff(rest)]),
    '.SH DESCRIPTION',
    ...DESCRIPTION.flatMap((text, at) => [...paragraph(at), roff(text)]),
    '.SH OPTIONS',
    roff(
      'Every option can stand in a file, without the two dashes, and a block <name> … </name> can stand for a file. Lines that begin with # or ; are comments.',
    ),
    ...OPTION_GROUPS.flatMap(({ title, rows }) => [`.SS ${roff(title)}`, ...rows.flatMap(entry)]),
    '.SH SIGNALS',
    ...SIGNALS.flatMap(([name, text]) => ['.TP', `.B ${name}`, roff(text)]),
    '.SH EXIT STATUS',
    roff(
      '0 after an end that was asked for, by a signal or by the server; 1 where the configuration, a file, the host or the network made it impossible to go on. --help ends with 1, as in OpenVPN.',
    ),
    '.SH EXAMPLES',
    ...EXAMPLES.flatMap(([command, text]) => ['.TP', `.B ${roff(command)}`, roff(text)]),
    '.SH SEE ALSO',
    '.BR sallyport (1),',
    '.BR openvpn (8),',
    '.BR ip (8)',
  ].join('\n')}\n`;
}

function entry(row: OptionRow): readonly string[] {
  const name = `\\-\\-${roff(row.name)}`;
  const more = [
    placeOf(row),
    row.default === undefined ? '' : `Default: ${row.default}.`,
    row.status.kind === 'works' ? '' : `${capital(STATUS_WORDS[row.status.kind])}: ${whyOf(row)}`,
    deprecationOf(row),
  ];
  return [
    '.TP',
    row.args === '' ? `.B ${name}` : `.BI "${name} " "${roff(row.args).replaceAll('"', '\\(dq')}"`,
    // A line each, so that a change of one is a change of one line.
    roff(row.help),
    ...more.filter(Boolean).map(roff),
  ];
}

/** A new paragraph, but for the first after a heading. */
const paragraph = (at: number): readonly string[] => (at === 0 ? [] : ['.P']);

const capital = (text: string): string => `${text[0]?.toUpperCase()}${text.slice(1)}`;

/** Text for roff: dashes that stay dashes, no control line, no escape. */
export const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '\\&...')
    .replace(/^([.'])/, '\\&$1');

const SYNOPSIS = [
  ['sallyport', '--config FILE [--option value …]'],
  ['sallyport', 'FILE'],
  ['sallyport check', 'FILE… [--json]'],
  ['sallyport pki', 'COMMAND'],
  ['sallyport server init', '[--remote NAME]'],
] as const;

const DESCRIPTION = [
  `Connects to an OpenVPN server, or serves OpenVPN clients. It takes the files and the command line of openvpn, and behaves as OpenVPN ${OPENVPN_VERSION}: the same options, log lines, exit codes, scripts and their environment.`,
  'check reads profiles and says line by line what is unknown, refused, ignored, deprecated or unsafe in them. pki keeps a small certificate authority in a folder, server init writes the configuration of a server. Each has a --help of its own.',
];

const SIGNALS = [
  ['SIGTERM, SIGINT', 'End, and put the host back as it was.'],
  [
    'SIGHUP',
    'A client ends its connection and reads its configuration again. A server reads it again and drops nobody.',
  ],
  ['SIGUSR1', 'Restart, and keep what persist-tun and its like keep.'],
  ['SIGUSR2', 'Write the status to the log.'],
] as const;

const EXAMPLES = [
  ['sallyport --config office.ovpn', 'Connect with a profile.'],
  ['sallyport check office.ovpn', 'See first what in the profile deserves a word.'],
  ['sallyport --genkey tls-crypt-v2-server server.key', 'Make a key file.'],
] as const;
