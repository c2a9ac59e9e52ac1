// From text and arguments to the flat list of option lines: nested files opened, `<connection>` blocks entered, names and
// numbers of words checked against the table. What is wrong is said here once; what is left is known and well-formed.

import { OPENVPN_VERSION } from '../version.ts';
import type { ConfigLine, Origin } from './config.ts';
import { COMMAND_LINE, DEPRECATED_OPTION, type Findings, placeOf, sayFor } from './findings.ts';
import { IncludedFiles } from './included.ts';
import { lexText } from './lexer.ts';
import type { OptionRow } from './option-row.ts';
import { nearestOption, OPTIONS } from './option-table.ts';
import { shown } from './values.ts';

/** All files together: a small file that includes another one ten times, ten levels deep, must end. */
const FILES_LIMIT = 1000;
/** Unknown names for which a known one is sought. */
const GUESS_LIMIT = 50;
/** Parameters that one command line option takes. */
const ARGUMENT_LIMIT = 15;

export type ConfigInput = { readonly argv: readonly string[] } | { readonly text: string; readonly file: string };

/** What the parser asks of the platform. */
export interface ConfigHost {
  /** The text of a file of options, `stdin` included; undefined when it cannot be read. May throw an Error that says why. */
  readText(path: string): string | undefined;
  /** The program that embeds the server checks user names and passwords itself, so that no script has to. */
  readonly checksLogins?: boolean;
}

/** All lines in the order in which they count. */
export function collectLines(input: ConfigInput, host: ConfigHost, findings: Findings): readonly ConfigLine[] {
  const walk = new Walk(host, findings);
  if ('text' in input) walk.text(input.text, input.file, 1);
  else walk.argv(input.argv);
  return walk.lines;
}

class Walk {
  readonly lines: ConfigLine[] = [];
  readonly #host: ConfigHost;
  readonly #findings: Findings;
  readonly #mayBeUnknown = new Set<string>();
  #forwardCompatible = false;
  #directory = '';
  #connections = 0;
  readonly #included = new IncludedFiles(FILES_LIMIT, (path) =>
    this.#host.readText(path === 'stdin' ? path : joined(this.#directory, path)),
  );
  #unknown = 0;

  constructor(host: ConfigHost, findings: Findings) {
    this.#host = host;
    this.#findings = findings;
  }

  argv(argv: readonly string[]): void {
    const first = argv[0];
    if (first === undefined) {
      const origin = { file: COMMAND_LINE, line: 1 };
      this.#error('invalid', origin, 'config', 'No configuration is given', 'Name a file: --config FILE.');
      return;
    }
    if (argv.length === 1 && !first.startsWith('--')) {
      this.#option('config', [first], undefined, { file: COMMAND_LINE, line: 1 }, undefined, 0);
      return;
    }
    for (let i = 0; i < argv.length; ) {
      const word = argv[i] as string;
      const origin: Origin = { file: COMMAND_LINE, line: i + 1 };
      i++;
      const bare = !word.startsWith('--');
      if (bare) {
        this.#error(
          'invalid',
          origin,
          shown(word),
          `I'm trying to parse "${shown(word)}" as an --option parameter but I don't see a leading '--'`,
          'Write -- before the option, or put a value with blanks between quotation marks.',
        );
      }
      const args: string[] = [];
      while (i < argv.length && args.length < ARGUMENT_LIMIT && !(argv[i] as string).startsWith('--')) {
        args.push(argv[i++] as string);
      }
      if (!bare) this.#option(word.slice(2), args, undefined, origin, undefined, 0);
    }
  }

  text(text: string, file: string, level: number): void {
    const lexed = lexText(text, file);
    for (const error of lexed.errors) this.#error('invalid', error.origin, '', error.message, error.advice);
    this.#lexed(lexed.lines, undefined, level);
  }

  #lexed(lines: ReturnType<typeof lexText>['lines'], connection: number | undefined, level: number): void {
    for (const line of lines) {
      const name = (line.words[0] as string).replace(/^--(?=.)/, '');
      if (line.truncated) {
        this.#findings.add(
          'warning',
          'invalid',
          line.origin,
          shown(name),
          `Only the first 16 words of ${placeOf(line.origin)} are read`,
          'Split the line.',
        );
      }
      this.#option(name, line.words.slice(1), line.inline, line.origin, connection, level);
    }
  }

  #option(
    name: string,
    args: readonly string[],
    inline: string | undefined,
    origin: Origin,
    connection: number | undefined,
    level: number,
    optional = false,
  ): void {
    if (name === 'setenv' && args[0] === 'opt') {
      const [, wanted, ...rest] = args;
      this.#option(wanted ?? 'setenv opt', rest, undefined, origin, connection, level, true);
      return;
    }
    const row = OPTIONS.get(name);
    const words = inline === undefined ? args.length : 1;
    if (row === undefined || words < row.minWords || (words > row.maxWords && !isScript(row))) {
      this.#unrecognized(name, row, origin, optional);
      return;
    }
    if (words > row.maxWords) {
      this.#error(
        'invalid',
        origin,
        name,
        `the --${name} directive should have at most ${row.maxWords} parameter${row.maxWords >= 2 ? 's' : ''}.  To pass a list of arguments as one of the parameters, try enclosing them in double quotes ("").`,
        `Write ${name} "${args.map(shown).join(' ')}".`,
      );
      return;
    }
    if (!this.#allowed(row, inline !== undefined, origin, connection)) return;
    if (!this.#statusOf(row, origin)) return;
    this.#remember(name, args);
    this.lines.push({ option: row.aliasOf ?? name, words: args, inline, origin, connection });
    if (name === 'config') this.#nested(args[0] as string, origin, level);
    if (name === 'connection' && inline !== undefined) this.#block(inline, origin, level);
  }

  // Names and words that the table does not have.
  #unrecognized(name: string, row: OptionRow | undefined, origin: Origin, optional: boolean): void {
    const tolerated = optional || this.#forwardCompatible || this.#mayBeUnknown.has(name);
    const near = row === undefined && this.#unknown++ < GUESS_LIMIT ? nearestOption(name) : undefined;
    const advice =
      row !== undefined
        ? `Its form is: ${row.name}${row.args === '' ? '' : ` ${row.args}`}`
        : near !== undefined
          ? `Did you mean ${near}?`
          : `Remove it, or write "ignore-unknown-option ${shown(name)}" before it.`;
    this.#findings.add(
      tolerated ? 'warning' : 'error',
      row === undefined ? 'unknown' : 'invalid',
      origin,
      shown(name),
      `Unrecognized option or missing or extra parameter(s) in ${placeOf(origin)}: ${shown(name)} (${OPENVPN_VERSION})`,
      advice,
    );
  }

  // The place where it stands.
  #allowed(row: OptionRow, inline: boolean, origin: Origin, connection: number | undefined): boolean {
    const anywhere = row.classes.includes('any');
    const here =
      connection !== undefined
        ? row.contexts.includes('connection')
        : !row.contexts.includes('ccd-only') && !row.contexts.includes('pushed-only');
    if (!here && !anywhere) {
      const place = connection !== undefined ? '[CONNECTION-OPTIONS]' : origin.file;
      const advice =
        connection !== undefined
          ? 'Move it out of the <connection> block.'
          : row.contexts.includes('ccd-only')
            ? 'Move it to a file in client-config-dir.'
            : 'Remove it: only a server sends it.';
      this.#error(
        'invalid',
        origin,
        row.name,
        `option '${row.name}' cannot be used in this context (${place})`,
        advice,
      );
      return false;
    }
    if (inline && !row.contexts.includes('inline')) {
      this.#error(
        'invalid',
        origin,
        row.name,
        `option '${row.name}' is not expected to be inline (${placeOf(origin)})`,
        `Write it as a line: ${row.name} ${row.args}`,
      );
      return false;
    }
    if (
      connection === undefined &&
      this.#connections > 0 &&
      row.contexts.includes('connection') &&
      !KEPT_BESIDE_BLOCKS.includes(row.name)
    ) {
      this.#findings.add(
        'warning',
        'ignored',
        origin,
        row.name,
        `Option '${row.name}' in ${placeOf(origin)} is ignored by previous <connection> blocks`,
        'Put it before the first <connection> block, or into the blocks.',
      );
    }
    return true;
  }

  // What the table says about it: false if it must not be used.
  #statusOf(row: OptionRow, origin: Origin): boolean {
    const { status } = row;
    switch (status.kind) {
      case 'refused':
        this.#error('refused', origin, row.name, status.reason, status.advice);
        return false;
      case 'not-yet':
        this.#findings.add(
          status.blocking ? 'error' : 'notice',
          'not-yet',
          origin,
          row.name,
          `option '${row.name}' does not work in this version: ${status.reason}`,
          status.blocking ? 'Remove it if the connection can do without it.' : undefined,
        );
        return true;
      case 'no-effect':
        this.#findings.add(
          status.silent && (row.deprecated?.harmless ?? row.deprecated === undefined) ? 'notice' : 'warning',
          'ignored',
          origin,
          row.name,
          `${deprecation(row) ?? `option '${row.name}'`} has no effect: ${status.reason}`,
          row.deprecated?.instead ?? status.advice,
        );
        return true;
      case 'works':
        if (row.deprecated !== undefined) {
          this.#findings.add('warning', 'deprecated', origin, row.name, deprecation(row) ?? '', row.deprecated.instead);
        }
        return true;
      default:
        return status satisfies never;
    }
  }

  // Lines that change how the following ones are read.
  #remember(name: string, args: readonly string[]): void {
    const [first = '', second] = args;
    if (name === 'cd') this.#directory = joined(this.#directory, first);
    else if (name === 'ignore-unknown-option') {
      for (const each of args) this.#mayBeUnknown.add(each.startsWith('--') ? each.slice(2) : each);
    } else if (name === 'setenv' && first === 'FORWARD_COMPATIBLE' && second === '1') this.#forwardCompatible = true;
  }

  #nested(path: string, origin: Origin, level: number): void {
    const text = this.#included.read(path, origin, level, sayFor(this.#findings, origin, 'config'));
    if (text !== undefined) this.text(text, path, level + 1);
  }

  #block(inline: string, origin: Origin, level: number): void {
    const index = this.#connections++;
    const lexed = lexText(inline, origin.file);
    const shift = (at: Origin): Origin => ({ file: at.file, line: at.line + origin.line });
    for (const error of lexed.errors) this.#error('invalid', shift(error.origin), '', error.message, error.advice);
    const lines = lexed.lines.map((line) => ({ ...line, origin: shift(line.origin) }));
    const before = this.lines.length;
    this.#lexed(lines, index, level);
    if (!this.lines.slice(before).some((line) => line.connection === index && line.option === 'remote')) {
      this.#error(
        'invalid',
        origin,
        'connection',
        "Each 'connection' block must contain exactly one 'remote' directive",
        'Write a remote line into the block.',
      );
    }
  }

  #error(kind: 'invalid' | 'refused', origin: Origin, option: string, message: string, advice: string): void {
    this.#findings.add('error', kind, origin, option, message, advice);
  }
}

const deprecation = ({ name, deprecated }: OptionRow): string | undefined =>
  deprecated === undefined ? undefined : `${DEPRECATED_OPTION}: --${name} (since OpenVPN ${deprecated.since})`;

// Options that a block takes from the profile as a whole, wherever they stand.
const KEPT_BESIDE_BLOCKS: readonly string[] = [
  'tls-auth',
  'tls-crypt',
  'tls-crypt-v2',
  'key-direction',
  'connect-retry-max',
];

const isScript = (row: OptionRow): boolean => row.classes.includes('script') && row.args.startsWith('cmd');

/** `path` as seen from `directory`. */
const joined = (directory: string, path: string): string =>
  directory === '' || path.startsWith('/') ? path : `${directory.replace(/\/+$/, '')}/${path}`;
