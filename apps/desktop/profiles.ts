// Profiles as files: found by name, written beside their place and renamed, never over another one unasked.

import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { MAX_PROFILE_BYTES, readBoundedFile } from '../../src/command.ts';
import { sentenceOf } from '../cli/named-files.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { Places } from './places.ts';
import { nameOfWord, nameProblem } from './profile-name.ts';

export interface StoredProfile {
  readonly name: string;
  readonly path: string;
}

const ENDINGS = ['.conf', '.ovpn'] as const;

/** All profiles by name; of two with one name, the one that `up` takes. */
export function listProfiles({ profiles }: Places): readonly StoredProfile[] {
  const found = new Map<string, StoredProfile>();
  for (const { name } of profiles.flatMap(profilesIn)) {
    const profile = found.has(name) ? undefined : findProfile({ profiles }, name);
    if (profile !== undefined) found.set(name, profile);
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** By name; undefined when there is none. Throws for what can't be a name. */
export function findProfile({ profiles }: Pick<Places, 'profiles'>, word: string): StoredProfile | undefined {
  const name = nameOfWord(word);
  checkName(name);
  for (const folder of profiles) {
    for (const ending of ENDINGS) {
      const path = join(folder, `${name}${ending}`);
      if (existsSync(path)) return { name, path };
    }
    const alike = profilesIn(folder).find((each) => each.name === name && existsSync(each.path));
    if (alike !== undefined) return alike;
  }
  return undefined;
}

/** The files of a folder that are profiles by their names, which other systems write with letters in parts. */
function profilesIn(folder: string): readonly StoredProfile[] {
  return filesIn(folder).flatMap((file) => {
    const ending = ENDINGS.find((each) => file.endsWith(each));
    if (ending === undefined) return [];
    const name = nameOfWord(file.slice(0, -ending.length));
    return nameProblem(name) === undefined ? [{ name, path: join(folder, file) }] : [];
  });
}

/** By name, or the failure that names where was looked. */
export function needProfile(places: Places, name: string): StoredProfile {
  const found = findProfile(places, name);
  if (found !== undefined) return found;
  throw new CommandFailure(
    ExitCode.notFound,
    `there is no profile of the name ${name} in ${places.profiles.join(' or ')}`,
    'sallyport list shows what there is; sallyport import FILE adds one.',
  );
}

export function checkName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new CommandFailure(ExitCode.usage, `'${name.slice(0, 80)}': ${problem}`);
}

/** The bytes of a profile; fails with the file and the reason. */
export function readProfile(path: string): Buffer {
  try {
    return readBoundedFile(path, MAX_PROFILE_BYTES);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The failure of a profile that can't be read. */
export function unreadable(path: string, error: unknown): CommandFailure {
  const { code } = error as NodeJS.ErrnoException;
  return new CommandFailure(
    code === 'ENOENT' ? ExitCode.notFound : ExitCode.unknown,
    `${path} can't be read: ${reasonOf(error)}`,
    code === 'EACCES' ? 'It belongs to another user: try again with sudo.' : undefined,
  );
}

/** Writes a whole file, mode 0600, into a folder that is there. Without `force` nothing that exists is touched. */
export function writeWhole(path: string, bytes: Uint8Array, force: boolean): void {
  const beside = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  try {
    const fd = openSync(beside, 'wx', 0o600);
    try {
      writeAll(fd, bytes);
      // A link, other than a rename, fails where there is something.
      if (force) renameSync(beside, path);
      else linkSync(beside, path);
    } finally {
      rmSync(beside, { force: true });
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new CommandFailure(
        ExitCode.unknown,
        `there is ${path} already`,
        'Choose another name, or write over it with --force.',
      );
    }
    throw unwritable(path, error);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes the folder of imported profiles, for its owner alone. */
export function makeImports({ imports }: Places): void {
  try {
    mkdirSync(imports, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(imports, error);
  }
}

function unwritable(path: string, error: unknown): CommandFailure {
  const { code } = error as NodeJS.ErrnoException;
  return new CommandFailure(ExitCode.unknown, `${path} can't be written: ${reasonOf(error)}`, UNWRITABLE[code ?? '']);
}

const NO_RIGHT = 'Try again with sudo, or see whether the file system may be written.';
const UNWRITABLE: Readonly<Record<string, string>> = {
  EACCES: NO_RIGHT,
  EROFS: NO_RIGHT,
  ENOENT: 'Its folder has to be there.',
  ENOTDIR: 'Its folder has to be there.',
};

/** Who could change what root is about to use: undefined when only the owner, root and the person behind sudo could. */
export function trustProblem(path: string, uid: number, sudoUid: number | undefined): string | undefined {
  const trusted = (owner: number): boolean => owner === 0 || owner === uid || owner === sudoUid;
  const file = statSync(path);
  if (!trusted(file.uid)) return 'it belongs to another user';
  if ((file.mode & 0o022) !== 0) return 'others can write to it';
  const folder = statSync(dirname(resolve(path)));
  if (!trusted(folder.uid)) return 'its folder belongs to another user';
  // In a sticky folder nobody can put another file in its place.
  if ((folder.mode & 0o022) !== 0 && (folder.mode & 0o1000) === 0) return 'others can write to its folder';
  return wayProblem(resolve(path), trusted) ?? wayProblem(realpathSync(path), trusted);
}

/** Whoever has a folder on the way, or a link, could put another one in its place after the look at it. */
function wayProblem(path: string, trusted: (owner: number) => boolean): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    if (!trusted(uid)) return `${at} belongs to another user`;
    // Links have all bits. Groups of the system's own, as Debian's staff has /usr/local, are no strangers.
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0 && !lstatSync(at).isSymbolicLink()) {
      return `others can write to ${at}`;
    }
    if (at === dirname(at)) return undefined;
  }
}

/** The system's sentence, or what else is known of a failure. */
export const reasonOf = sentenceOf;

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
