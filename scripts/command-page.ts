// The man page sallyport(1), made from the table of commands; the options are in sallyport(8).

import { COMMANDS, type CommandRow, optionText } from '../apps/desktop/command-table.ts';
import { SALLYPORT_VERSION } from '../src/version.ts';
import { PAGE_DATE, roff } from './man-page.ts';

/** The page in man(7); the same table gives the same bytes. */
export function commandPage(): string {
  return `${[
    '.\\" Made by `npm run docs` from the table of commands (apps/desktop/command-table.ts). Do not edit.',
    `.TH SALLYPORT 1 ${PAGE_DATE} "Sallyport ${SALLYPORT_VERSION}" "User commands"`,
    '.SH NAME',
    'sallyport \\- profiles and tunnels of OpenVPN',
    '.SH SYNOPSIS',
    ...COMMANDS.flatMap((row, at) => [...(at === 0 ? [] : ['.P']), `.B sallyport ${row.name}`, ...words(row)]),
    '.SH DESCRIPTION',
    roff(
      'A profile is imported once and has a name from then on. up connects in the background; status, log, reconnect and down speak to what runs there. Everything else that sallyport does, and every option of a profile, is in sallyport(8).',
    ),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(entry),
    '.SH EXIT STATUS',
    ...EXITS.flatMap(([code, text]) => ['.TP', `.B ${code}`, roff(text)]),
    '.SH FILES',
    ...FILES.flatMap(([path, text]) => ['.TP', `.I ${roff(path)}`, roff(text)]),
    '.SH ENVIRONMENT',
    ...VARIABLES.flatMap(([name, text]) => ['.TP', `.B ${name}`, roff(text)]),
    '.SH SEE ALSO',
    '.BR sallyport (8),',
    '.BR nmcli (1)',
  ].join('\n')}\n`;
}

const words = ({ args, options }: CommandRow): readonly string[] => {
  const text = [args, ...options.map((option) => `[${optionText(option)}]`)].filter(Boolean).join(' ');
  return text === '' ? [] : [roff(text)];
};

const entry = (row: CommandRow): readonly string[] => [
  `.SS ${[row.name, roff(row.args)].filter(Boolean).join(' ')}`,
  ...[row.help, ...row.more].map(roff),
  ...row.options.flatMap((option) => ['.TP', `.B ${roff(optionText(option))}`, roff(option.help)]),
];

const EXITS = [
  ['0', 'It was done.'],
  ['1', 'It was not, for a reason that is told.'],
  ['2', 'The command line is wrong.'],
  ['3', 'The time to wait was over.'],
  ['4', 'The tunnel could not be brought up.'],
  ['5', 'The tunnel could not be taken down.'],
  ['7', 'The profile could not be deleted.'],
  ['8', 'The tunnel is not up.'],
  ['10', 'There is no such profile.'],
] as const;

const FILES = [
  ['/etc/openvpn/client', 'Profiles of the machine, NAME.conf or NAME.ovpn, written and used by root.'],
  ['~/.config/sallyport', 'Profiles of a user.'],
  ['/run/sallyport', 'Control sockets of tunnels that are up, and the logs of those and of the last ones.'],
] as const;

const VARIABLES = [
  ['XDG_CONFIG_HOME', 'Where the folder of the profiles of a user is, in place of ~/.config.'],
  ['SALLYPORT_PROFILES', 'The only folder of profiles.'],
  ['SALLYPORT_RUNTIME', 'The folder of sockets and logs.'],
] as const;
