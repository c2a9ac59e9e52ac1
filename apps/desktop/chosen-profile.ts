// The profile that `up` is asked for: found, trusted, read and understood before anybody is asked for a password.

import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Config, parseConfig } from '../../src/command.ts';
import { optionsErrorText } from '../../src/config.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { nameOfFile } from './profile-name.ts';
import { findProfile, needProfile, readProfile, type StoredProfile, trustProblem } from './profiles.ts';

/** By name, or the file where the word has a slash or the ending of a profile. */
export function chooseProfile(word: string, io: CommandIo): StoredProfile {
  if (/[/]|\.(ovpn|conf)$/.test(word)) {
    const path = resolve(io.directory, word);
    if (!existsSync(path)) throw new CommandFailure(ExitCode.notFound, `there is no file ${path}`);
    return { name: nameOfFile(word), path };
  }
  // A lone word is a name first: what stands in the folder that one is in must not take its place.
  return findProfile(io.places, word) ?? needProfile(io.places, word);
}

/** Throws where others could have root run programs by way of this profile. */
export function checkTrust({ path }: StoredProfile, io: CommandIo): void {
  const problem = io.uid === 0 ? trustProblem(path, io.uid, io.sudoUid) : undefined;
  if (problem === undefined) return;
  throw new CommandFailure(
    ExitCode.activation,
    `${path} is not used as root: ${problem}`,
    `Whoever can write it could have root run programs. sallyport import ${path} keeps a copy of its own.`,
  );
}

/** A client's configuration, as the process in the background will read it from these arguments in the profile's folder. */
export function readClientConfig({ name, path }: StoredProfile, args: readonly string[]): Config {
  const folder = dirname(path);
  const isEmpty = readProfile(path).length === 0;
  const { config, findings } = parseConfig(
    { argv: args },
    { readText: (each) => readProfile(resolve(folder, each)).toString('utf8') },
  );
  if (config === undefined || isEmpty) {
    const first = findings.find(({ severity }) => severity === 'error');
    throw new CommandFailure(
      ExitCode.activation,
      first === undefined ? `${path} is empty` : optionsErrorText(first).replace(/^Options error: /, ''),
      first?.advice ?? `sallyport check ${path} says more.`,
    );
  }
  if (config.mode === 'server') {
    throw new CommandFailure(
      ExitCode.activation,
      `${name} is a server's configuration`,
      'Start it with sallyport --config, or as a service.',
    );
  }
  return config;
}

/** The file's name, as it stands in its folder. */
export const fileOf = ({ path }: StoredProfile): string => basename(path);
