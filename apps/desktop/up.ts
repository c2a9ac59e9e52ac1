// `sallyport up`: starts the ordinary client in the background, answers what it asks, and waits until the tunnel is up.

import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cleanTerminalText, createTerminal, daemonise, hasNetAdmin, parseConfig } from '../../src/command.ts';
import { OPTIONS, optionsErrorText } from '../../src/config.ts';
import { secretsForDaemon } from '../cli/credentials.ts';
import { ask, forget, jsonLines, open, presenceOf } from './control-client.ts';
import type { ControlOrder, EndReport } from './control-server.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { CONTROL_ORDER } from './order.ts';
import { logPath, makeRuntime, recordPath, socketPath } from './places.ts';
import { nameOfFile } from './profile-name.ts';
import { findProfile, needProfile, readProfile, type StoredProfile, trustProblem } from './profiles.ts';
import { ipv6Line, sentenceOf, type TunnelStatus } from './status-model.ts';

export interface UpOptions {
  readonly ask: boolean;
  readonly onlyItsNetworks: boolean;
  readonly allowIpv6Leak: boolean;
  readonly waitSeconds: number;
  readonly json: boolean;
}

const END_LIMIT_MS = 10_000;

export async function up(word: string, options: UpOptions, io: CommandIo): Promise<number> {
  const profile = chooseProfile(word, io);
  const { name } = profile;
  mayMakeTunnels();
  const bytes = readProfile(profile.path);
  if (io.uid === 0) {
    const problem = trustProblem(profile.path, io.uid, io.sudoUid);
    if (problem !== undefined) {
      throw new CommandFailure(
        ExitCode.activation,
        `${profile.path} is not used as root: ${problem}`,
        `Whoever can write it could have root run programs. sallyport import ${profile.path} keeps a copy of its own.`,
      );
    }
  }
  makeRuntime(io.places, io.uid);
  const presence = await presenceOf(io.places, name);
  if (presence.kind === 'up') {
    throw new CommandFailure(
      ExitCode.activation,
      `${name} is up already`,
      `sallyport status ${name} has more; sallyport down ${name} ends it.`,
    );
  }
  forget(io.places, name);
  process.chdir(dirname(profile.path));
  const args = argumentsFor(basename(profile.path), options);
  const { config, findings } = parseConfig(
    { argv: args },
    { readText: (path) => readProfile(resolve(path)).toString('utf8') },
  );
  if (config === undefined || bytes.length === 0) {
    const first = findings.find(({ severity }) => severity === 'error');
    throw new CommandFailure(
      ExitCode.activation,
      first === undefined ? `${profile.path} is empty` : optionsErrorText(first).replace(/^Options error: /, ''),
      first?.advice ?? `sallyport check ${profile.path} says more.`,
    );
  }
  if (config.mode === 'server') {
    throw new CommandFailure(
      ExitCode.activation,
      `${name} is a server's configuration`,
      'Start it with sallyport --config, or as a service.',
    );
  }
  const secrets = await secretsForDaemon(config, (text) => io.complain(`${cleanTerminalText(text)}\n`));
  const order: ControlOrder = {
    name,
    profile: profile.path,
    socket: socketPath(io.places, name),
    record: recordPath(io.places, name),
  };
  const log = openLog(logPath(io.places, name));
  const started = await daemonise({
    args: [...process.execArgv, process.argv[1] ?? '', ...args],
    secrets: { ...secrets, [CONTROL_ORDER]: JSON.stringify(order) },
    output: log,
  }).finally(() => closeSync(log));
  if (!started.ready) throw failure(name, io, started.error);
  return options.waitSeconds === 0 ? ExitCode.ok : follow(name, options, io);
}

function chooseProfile(word: string, io: CommandIo): StoredProfile {
  if (/[/]|\.(ovpn|conf)$/.test(word)) {
    const path = resolve(io.directory, word);
    return { name: nameOfFile(word), path };
  }
  // A lone word is a name first: what stands in the folder that one is in must not take its place.
  return findProfile(io.places, word) ?? needProfile(io.places, word);
}

/** The command line of the process in the background. */
export function argumentsFor(file: string, options: UpOptions): readonly string[] {
  const args: string[] = [];
  const leak = OPTIONS.has('block-ipv6-leak');
  // Before the profile, which may say otherwise.
  if (leak && !options.allowIpv6Leak) args.push('--block-ipv6-leak', 'yes');
  args.push('--config', file);
  if (leak && options.allowIpv6Leak) args.push('--block-ipv6-leak', 'no');
  if (options.onlyItsNetworks) {
    if (!OPTIONS.has('only-its-networks')) {
      throw new CommandFailure(
        ExitCode.usage,
        '--only-its-networks does not work in this version',
        'Write route-nopull and the routes into the profile.',
      );
    }
    args.push('--only-its-networks');
  }
  if (options.ask) args.push('--auth-user-pass');
  return args;
}

/** Refuses who can't change the network, before anything is asked. */
function mayMakeTunnels(): void {
  if (hasNetAdmin()) return;
  throw new CommandFailure(
    ExitCode.activation,
    'a tunnel changes the network of this machine, which takes root',
    'Connect with sudo sallyport up …, or import the profile into NetworkManager, which lets users connect.',
  );
}

/** A log of its own for each start, that nobody else put there. */
function openLog(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NOFOLLOW } = constants;
  return openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0o600);
}

/** Why the process in the background ended, out of its log. */
function failure(name: string, io: CommandIo, error: string | undefined): CommandFailure {
  let lines: readonly string[] = [];
  try {
    lines = readFileSync(logPath(io.places, name), 'utf8').split('\n').filter(Boolean);
  } catch {
    // There is no log, then there is nothing to say of it.
  }
  const told = lines
    .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))
    .filter((line) => !/^(Exiting due to fatal error|Use --help|Sallyport |library versions|WARNING|NOTE)/.test(line));
  const reason = error ?? told.filter((line) => !line.startsWith('  ')).at(-1) ?? 'it ended before it was ready';
  const hint = told
    .filter((line) => line.startsWith('  '))
    .at(-1)
    ?.trim();
  return new CommandFailure(
    ExitCode.activation,
    `${name} could not be started: ${cleanTerminalText(reason)}`,
    hint === undefined ? `sallyport log ${name} has all of it.` : cleanTerminalText(hint),
  );
}

/** Shows what happens until the tunnel is up or not to be had. */
async function follow(name: string, options: UpOptions, io: CommandIo): Promise<number> {
  const progress = progressOf(options, io);
  let last: TunnelStatus | undefined;
  let end: EndReport | undefined;
  let timeUp = false;
  const response = await open(io.places, name, 'GET', '/events').catch(() => undefined);
  const interrupted = new AbortController();
  const stop = (): void => {
    timeUp = true;
    interrupted.abort();
    response?.destroy();
  };
  let given = false;
  const giveUp = (): void => {
    given = true;
    stop();
  };
  process.once('SIGINT', giveUp);
  process.once('SIGTERM', giveUp);
  const timer = setTimeout(stop, options.waitSeconds * 1000);
  let asking: Promise<void> = Promise.resolve();
  try {
    for await (const event of response === undefined ? [] : jsonLines(response)) {
      if (event.type === 'ended') end = event as unknown as EndReport;
      else if (event.type === 'tell') progress.tell(String(event.text));
      else if (event.type === 'question') {
        progress.clear();
        asking = answer(name, event, io, interrupted.signal).catch(() => giveUp());
      } else if (event.type === 'status') {
        last = event.status as TunnelStatus;
        progress.show(last);
        if (last.state === 'connected') return ExitCode.ok;
      }
    }
  } catch (error) {
    if (!timeUp) throw error;
  } finally {
    clearTimeout(timer);
    interrupted.abort();
    progress.clear();
    response?.destroy();
    await asking;
    process.removeListener('SIGINT', giveUp);
    process.removeListener('SIGTERM', giveUp);
  }
  if (timeUp) {
    const why = last?.reason ? `: ${cleanTerminalText(last.reason)}` : '';
    await endTunnel(name, io);
    if (given) throw new CommandFailure(ExitCode.unknown, `${name}: connecting was given up, and ended`);
    throw new CommandFailure(
      ExitCode.timeout,
      `${name} was not up within ${options.waitSeconds} s${why}; it was ended`,
      `${last?.server ? `The last server tried was ${cleanTerminalText(last.server)}. ` : ''}sallyport log ${name} has more; --wait SECONDS waits longer.`,
    );
  }
  if (end?.message) {
    throw new CommandFailure(
      ExitCode.activation,
      `${name} could not connect: ${cleanTerminalText(end.message)}`,
      cleaned(end.hint),
    );
  }
  throw end === undefined
    ? new CommandFailure(
        ExitCode.activation,
        `${name} ended without a word`,
        `sallyport log ${name} has what it wrote.`,
      )
    : failure(name, io, undefined);
}

const cleaned = (text: string | null): string | undefined => (text === null ? undefined : cleanTerminalText(text));

async function answer(name: string, event: Record<string, unknown>, io: CommandIo, signal: AbortSignal): Promise<void> {
  const question = { prompt: String(event.text), echo: event.echo === true, suffix: String(event.suffix ?? ':') };
  const text = await createTerminal().ask(question, signal);
  await ask(io.places, name, 'POST', '/answer', { id: event.id, text });
}

/** Ends a tunnel and waits for the end; false when it is still there. */
export async function endTunnel(name: string, io: CommandIo): Promise<boolean> {
  await ask(io.places, name, 'POST', '/down').catch(() => {});
  const until = performance.now() + END_LIMIT_MS;
  while (performance.now() < until) {
    if ((await presenceOf(io.places, name)).kind !== 'up') {
      forget(io.places, name);
      return true;
    }
    await delay(50);
  }
  return false;
}

/** One line that changes, on a terminal; lines of JSON where they are asked for; nothing in a pipe but the end. */
function progressOf({ json }: UpOptions, io: CommandIo) {
  let shown = '';
  const live = io.terminal.error && !json;
  const clear = (): void => {
    if (live && shown !== '') io.complain('\r\x1b[K');
    shown = '';
  };
  return {
    clear,
    tell(text: string): void {
      clear();
      if (!json) io.complain(`${cleanTerminalText(text)}\n`);
    },
    show(status: TunnelStatus): void {
      if (json) {
        io.write(`${JSON.stringify(status)}\n`);
        return;
      }
      const sentence = cleanTerminalText(sentenceOf(status, io.nowUnix()));
      clear();
      if (status.state === 'connected') {
        io.write(`${sentence}\n`);
        const ipv6 = ipv6Line(status);
        if (ipv6 !== undefined) io.write(`${ipv6}\n`);
      } else if (live) {
        shown = sentence;
        io.complain(sentence);
      }
    },
  };
}
