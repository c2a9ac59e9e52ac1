// `list`, `show`, `delete`, `export`: what is done with profiles that are kept.

import { rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { cleanTerminalText } from '../../src/command.ts';
import { checkProfile } from '../../src/config.ts';
import { isOf, knownTunnels, presenceOf } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { verdictText } from './import.ts';
import type { CommandIo } from './io.ts';
import { lineVerdicts } from './line-verdicts.ts';
import { listProfiles, needProfile, readProfile, reasonOf, type StoredProfile, writeWhole } from './profiles.ts';

export async function list(json: boolean, io: CommandIo): Promise<number> {
  const stored = listProfiles(io.places);
  const running = new Map<string, { readonly profile: string | undefined }>();
  for (const name of knownTunnels(io.places)) {
    // A tunnel of another user is nobody's business here.
    const presence = await presenceOf(io.places, name).catch(() => undefined);
    if (presence?.kind === 'up') running.set(name, presence);
  }
  // A file elsewhere has its tunnel under the file's name, which a kept profile may have, too.
  const isUp = ({ name, path }: StoredProfile): boolean => {
    const tunnel = running.get(name);
    return tunnel !== undefined && isOf(tunnel, path);
  };
  const others = [...running].filter(([name]) => !stored.some((each) => each.name === name && isUp(each)));
  const rows = [
    ...stored.map((each) => ({ name: each.name, up: isUp(each), profile: each.path as string | null, from: '' })),
    ...others.map(([name, { profile }]) => ({ name, up: true, profile: null, from: profile ?? '' })),
  ];
  if (json)
    io.write(
      `${JSON.stringify(
        rows.map(({ from: _, ...row }) => row),
        undefined,
        2,
      )}\n`,
    );
  else if (rows.length === 0) io.write('There is no profile yet; sallyport import FILE adds one.\n');
  else {
    const width = Math.max(...rows.map(({ name }) => name.length));
    for (const { name, up, profile, from } of rows) {
      const where = profile ?? `(not kept) ${from}`.trim();
      io.write(`${name.padEnd(width)}  ${up ? 'up  ' : 'down'}  ${cleanTerminalText(where)}\n`);
    }
  }
  return ExitCode.ok;
}

export function show(name: string, io: CommandIo): number {
  const { path } = needProfile(io.places, name);
  const text = readProfile(path).toString('utf8');
  const { findings } = checkProfile(
    { text, file: path },
    { readText: (file) => readProfile(resolve(dirname(path), file)).toString('utf8') },
  );
  io.write(`${cleanTerminalText(path)}\n`);
  for (const verdict of lineVerdicts(text, path, findings)) io.write(verdictText(verdict));
  return ExitCode.ok;
}

export async function remove(word: string, io: CommandIo): Promise<number> {
  const { name, path } = needProfile(io.places, word);
  const presence = knownTunnels(io.places).includes(name) ? await presenceOf(io.places, name) : undefined;
  if (presence?.kind === 'up' && isOf(presence, path)) {
    throw new CommandFailure(ExitCode.deletion, `${name} is up`, `First: sallyport down ${name}`);
  }
  try {
    rmSync(path);
  } catch (error) {
    throw new CommandFailure(ExitCode.deletion, `${path} can't be deleted: ${reasonOf(error)}`, 'Try again with sudo.');
  }
  io.write(`${name} is deleted.\n`);
  return ExitCode.ok;
}

export function exportProfile(name: string, file: string | undefined, force: boolean, io: CommandIo): number {
  const bytes = readProfile(needProfile(io.places, name).path);
  if (file === undefined || file === '-') io.write(bytes.toString('utf8'));
  else writeWhole(resolve(io.directory, file), bytes, force);
  return ExitCode.ok;
}
