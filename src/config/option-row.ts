// What one row of the option table says, and the small words that the row files are written in.

/** What may be done with an option at this version. */
export type OptionStatus =
  /** It does what it says. */
  | { readonly kind: 'works' }
  /** It is taken and changes nothing, for this reason. `silent`: that is the normal case and no finding is made of it. */
  | {
      readonly kind: 'no-effect';
      readonly reason: string;
      readonly advice: string | undefined;
      readonly silent: boolean;
    }
  /** A configuration with it is not accepted. `message` is the C program's where it has one. */
  | { readonly kind: 'refused'; readonly reason: string; readonly advice: string }
  /** Meant to work in a later version. `blocking`: leaving it out would change what the user gets, so it is an error. */
  | { readonly kind: 'not-yet'; readonly reason: string; readonly blocking: boolean };

/** The C program's permission classes: a peer or a context is allowed some of them, and a push reply reports them. */
export type OptionClass =
  | 'general'
  | 'up'
  | 'route'
  | 'dhcpdns'
  | 'script'
  | 'setenv'
  | 'shaper'
  | 'timer'
  | 'persist'
  | 'persist-ip'
  | 'comp'
  | 'messages'
  | 'ncp'
  | 'tls-parms'
  | 'mtu'
  | 'push-mtu'
  | 'nice'
  | 'push'
  | 'instance'
  | 'config'
  | 'explicit-notify'
  | 'echo'
  | 'inherit'
  | 'route-extras'
  | 'plugin'
  | 'sockbuf'
  | 'sockflags'
  | 'peer-id'
  | 'route-table'
  | 'pull-mode'
  /** Checked nowhere: allowed in every context. */
  | 'any';

/** Contexts beyond a plain configuration line. */
export type OptionContext =
  /** Inside `<connection>`. */
  | 'connection'
  /** As a `<name>` block. */
  | 'inline'
  /** In a client-config-dir file. */
  | 'ccd'
  /** Only in a client-config-dir file. */
  | 'ccd-only'
  /** In PUSH_UPDATE. */
  | 'push-update'
  /** Only in a push reply. */
  | 'pushed-only';

export type OptionSide = 'client' | 'server' | 'both';

export interface OptionRow {
  readonly name: string;
  /** Argument text for the help: `host [port] [proto]`. */
  readonly args: string;
  /** Words after the name. `maxWords` 15 stands for any number. */
  readonly minWords: number;
  readonly maxWords: number;
  readonly side: OptionSide;
  readonly classes: readonly OptionClass[];
  readonly contexts: readonly OptionContext[];
  readonly status: OptionStatus;
  /** One sentence for `--help` and `check`. */
  readonly help: string;
  readonly default: string | undefined;
  /** A server may push it. */
  readonly pushable: boolean;
  /** Since which OpenVPN, and a sentence that says what to do. `harmless`: older programs need it, `check` only notes it. */
  readonly deprecated: { readonly since: string; readonly instead: string; readonly harmless?: true } | undefined;
  /** Why having it is dangerous, and what to write instead. */
  readonly unsafe: { readonly why: string; readonly instead: string } | undefined;
  /** The option of which this is another name. */
  readonly aliasOf: string | undefined;
}

/** Classes that a server may set on a client (`pull`); route and dhcpdns only without `route-nopull`. */
export const PULL_CLASSES: readonly OptionClass[] = [
  'up',
  'route-extras',
  'sockbuf',
  'sockflags',
  'setenv',
  'shaper',
  'timer',
  'comp',
  'persist',
  'messages',
  'explicit-notify',
  'echo',
  'pull-mode',
  'peer-id',
  'ncp',
  'push-mtu',
  'route',
  'dhcpdns',
  'any',
];

/** Classes that may stand in a file of client-config-dir or in the output of a client-connect script. */
export const CLIENT_CLASSES: readonly OptionClass[] = [
  'instance',
  'inherit',
  'push',
  'timer',
  'config',
  'echo',
  'comp',
  'sockflags',
  'any',
];

export const WORKS: OptionStatus = { kind: 'works' };

export const noEffect = (reason: string, advice?: string): OptionStatus => ({
  kind: 'no-effect',
  reason,
  advice,
  silent: false,
});

/** Without effect by design and nothing to say about it. */
export const silently = (reason: string): OptionStatus => ({
  kind: 'no-effect',
  reason,
  advice: undefined,
  silent: true,
});

export const refused = (reason: string, advice: string): OptionStatus => ({ kind: 'refused', reason, advice });

interface More {
  readonly side?: OptionSide;
  readonly contexts?: readonly OptionContext[];
  readonly default?: string;
  readonly deprecated?: OptionRow['deprecated'];
  readonly unsafe?: OptionRow['unsafe'];
  readonly aliasOf?: string;
}

/** A row: name, argument text, number of words after the name (`2`, `[1, 3]`, `[0, MANY]`), class, status, help. */
export function row(
  name: string,
  args: string,
  words: number | readonly [number, number],
  classes: OptionClass | readonly OptionClass[],
  status: OptionStatus,
  help: string,
  more: More = {},
): OptionRow {
  const [minWords, maxWords] = typeof words === 'number' ? [words, words] : words;
  const all: readonly OptionClass[] = typeof classes === 'string' ? [classes] : classes;
  return {
    name,
    args,
    minWords,
    maxWords,
    side: more.side ?? 'both',
    classes: all,
    contexts: more.contexts ?? [],
    status,
    help,
    default: more.default,
    pushable: all.some((each) => PULL_CLASSES.includes(each)),
    deprecated: more.deprecated,
    unsafe: more.unsafe,
    aliasOf: more.aliasOf,
  };
}

/** As many words as a line holds. */
export const MANY = 15;
