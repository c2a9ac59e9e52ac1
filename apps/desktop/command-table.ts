// The commands for profiles and tunnels, once: --help, help COMMAND, completion and sallyport(1) are made of it.

export interface CommandOption {
  readonly name: string;
  /** The word that follows; undefined for a flag. */
  readonly value?: string;
  readonly short?: string;
  readonly help: string;
}

export interface CommandRow {
  readonly name: string;
  /** `NAME`, `[NAME]`, `FILE`, `NAME|FILE`. */
  readonly args: string;
  readonly minWords: number;
  readonly maxWords: number;
  readonly options: readonly CommandOption[];
  /** One sentence. */
  readonly help: string;
  /** What else there is to know. */
  readonly more: readonly string[];
  /** What its word is, for completion. */
  readonly completes: 'profile' | 'file' | 'profile-or-file' | 'shell' | 'nothing';
}

const JSON_OPTION: CommandOption = { name: 'json', help: 'Print JSON.' };
const FORCE: CommandOption = { name: 'force', help: 'Write over what is there.' };

export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'import',
    args: 'FILE',
    minWords: 1,
    maxWords: 1,
    options: [
      { name: 'name', value: 'NAME', help: "The profile's name; without it, the file's." },
      { name: 'force', help: 'Write over a profile of the name, and take one that has errors.' },
    ],
    help: 'Keeps a profile under a name, and says of each line what becomes of it.',
    more: [
      'Lines are kept as they are. Where one names a file of keys or certificates, what is in the file takes its place as a block, so that the profile needs nothing beside it. Scripts are not brought along; those that would run are shown.',
      'For root, too, such files are opened with the rights of the owner of the profile: a profile that somebody sent cannot name what only root may read.',
    ],
    completes: 'file',
  },
  {
    name: 'list',
    args: '',
    minWords: 0,
    maxWords: 0,
    options: [JSON_OPTION],
    help: 'Lists the profiles, and which of them are up.',
    more: [],
    completes: 'nothing',
  },
  {
    name: 'show',
    args: 'NAME',
    minWords: 1,
    maxWords: 1,
    options: [],
    help: 'Shows a profile, line by line, without its keys and passwords.',
    more: [],
    completes: 'profile',
  },
  {
    name: 'up',
    args: 'NAME|FILE',
    minWords: 1,
    maxWords: 1,
    options: [
      { name: 'ask', help: 'Ask for user name and password, whatever the profile has.' },
      { name: 'only-its-networks', help: 'Use the tunnel for its own networks and names only.' },
      { name: 'allow-ipv6-leak', help: 'Let IPv6 go beside a tunnel that takes all IPv4.' },
      { name: 'wait', value: 'SECONDS', help: 'How long to wait until it is up; 90 without it, 0 for not at all.' },
      { name: 'json', help: 'Print each state as a line of JSON.' },
    ],
    help: 'Connects in the background, and waits until the tunnel is up.',
    more: [
      'Passwords are asked for on the terminal. When the time is over, the attempt is ended; with --wait 0 it goes on in the background.',
    ],
    completes: 'profile-or-file',
  },
  {
    name: 'down',
    args: '[NAME]',
    minWords: 0,
    maxWords: 1,
    options: [],
    help: 'Disconnects, and waits until everything is as it was.',
    more: ['Without a name, the one that is up.'],
    completes: 'profile',
  },
  {
    name: 'reconnect',
    args: '[NAME]',
    minWords: 0,
    maxWords: 1,
    options: [],
    help: 'Ends the session and begins a new one.',
    more: [],
    completes: 'profile',
  },
  {
    name: 'refresh',
    args: '[NAME]',
    minWords: 0,
    maxWords: 1,
    options: [],
    help: "Looks at the host's network and name servers again.",
    more: [
      'Changes of the network are noticed without it. Where another program has written over the name servers of a tunnel, they are set again. Without a name, for all that are up.',
    ],
    completes: 'profile',
  },
  {
    name: 'status',
    args: '[NAME]',
    minWords: 0,
    maxWords: 1,
    options: [JSON_OPTION, { name: 'watch', help: 'Go on, and say it again when it changes.' }],
    help: 'Says whether a tunnel is up, and what it changed.',
    more: [],
    completes: 'profile',
  },
  {
    name: 'log',
    args: '[NAME]',
    minWords: 0,
    maxWords: 1,
    options: [{ name: 'follow', short: 'f', help: 'Go on with what is written from now on.' }],
    help: 'Shows the log of a tunnel that up started.',
    more: [],
    completes: 'profile',
  },
  {
    name: 'delete',
    args: 'NAME',
    minWords: 1,
    maxWords: 1,
    options: [],
    help: 'Deletes a profile that is not up.',
    more: [],
    completes: 'profile',
  },
  {
    name: 'export',
    args: 'NAME [FILE]',
    minWords: 1,
    maxWords: 2,
    options: [FORCE],
    help: 'Writes a profile to a file, or to standard output, byte for byte as it was kept.',
    more: ['Its keys and passwords go with it: the file can be read by its owner only.'],
    completes: 'profile',
  },
  {
    name: 'recover',
    args: '',
    minWords: 0,
    maxWords: 0,
    options: [{ name: 'dry-run', help: 'Say what would be done, and do nothing.' }, JSON_OPTION],
    help: 'Takes back what killed processes changed on this machine.',
    more: [
      'A process that is killed can put nothing back. What it changed is written down before: routes, addresses, name servers, the default route that a full tunnel took away. What somebody else has changed since stays as that left it, and is named with the reason. Tunnels that run are not touched. Every start does the same.',
      'The exit code is 1 when something could not be put right.',
    ],
    completes: 'nothing',
  },
  {
    name: 'explain',
    args: 'ADDRESS|NAME',
    minWords: 1,
    maxWords: 1,
    options: [JSON_OPTION],
    help: 'Says which way an address or a name goes, through which tunnel, and what decides it.',
    more: [
      'For a name: which name server would be asked and why, then its addresses. For each address: the route, the interface, and the policy rule. Nothing is changed, and no root is needed; of tunnels that root started only root sees the names.',
    ],
    completes: 'nothing',
  },
  {
    name: 'completion',
    args: 'SHELL',
    minWords: 1,
    maxWords: 1,
    options: [],
    help: 'Prints the completion for bash, zsh or fish.',
    more: ['For bash: eval "$(sallyport completion bash)".'],
    completes: 'shell',
  },
];

/** The first line of a command's help. */
export function usageOf({ name, args, options }: CommandRow): string {
  const words = options.map((option) => `[${optionText(option)}]`);
  return ['sallyport', name, args, ...words].filter(Boolean).join(' ');
}

export const optionText = ({ name, short, value }: CommandOption): string =>
  `${short === undefined ? '' : `-${short}|`}--${name}${value === undefined ? '' : ` ${value}`}`;

/** The help of one command. */
export function helpOf(row: CommandRow): string {
  const options = row.options.map((option) => `  ${optionText(option).padEnd(24)}${option.help}\n`).join('');
  return `Usage: ${usageOf(row)}\n\n${[row.help, ...row.more].join('\n')}\n${options === '' ? '' : `\n${options}`}`;
}

/** The commands as lines of the general help. */
export const commandLines = (): string =>
  COMMANDS.map((row) => `  ${`sallyport ${row.name} ${row.args}`.padEnd(45)}${row.help}\n`).join('');
