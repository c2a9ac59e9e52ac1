// One line of a management client: which command it is, and its answer in the C program's words. Pure.

import { lexLine } from '../../src/command.ts';
import type { ManagementCore, Question } from './core.ts';
import { MANAGEMENT_VERSION } from './core.ts';
import { HELP } from './help.ts';
import type { History } from './history.ts';
import type { ServerCommands } from './server-commands.ts';

/** What commands ask of the program. What is undefined is not supported in this mode. */
export interface CommandPorts {
  readonly title: string;
  readonly pid: number;
  readonly verb: { get(): number; set(value: number): void };
  readonly mute: { get(): number; set(value: number): void };
  readonly authRetry: { get(): string; set(value: 'none' | 'nointeract' | 'interact'): void };
  /** `why`: what it is in the log, where no command asked for it. */
  signal(name: 'SIGUSR1' | 'SIGHUP' | 'SIGTERM' | 'SIGINT' | 'SIGUSR2', why?: string): void;
  forgetPasswords(): void;
  status(version: number): readonly string[] | undefined;
  bytecount(seconds: number): void;
  loadStats(): { readonly clients: number; readonly bytesIn: number; readonly bytesOut: number };
  /** False where nobody asked. */
  crResponse: ((base64: string) => boolean) | undefined;
  readonly remotes: readonly string[] | undefined;
  readonly server: ServerCommands | undefined;
}

type Words = readonly string[];
const MOST_TEST_LINES = 20_000;
const EXTRA_LINES = 4096;

/** Takes one line; what it answers goes to the client that is connected. */
export function handleLine(core: ManagementCore, ports: CommandPorts, line: string): void {
  const { connection } = core;
  if (connection === undefined || connection.halted) return;
  if (core.passwordNeeded) {
    core.checkPassword(line);
    return;
  }
  if (connection.extra !== undefined) {
    const { extra } = connection;
    if (line !== 'END') {
      if (extra.lines.length < EXTRA_LINES) extra.lines.push(line);
      else extra.spoilt = true;
      return;
    }
    connection.extra = undefined;
    if (extra.spoilt !== true) extra.done(extra.lines);
    else {
      core.say(
        `ERROR: more than ${EXTRA_LINES} lines, or one of more than 1024 bytes, before END: nothing of it was taken`,
      );
    }
    return;
  }
  const lexed = lexLine(line, 'TCP:0');
  if (!lexed.ok) {
    core.say(`ERROR: Options error: ${lexed.problem}`);
    return;
  }
  const [name, ...words] = lexed.words;
  if (name === undefined) return;
  dispatch(core, ports, name, words);
}

/** A line that was longer than any command. */
export function handleTooLong(core: ManagementCore): void {
  const { connection } = core;
  if (connection === undefined || connection.halted) return;
  if (core.passwordNeeded) core.checkPassword('');
  else if (connection.extra !== undefined) connection.extra.spoilt = true;
  else core.say('ERROR: the line is too long, it was left out (1024 bytes are the most)');
}

function dispatch(core: ManagementCore, ports: CommandPorts, name: string, words: Words): void {
  const command = COMMANDS[name];
  if (command === undefined || !Object.hasOwn(COMMANDS, name)) {
    core.say(`ERROR: unknown command [${name}], enter 'help' for more options`);
    return;
  }
  const { needs = 0, atLeast = false } = command;
  if (words.length < needs) {
    const least = atLeast ? 'at least ' : '';
    core.say(`ERROR: the '${name}' command requires ${least}${needs} parameter${needs > 1 ? 's' : ''}`);
    return;
  }
  command.run({ core, ports, say: (...lines) => core.say(...lines) }, words, name);
}

interface Context {
  readonly core: ManagementCore;
  readonly ports: CommandPorts;
  say(...lines: readonly string[]): void;
}

interface Command {
  readonly needs?: number;
  readonly atLeast?: boolean;
  run(context: Context, words: Words, name: string): void;
}

const unsupported = ({ say }: Context, name: string): void =>
  say(`ERROR: The '${name}' command is not supported by the current daemon mode`);

const exit: Command = { run: ({ core }) => core.connection?.output.halt() };

/** Commands whose lines answer a question, and which kind of it. */
const lines = (kind: 'signature' | 'certificate'): Command => ({
  run({ core, say }, _, name) {
    if (!core.beginLines(kind)) say(`ERROR: The ${name} command is not currently available`);
  },
});

/** Commands that a server alone has. */
const ofServer = (needs: number, atLeast: boolean, run: (server: ServerCommands, words: Words) => void): Command => ({
  needs,
  atLeast,
  run(context, words, name) {
    const { server } = context.ports;
    if (server === undefined) unsupported(context, name);
    else run(server, words);
  },
});

const COMMANDS: Readonly<Record<string, Command>> = {
  exit,
  quit: exit,
  help: { run: ({ say, ports }) => say(`Management Interface for ${ports.title}`, ...HELP) },
  version: { run: version },
  pid: { run: ({ say, ports }) => say(`SUCCESS: pid=${ports.pid}`) },
  nclients: {
    run(context, _, name) {
      if (context.ports.server === undefined) unsupported(context, name);
      else context.say(`SUCCESS: nclients=${context.ports.loadStats().clients}`);
    },
  },
  'env-filter': {
    run({ core, say }, [level]) {
      const value = integerOf(level);
      if (core.connection !== undefined) core.connection.envFilter = value;
      say(`SUCCESS: env_filter_level=${value}`);
    },
  },
  signal: { needs: 1, run: signal },
  'load-stats': {
    run({ say, ports }) {
      const { clients, bytesIn, bytesOut } = ports.loadStats();
      say(`SUCCESS: nclients=${clients},bytesin=${bytesIn},bytesout=${bytesOut}`);
    },
  },
  status: {
    run(context, [version], name) {
      const lines = context.ports.status(integerOf(version));
      if (lines === undefined) unsupported(context, name);
      else context.say(...lines);
    },
  },
  verb: { run: ({ say, ports }, [n]) => say(setting('verb', 'verb level', n, ports.verb, 15)) },
  mute: { run: ({ say, ports }, [n]) => say(setting('mute', 'mute level', n, ports.mute, Number.MAX_SAFE_INTEGER)) },
  'auth-retry': { run: authRetry },
  state: {
    run(context, words) {
      const { core } = context;

      history(context, 'state', core.stateHistory, 'stateOn', words[0] ?? '1');
      if (words[1] !== undefined) history(context, 'state', core.stateHistory, 'stateOn', words[1]);
    },
  },
  log: {
    needs: 1,
    atLeast: true,
    run(context, words) {
      const entries = new LogLines(context.core);
      for (const word of words.slice(0, 2)) history(context, 'log', entries, 'logOn', word);
    },
  },
  echo: {
    needs: 1,
    atLeast: true,
    run(context, words) {
      for (const word of words.slice(0, 2)) history(context, 'echo', context.core.echoHistory, 'echoOn', word);
    },
  },
  username: { needs: 2, run: (context, words) => answer(context, 'username', words) },
  password: { needs: 1, atLeast: true, run: password },
  'forget-passwords': {
    run({ say, ports }) {
      ports.forgetPasswords();
      say('SUCCESS: Passwords were forgotten');
    },
  },
  needok: { needs: 2, run: (context, words) => answer(context, 'needok-confirmation', words) },
  needstr: { needs: 2, run: (context, words) => answer(context, 'needstr-string', words) },
  'cr-response': {
    needs: 1,
    run(context, [response = '']) {
      const { crResponse } = context.ports;
      if (crResponse === undefined) unsupported(context, 'cr-repsonse');
      else context.say(crResponse(response) ? 'SUCCESS: command succeeded' : 'ERROR: command failed');
    },
  },
  net: { run: (context, _, name) => unsupported(context, name) },
  hold: { run: hold },
  bytecount: {
    needs: 1,
    run({ core, ports, say }, [seconds]) {
      core.bytecountSeconds = Math.max(0, integerOf(seconds));
      ports.bytecount(core.bytecountSeconds);
      say('SUCCESS: bytecount interval changed');
    },
  },
  'rsa-sig': lines('signature'),
  'pk-sig': lines('signature'),
  certificate: lines('certificate'),
  'remote-entry-count': {
    run(context, _, name) {
      const { remotes } = context.ports;
      if (remotes === undefined) unsupported(context, name);
      else context.say(String(remotes.length), 'END');
    },
  },
  'remote-entry-get': {
    needs: 1,
    atLeast: true,
    run(context, [first = '', after], name) {
      const { remotes } = context.ports;
      if (remotes === undefined) {
        unsupported(context, name);
        return;
      }
      const from = first === 'all' ? 0 : integerOf(first);
      const to = first === 'all' ? remotes.length : after === undefined ? from + 1 : integerOf(after);
      const some = remotes.map((text, index) => `${index},${text}`).slice(Math.max(0, from), Math.max(0, to));
      context.say(...some, 'END');
    },
  },
  proxy: { needs: 1, atLeast: true, run: (context, words) => steered(context, 'proxy', words) },
  remote: { needs: 1, atLeast: true, run: (context, words) => steered(context, 'remote', words) },
  test: {
    needs: 1,
    run({ say }, [count]) {
      const lines = Math.min(Math.max(0, integerOf(count)), MOST_TEST_LINES);
      say(...Array.from({ length: lines }, (_, index) => `[${index}] A line of text, to see what much output does.`));
    },
  },
  kill: ofServer(1, false, (server, [victim = '']) => server.kill(victim)),
  'client-kill': ofServer(1, true, (server, [cid = '', message]) => server.clientKill(cid, message)),
  'client-deny': ofServer(3, true, (server, [cid = '', kid = '', reason = '', text]) =>
    server.clientDeny(cid, kid, reason, text),
  ),
  'client-auth-nt': ofServer(2, false, (server, [cid = '', kid = '']) => server.clientAuth(cid, kid, false)),
  'client-auth': ofServer(2, false, (server, [cid = '', kid = '']) => server.clientAuth(cid, kid, true)),
  'client-pending-auth': ofServer(4, false, (server, [cid = '', kid = '', extra = '', seconds = '']) =>
    server.clientPendingAuth(cid, kid, extra, seconds),
  ),
  'push-update-broad': ofServer(1, false, (server, [options = '']) => server.pushUpdate(undefined, options)),
  'push-update-cid': ofServer(2, false, (server, [cid = '', options = '']) => server.pushUpdate(cid, options)),
};

function version({ core, ports, say }: Context, [wanted]: Words): void {
  if (wanted === undefined) {
    say(`OpenVPN Version: ${ports.title}`, `Management Version: ${MANAGEMENT_VERSION}`, 'END');
    return;
  }
  const { connection } = core;
  if (connection === undefined) return;
  connection.clientVersion = integerOf(wanted);
  if (connection.clientVersion >= 4) say(`SUCCESS: Management client version set to ${connection.clientVersion}`);
}

const SIGNALS = ['SIGUSR1', 'SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR2'] as const;

function signal({ core, ports, say }: Context, [name = '']: Words): void {
  const known = SIGNALS.find((each) => each === name);
  if (known === undefined) {
    say(`ERROR: signal '${name}' is not a known signal type`);
    return;
  }
  const mapped = known === 'SIGUSR1' ? (core.settings.remapUsr1 ?? known) : known;
  if (core.ignoresRestarts && (mapped === 'SIGUSR1' || mapped === 'SIGHUP')) {
    say(`ERROR: signal '${name}' is currently ignored`);
    core.repeatSpecial();
    return;
  }
  say(`SUCCESS: signal ${mapped} thrown`);
  ports.signal(mapped);
}

function setting(
  name: string,
  words: string,
  value: string | undefined,
  { get, set }: { get(): number; set(value: number): void },
  most: number,
): string {
  if (value === undefined) return `SUCCESS: ${name}=${get()}`;
  const level = integerOf(value);
  if (level < 0 || level > most) return `ERROR: ${words.replace(' level', '')} level is out of range`;
  set(level);
  return `SUCCESS: ${words} changed`;
}

function authRetry({ ports, say }: Context, [value]: Words): void {
  if (value === undefined) say(`SUCCESS: auth-retry=${ports.authRetry.get()}`);
  else if (value === 'none' || value === 'nointeract' || value === 'interact') {
    ports.authRetry.set(value);
    say('SUCCESS: auth-retry parameter changed');
  } else
    say('ERROR: --auth-retry method must be "interact", "nointeract", or "none"', 'ERROR: bad auth-retry parameter');
}

/** The log's entries as `log` shows them. */
class LogLines {
  readonly #core: ManagementCore;

  constructor(core: ManagementCore) {
    this.#core = core;
  }

  last(count: number): readonly string[] {
    return this.#core.logHistory.last(count).map(({ unixSeconds, flags, text }) => `${unixSeconds},${flags},${text}`);
  }

  get all(): readonly string[] {
    return this.last(Number.MAX_SAFE_INTEGER);
  }
}

function history(
  { core, say }: Context,
  kind: string,
  entries: Pick<History<string>, 'last' | 'all'>,
  flag: 'logOn' | 'stateOn' | 'echoOn',
  word: string,
): void {
  const { connection } = core;
  if (connection === undefined) return;
  if (word === 'on' || word === 'off') {
    connection[flag] = word === 'on';
    say(`SUCCESS: real-time ${kind} notification set to ${word.toUpperCase()}`);
    return;
  }
  const count = integerOf(word);
  if (word !== 'all' && count <= 0) {
    say(`ERROR: ${kind} parameter must be 'on' or 'off' or some number n or 'all'`);
    return;
  }
  say(...(word === 'all' ? entries.all : entries.last(count)), 'END');
}

const ANSWERED: Readonly<Record<string, readonly Question['mode'][]>> = {
  username: ['user-pass', 'username'],
  password: ['user-pass', 'password'],
  'needok-confirmation': ['need-ok'],
  'needstr-string': ['need-str'],
};

function isNeeded({ core, say }: Context, what: string, type: string): Question | undefined {
  const { question } = core;
  if (question === undefined || ANSWERED[what]?.includes(question.mode) !== true) {
    say(`ERROR: no ${what} is currently needed at this time`);
    return undefined;
  }
  if (question.type === type) return question;
  say(`ERROR: ${what} of type '${type}' entered, but we need one of type '${question.type}'`);
  return undefined;
}

function answer(context: Context, what: string, [type = '', value = '']: Words): void {
  const question = isNeeded(context, what, type);
  if (question === undefined) return;
  if (what === 'username') question.username = value;
  else question.password = value;
  context.say(`SUCCESS: '${type}' ${what} entered, but not yet verified`);
  const named = question.mode === 'password' || question.mode.startsWith('need-') || question.username !== '';
  if (named && (question.mode === 'username' || question.password !== undefined)) question.resolve();
}

const PASSWORD_BYTES = 4096;

function password(context: Context, words: Words): void {
  const { core, say } = context;
  const [type = '', value] = words;
  if (value !== undefined) {
    answer(context, 'password', words);
    return;
  }
  if (core.connection === undefined || core.connection.clientVersion < 5) {
    say("ERROR: the 'password' command requires 2 parameters");
    return;
  }
  if (isNeeded(context, 'password', type) === undefined) return;
  core.connection.extra = {
    lines: [],
    done(lines) {
      const base64 = lines.join('');
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) say('ERROR: could not base64-decode password');
      else if (base64.length * 0.75 >= PASSWORD_BYTES) say('ERROR: password too long');
      else answer(context, 'password', [type, decodeBase64(base64)]);
    },
  };
}

const decodeBase64 = (base64: string): string =>
  new TextDecoder().decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));

function hold({ core, say }: Context, [word]: Words): void {
  switch (word) {
    case undefined:
      say(`SUCCESS: hold=${core.holdFlag ? 1 : 0}`);
      return;
    case 'on':
    case 'off':
      core.holdFlag = word === 'on';
      say(`SUCCESS: hold flag set to ${word.toUpperCase()}`);
      return;
    case 'release':
      say('SUCCESS: hold release succeeded');
      core.release();
      return;
    default:
      say('ERROR: bad hold command parameter');
  }
}

function steered({ core, ports, say }: Context, name: 'remote' | 'proxy', words: Words): void {
  if (ports.remotes === undefined) {
    unsupported({ core, ports, say }, name);
    return;
  }
  const taken = core.steered([name, ...words]);
  say(taken ? `SUCCESS: ${name} command succeeded` : `ERROR: ${name} command failed`);
}

/** A number as C's atoi has it: what begins with none is 0. */
export function integerOf(text: string | undefined): number {
  const found = /^\s*[+-]?\d{1,15}/.exec(text ?? '');
  return found === null ? 0 : Number(found[0]);
}
