// `sallyport import`, `list`, `show`, `up`, `down`, `reconnect`, `refresh`, `status`, `log`, `delete`, `export`, `recover`,
// `explain`, `completion`: a bundle of its own, which a start that connects never loads.
//
// The path through it: command-table.ts (what there is), up.ts (chosen-profile.ts, background.ts which starts apps/cli,
// follow.ts), control-server.ts (in that process) and control-client.ts (here) with status-model.ts between them,
// profiles.ts and import.ts (the files).

import { parseArgs } from 'node:util';
import { cleanTerminalText, SallyportError } from '../../src/command.ts';
import { COMMANDS, type CommandRow, helpOf, usageOf } from './command-table.ts';
import { completionFor, SHELLS } from './completion.ts';
import { explain } from './explain.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { importProfile } from './import.ts';
import type { CommandIo } from './io.ts';
import { placesOf } from './places.ts';
import { recover } from './recover.ts';
import { exportProfile, list, remove, show } from './stored.ts';
import { down, log, reconnect, refresh, status } from './tunnels.ts';
import { up } from './up.ts';

interface Words {
  readonly names: readonly string[];
  has(option: string): boolean;
  value(option: string): string | undefined;
}

const RUN: Readonly<Record<string, (words: Words, io: CommandIo) => number | Promise<number>>> = {
  import: (words, io) =>
    importProfile(words.names[0] ?? '', { name: words.value('name'), force: words.has('force') }, io),
  list: (words, io) => list(words.has('json'), io),
  show: (words, io) => show(words.names[0] ?? '', io),
  up: (words, io) =>
    up(
      words.names[0] ?? '',
      {
        ask: words.has('ask'),
        onlyItsNetworks: words.has('only-its-networks'),
        allowIpv6Leak: words.has('allow-ipv6-leak'),
        waitSeconds: secondsOf(words.value('wait')),
        json: words.has('json'),
      },
      io,
    ),
  down: (words, io) => down(words.names[0], io),
  reconnect: (words, io) => reconnect(words.names[0], io),
  refresh: (words, io) => refresh(words.names[0], io),
  status: (words, io) => status(words.names[0], { json: words.has('json'), watch: words.has('watch') }, io),
  log: (words, io) => log(words.names[0], words.has('follow'), io),
  delete: (words, io) => remove(words.names[0] ?? '', io),
  export: (words, io) => exportProfile(words.names[0] ?? '', words.names[1], words.has('force'), io),
  recover: (words, io) => recover({ dryRun: words.has('dry-run'), json: words.has('json') }, io),
  explain: (words, io) => explain(words.names[0] ?? '', words.has('json'), io),
  completion(words, io) {
    const text = completionFor(words.names[0] ?? '');
    if (text === undefined) throw new CommandFailure(ExitCode.usage, `there is completion for ${SHELLS.join(', ')}`);
    io.write(text);
    return ExitCode.ok;
  },
};

/** As nmcli. */
const DEFAULT_WAIT_SECONDS = 90;
const MAX_WAIT_SECONDS = 86_400;

/** Runs the command that `argv` begins with; returns the exit code. */
export async function runCommands(argv: readonly string[], io: CommandIo): Promise<number> {
  const [first = '', ...rest] = argv[0] === 'help' ? [argv[1] ?? '', '--help'] : argv;
  try {
    const row = COMMANDS.find(({ name }) => name === first);
    const run = RUN[first];
    if (row === undefined || run === undefined) {
      throw new CommandFailure(
        ExitCode.usage,
        `there is no command '${cleanTerminalText(first)}'`,
        'sallyport --help lists them.',
      );
    }
    if (rest.some((word) => word === '--help' || word === '-h')) {
      io.write(helpOf(row));
      return ExitCode.ok;
    }
    return await run(readWords(row, rest), io);
  } catch (error) {
    const known = error instanceof CommandFailure || error instanceof SallyportError;
    const system = (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!(error instanceof Error) || !(known || system)) throw error;
    const others = error instanceof CommandFailure ? error.others : [];
    for (const message of [error.message, ...others]) {
      io.complain(`sallyport ${cleanTerminalText(first)}: ${cleanTerminalText(message)}\n`);
    }
    const hint = known ? error.hint : undefined;
    if (hint !== undefined) io.complain(`  ${cleanTerminalText(hint)}\n`);
    return error instanceof CommandFailure ? error.exitCode : ExitCode.unknown;
  }
}

function readWords(row: CommandRow, argv: readonly string[]): Words {
  const wrong = (text: string): never => {
    throw new CommandFailure(ExitCode.usage, text, `Usage: ${usageOf(row)}`);
  };
  const options = Object.fromEntries(
    row.options.map(({ name, short, value }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    return wrong((error instanceof Error ? error.message : String(error)).split(/[.\n] ?/)[0] ?? '');
  }
  const { positionals, values } = parsed;
  if (positionals.length < row.minWords) wrong(`${row.args} is missing`);
  if (positionals.length > row.maxWords) wrong(`'${positionals[row.maxWords]}' is one word too many`);
  return {
    names: positionals,
    has: (option) => values[option] === true,
    value: (option) => values[option] as string | undefined,
  };
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_WAIT_SECONDS;
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= MAX_WAIT_SECONDS)) {
    throw new CommandFailure(
      ExitCode.usage,
      `--wait: '${text.slice(0, 40)}' is no number of seconds from 0 to ${MAX_WAIT_SECONDS}`,
    );
  }
  return seconds;
}

/** The process's own surroundings. */
export function processCommandIo(): CommandIo {
  const uid = process.getuid?.() ?? 0;
  const sudo = process.env.SUDO_UID;
  return {
    write: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    directory: process.cwd(),
    places: placesOf(process.env, uid),
    uid,
    sudoUid: uid === 0 && sudo !== undefined && /^\d{1,10}$/.test(sudo) ? Number(sudo) : undefined,
    terminal: { output: process.stdout.isTTY === true, error: process.stderr.isTTY === true },
    nowUnix: () => Math.floor(Date.now() / 1000),
  };
}
