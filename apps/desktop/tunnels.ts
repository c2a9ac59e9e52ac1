// `down`, `reconnect`, `status`, `log`: what is asked of tunnels that run.

import { readFileSync } from 'node:fs';
import { cleanTerminalText, formatLocalTime } from '../../src/command.ts';
import { ask, jsonLines, knownTunnels, linesOf, open, presenceOf } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { logPath } from './places.ts';
import { nameOfWord } from './profile-name.ts';
import { checkName, findProfile, needProfile } from './profiles.ts';
import { recover } from './recover.ts';
import { forgetGone } from './start-lock.ts';
import { statusLines, type TunnelStatus } from './status-model.ts';
import { endTunnel } from './tunnel-end.ts';

/** The tunnel that is meant: the named one, or the only one. `hint`: what there is where none is up. */
function chosen(word: string | undefined, io: CommandIo, hint?: string): string {
  if (word !== undefined) {
    const name = nameOfWord(word);
    checkName(name);
    if (!knownTunnels(io.places).includes(name)) {
      if (findProfile(io.places, name) === undefined) needProfile(io.places, name);
      throw new CommandFailure(ExitCode.notRunning, `${name} is not up`);
    }
    return name;
  }
  const known = knownTunnels(io.places);
  const [only] = known;
  if (only === undefined) throw new CommandFailure(ExitCode.notRunning, 'no tunnel is up', hint);
  if (known.length > 1) {
    throw new CommandFailure(ExitCode.usage, `several tunnels are up: ${known.join(', ')}`, 'Say which one.');
  }
  return only;
}

export async function down(word: string | undefined, io: CommandIo): Promise<number> {
  const name = chosen(word, io);
  const presence = await presenceOf(io.places, name);
  if (presence.kind === 'killed') return downKilled(name, presence.pid, io);
  if (presence.kind !== 'up') {
    await forgetGone(io.places, name);
    throw killed(name, presence);
  }
  if (!(await endTunnel(name, io))) {
    throw new CommandFailure(
      ExitCode.deactivation,
      `${name} has not ended within 10 s`,
      `sallyport log ${name} says what it does.`,
    );
  }
  io.write(`${name} is down.\n`);
  return ExitCode.ok;
}

/** What a killed process could not put back is put back for it. */
async function downKilled(name: string, pid: number, io: CommandIo): Promise<number> {
  io.write(`The process (${pid}) of ${name} was killed.\n`);
  const code = await recover({ dryRun: false, json: false }, io);
  io.write(`${name} is down.\n`);
  return code;
}

const killed = (name: string, presence: { kind: string; pid?: number }): CommandFailure =>
  presence.kind === 'killed'
    ? new CommandFailure(
        ExitCode.notRunning,
        `${name} is not up: its process (${presence.pid}) was killed and could put nothing back`,
        `sallyport down ${name} puts back what it changed on this machine; so do sallyport recover and the next up.`,
      )
    : new CommandFailure(ExitCode.notRunning, `${name} is not up`);

export async function reconnect(word: string | undefined, io: CommandIo): Promise<number> {
  const name = chosen(word, io);
  const presence = await presenceOf(io.places, name);
  if (presence.kind !== 'up') throw killed(name, presence);
  await ask(io.places, name, 'POST', '/reconnect');
  io.write(`${name} connects again.\n`);
  return ExitCode.ok;
}

/** All tunnels that are up, where none is named. */
export async function refresh(word: string | undefined, io: CommandIo): Promise<number> {
  const names = word === undefined ? knownTunnels(io.places) : [chosen(word, io)];
  for (const name of names) {
    const presence = await presenceOf(io.places, name);
    if (presence.kind === 'up') await ask(io.places, name, 'POST', '/refresh');
    else if (word !== undefined) throw killed(name, presence);
  }
  return ExitCode.ok;
}

export async function status(
  word: string | undefined,
  { json, watch }: { readonly json: boolean; readonly watch: boolean },
  io: CommandIo,
): Promise<number> {
  if (watch) return watchStatus(chosen(word, io), json, io);
  const names = word === undefined ? knownTunnels(io.places) : [chosen(word, io)];
  const found: TunnelStatus[] = [];
  const lost: CommandFailure[] = [];
  for (const name of names) {
    const presence = await presenceOf(io.places, name);
    if (presence.kind === 'up') found.push((await ask(io.places, name, 'GET', '/status')) as TunnelStatus);
    else if (presence.kind === 'killed' || word !== undefined) lost.push(killed(name, presence));
  }
  if (json) {
    io.write(`${JSON.stringify(word === undefined ? found : (found[0] ?? null), undefined, 2)}\n`);
  } else {
    if (found.length === 0 && lost.length === 0) io.write('No tunnel is up.\n');
    for (const each of found) io.write(text(each, io));
  }
  const [first] = lost;
  if (first !== undefined && (word !== undefined || found.length === 0)) throw first;
  for (const each of lost) io.complain(`${each.message}\n`);
  return found.length > 0 ? ExitCode.ok : ExitCode.notRunning;
}

const text = (status: TunnelStatus, io: CommandIo): string =>
  statusLines(status, io.nowUnix(), formatLocalTime)
    .map((line) => `${cleanTerminalText(line)}\n`)
    .join('');

async function watchStatus(name: string, json: boolean, io: CommandIo): Promise<number> {
  const presence = await presenceOf(io.places, name);
  if (presence.kind !== 'up') throw killed(name, presence);
  for await (const event of jsonLines(await open(io.places, name, 'GET', '/events'))) {
    if (event.type === 'status') {
      const current = event.status as TunnelStatus;
      if (json) io.write(`${JSON.stringify(current)}\n`);
      // The end itself follows.
      else if (current.state !== 'ended') io.write(text(current, io));
    } else if (event.type === 'ended') {
      io.write(json ? `${JSON.stringify(null)}\n` : `${name} has ended.\n`);
      return ExitCode.ok;
    }
  }
  throw killed(name, await presenceOf(io.places, name));
}

export async function log(word: string | undefined, follow: boolean, io: CommandIo): Promise<number> {
  const name =
    word === undefined ? chosen(undefined, io, 'sallyport log NAME shows the log of its last run.') : nameOfWord(word);
  checkName(name);
  const show = (line: string): void => io.write(`${cleanTerminalText(line)}\n`);
  const response = await open(io.places, name, 'GET', follow ? '/log?follow=1' : '/log').catch((error: unknown) => {
    if (error instanceof CommandFailure && error.exitCode === ExitCode.notRunning) return undefined;
    throw error;
  });
  if (response === undefined) {
    for (const line of lastLog(name, io)) show(line);
    if (follow) throw new CommandFailure(ExitCode.notRunning, `${name} is not up; this is the log of its last run`);
    return ExitCode.ok;
  }
  if (response.statusCode !== 200) throw new CommandFailure(ExitCode.unknown, `${name} belongs to another user`);
  try {
    for await (const line of linesOf(response)) show(line);
  } catch {
    throw killed(name, await presenceOf(io.places, name));
  }
  return ExitCode.ok;
}

function lastLog(name: string, io: CommandIo): readonly string[] {
  try {
    return readFileSync(logPath(io.places, name), 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new CommandFailure(ExitCode.unknown, `the log of ${name} belongs to another user`, 'Try again with sudo.');
    }
    if (findProfile(io.places, name) === undefined) needProfile(io.places, name);
    throw new CommandFailure(ExitCode.notRunning, `${name} has no log: it was not up since this machine started`);
  }
}
