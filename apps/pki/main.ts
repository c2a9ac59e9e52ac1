// `sallyport pki …` and `sallyport server init`. Exit code 0, or 1 with a sentence and what to do.

import { resolve } from 'node:path';
import { createTerminal, SallyportError } from '../../src/pki.ts';
import {
  alternativeNames,
  daysOf,
  keyKind,
  type OptionTable,
  optionalDays,
  readWords,
  type Words,
} from './arguments.ts';
import { createAuthority, DEFAULT_CA_DAYS, DEFAULT_DAYS } from './authority.ts';
import { makeAuthorityFolder, pkiFolder, whileLocked } from './folder.ts';
import { HELP, PKI_HELP, SERVER_HELP, SERVER_INIT } from './help.ts';
import { readHostFacts } from './host-facts.ts';
import type { PkiIo } from './io.ts';
import { issueClient, issueServer, type ProfileOptions, tunnelServerKey, writeProfileAgain } from './issue.ts';
import { list } from './list.ts';
import { checkName } from './names.ts';
import { clean, refuse } from './refuse.ts';
import { renew } from './renew.ts';
import { checkReason, renewList, revoke } from './revoke.ts';
import { initServer } from './server-init.ts';
import { changeSettings, checkPort, checkProtocol, parseRemote } from './settings.ts';
import { dayOf } from './words.ts';

const FOLDER: OptionTable = { dir: 'value', 'pass-file': 'value' };
const KEY: OptionTable = { rsa: 'value', ec: 'flag' };
const REMOTE: OptionTable = { remote: 'value', proto: 'value' };
const PROFILE: OptionTable = { ...REMOTE, server: 'value', out: 'value', force: 'flag', 'no-tls-crypt-v2': 'flag' };

interface Command {
  readonly options: OptionTable;
  readonly names: 0 | 1;
  run(words: Words, directory: string, io: PkiIo): Promise<void>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  init: {
    options: { ...FOLDER, ...KEY, ...REMOTE, cn: 'value', days: 'value', 'crl-days': 'value', 'ask-pass': 'flag' },
    names: 0,
    run: init,
  },
  server: { options: { ...FOLDER, ...KEY, days: 'value', san: 'values' }, names: 1, run: server },
  client: {
    options: { ...FOLDER, ...KEY, ...PROFILE, days: 'value', san: 'values', 'profile-only': 'flag' },
    names: 1,
    run: client,
  },
  revoke: { options: { ...FOLDER, reason: 'value', 'crl-days': 'value' }, names: 1, run: runRevoke },
  renew: {
    options: { ...FOLDER, ...KEY, ...PROFILE, days: 'value', 'same-key': 'flag', 'revoke-old': 'flag' },
    names: 1,
    run: runRenew,
  },
  list: {
    options: { dir: 'value', json: 'flag' },
    names: 0,
    run: async (words, directory, io) => list(directory, words.has('json'), io),
  },
  crl: {
    options: { ...FOLDER, days: 'value' },
    names: 0,
    run: (words, directory, io) => renewList(directory, optionalDays(words, 'days'), words.value('pass-file'), io),
  },
};

/** Runs `sallyport pki …` or `sallyport server …`; `argv` begins with that word. Returns the exit code. */
export async function runPki(argv: readonly string[], io: PkiIo): Promise<number> {
  try {
    return argv[0] === 'server' ? await runServer(argv.slice(1), io) : await runCommand(argv.slice(1), io);
  } catch (error) {
    const said = error instanceof SallyportError || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!(error instanceof Error) || !said) throw error;
    io.complain(`sallyport ${argv[0]}: ${clean(error.message)}\n`);
    const hint = error instanceof SallyportError ? error.hint : undefined;
    if (hint !== undefined) io.complain(`  ${hint}\n`);
    return 1;
  }
}

/** The process's own standard streams, folder, clock and terminal. */
export function processIo(): PkiIo {
  const terminal = createTerminal();
  return {
    write: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    directory: process.cwd(),
    nowUnix: () => Math.floor(Date.now() / 1000),
    ask: (prompt) => terminal.ask({ prompt, echo: false }, new AbortController().signal),
  };
}

const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h' || word === 'help';

async function runCommand([word, ...rest]: readonly string[], io: PkiIo): Promise<number> {
  if (isHelp(word)) {
    io.write(PKI_HELP);
    return 0;
  }
  if (word === undefined) {
    io.complain(PKI_HELP);
    return 1;
  }
  const command = Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
  const help = HELP[word];
  if (command === undefined || help === undefined) {
    return refuse(
      `there is no command '${clean(word)}'`,
      `One of ${Object.keys(COMMANDS).join(', ')}; \`sallyport pki --help\` tells what they do.`,
    );
  }
  if (rest.some((each) => each === '--help' || each === '-h')) {
    io.write(`Usage: ${help.usage}\n\n${help.text}`);
    return 0;
  }
  const words = readWords(rest, command.options, command.names, help.usage);
  await command.run(words, resolve(io.directory, words.value('dir') ?? 'pki'), io);
  return 0;
}

async function init(words: Words, directory: string, io: PkiIo): Promise<void> {
  const remote = words.value('remote');
  const proto = words.value('proto');
  const settings = {
    ...(remote === undefined ? {} : { remote: parseRemote(remote) }),
    ...(proto === undefined ? {} : { protocol: checkProtocol(proto) }),
  };
  const made = {
    name: checkAuthorityName(words.value('cn') ?? 'Sallyport CA'),
    kind: keyKind(words) ?? ({ kind: 'ec' } as const),
    days: daysOf(words, 'days', DEFAULT_CA_DAYS),
    crlDays: daysOf(words, 'crl-days', DEFAULT_DAYS),
    askPass: words.has('ask-pass'),
    passFile: words.value('pass-file'),
  };
  const folder = pkiFolder(directory);
  makeAuthorityFolder(folder);
  await whileLocked(folder, async () => {
    if (folder.has('ca.crt')) {
      refuse(
        `there is an authority in ${clean(directory)} already`,
        'Go on with it, or make another one elsewhere with --dir.',
      );
    }
    tunnelServerKey(folder);
    if (Object.keys(settings).length > 0) changeSettings(folder, settings);
    const authority = await createAuthority(folder, made, io);
    io.write(`authority '${made.name}', good until ${dayOf(authority.notAfterUnix)}: ${clean(directory)}\n`);
    io.write(`  Keep ${clean(folder.path('private', 'ca.key'))} safe: who has it can make certificates.\n`);
    const dir = words.value('dir') === undefined ? '' : ` --dir ${clean(words.value('dir')!)}`;
    io.write(
      `next:\n  sallyport pki server NAME${dir}\n  sallyport pki client NAME${dir}${remote === undefined ? ' --remote HOST' : ''}\n`,
    );
  });
}

function checkAuthorityName(name: string): string {
  if (name === '' || name.length > 64 || clean(name) !== name || /[/=\\]/.test(name)) {
    refuse("--cn takes 1 to 64 characters without control characters, '/', '=' and '\\'");
  }
  return name;
}

const issueOptions = (words: Words, directory: string) => ({
  directory,
  name: words.names[0] ?? '',
  days: daysOf(words, 'days', DEFAULT_DAYS),
  kind: keyKind(words),
  alternativeNames: alternativeNames(words),
  passFile: words.value('pass-file'),
});

async function server(words: Words, directory: string, io: PkiIo): Promise<void> {
  await issueServer(issueOptions(words, directory), io);
}

async function client(words: Words, directory: string, io: PkiIo): Promise<void> {
  const profile = profileOptions(words);
  if (words.has('profile-only')) await writeProfileAgain(directory, words.names[0] ?? '', profile, io);
  else await issueClient(issueOptions(words, directory), profile, io);
}

function profileOptions(words: Words): ProfileOptions {
  const remote = words.value('remote');
  const proto = words.value('proto');
  const serverName = words.value('server');
  return {
    remote: remote === undefined ? undefined : parseRemote(remote),
    protocol: proto === undefined ? undefined : checkProtocol(proto),
    serverName: serverName === undefined ? undefined : checkName(serverName),
    out: words.value('out'),
    force: words.has('force'),
    tlsCryptV2: !words.has('no-tls-crypt-v2'),
  };
}

async function runRevoke(words: Words, directory: string, io: PkiIo): Promise<void> {
  const reason = words.value('reason');
  await revoke(
    {
      directory,
      name: words.names[0] ?? '',
      reason: reason === undefined ? undefined : checkReason(reason),
      crlDays: optionalDays(words, 'crl-days'),
      passFile: words.value('pass-file'),
    },
    io,
  );
}

async function runRenew(words: Words, directory: string, io: PkiIo): Promise<void> {
  const kind = keyKind(words);
  if (kind !== undefined && words.has('same-key')) refuse('--same-key keeps the kind of the key, too');
  await renew(
    {
      directory,
      name: words.names[0] ?? '',
      days: daysOf(words, 'days', DEFAULT_DAYS),
      sameKey: words.has('same-key'),
      revokeOld: words.has('revoke-old'),
      kind,
      passFile: words.value('pass-file'),
      profile: profileOptions(words),
    },
    io,
  );
}

async function runServer([word, ...rest]: readonly string[], io: PkiIo): Promise<number> {
  if (word !== 'init') {
    if (word !== undefined && !isHelp(word))
      refuse(`there is no command '${clean(word)}'`, 'There is `sallyport server init`.');
    (word === undefined ? io.complain : io.write)(SERVER_HELP);
    return word === undefined ? 1 : 0;
  }
  if (rest.some((each) => each === '--help' || each === '-h')) {
    io.write(`Usage: ${SERVER_INIT.usage}\n\n${SERVER_INIT.text}`);
    return 0;
  }
  const table: OptionTable = {
    ...FOLDER,
    ...KEY,
    ...REMOTE,
    out: 'value',
    port: 'value',
    network: 'value',
    name: 'value',
    'keep-root': 'flag',
    force: 'flag',
  };
  const words = readWords(rest, table, 0, SERVER_INIT.usage);
  const [remote, proto, port] = [words.value('remote'), words.value('proto'), words.value('port')];
  await initServer(
    {
      out: resolve(io.directory, words.value('out') ?? '.'),
      pki: resolve(io.directory, words.value('dir') ?? 'pki'),
      name: words.value('name') ?? 'server',
      remote: remote === undefined ? undefined : parseRemote(remote),
      port: port === undefined ? undefined : checkPort(port),
      protocol: proto === undefined ? undefined : checkProtocol(proto),
      network: words.value('network'),
      keepRoot: words.has('keep-root'),
      kind: keyKind(words),
      force: words.has('force'),
      passFile: words.value('pass-file'),
    },
    readHostFacts(),
    io,
  );
  return 0;
}
