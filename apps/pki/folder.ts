// The folder of an authority, laid out as easy-rsa's `pki` folder, so that easy-rsa and `openssl ca` can go on with it:
//
//   ca.crt  private/ca.key        the authority
//   issued/NAME.crt  private/NAME.key
//   certs_by_serial/SERIAL.pem    everything ever issued
//   revoked/…  renewed/…          what issued/ and private/ had before, by serial
//   index.txt  index.txt.attr  serial  crlnumber  crl.pem
//   tls-crypt-v2-server.key  sallyport.json        ours
//
// Every file is written beside its place, synchronised, and renamed: a crash leaves the old one or the new one.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { lockFolder, MAX_MATERIAL_BYTES, readBoundedFile } from '../../src/pki.ts';
import { type IndexEntry, parseIndex, writeIndex } from './index-file.ts';
import { clean, refuse } from './refuse.ts';

/** Secret files, and those that others may read. The folder itself is 0700. */
export const SECRET = 0o600;
export const PUBLIC = 0o644;

const LOCK_WAIT_MS = 10_000;
const FOLDERS = ['private', 'reqs', 'issued', 'certs_by_serial', 'revoked', 'renewed'];
const SUBFOLDERS = ['revoked', 'renewed'].flatMap((top) =>
  ['certs_by_serial', 'private_by_serial', 'reqs_by_serial'].map((below) => join(top, below)),
);
/** Names that `writeAtomically` uses until a file is whole. */
const UNFINISHED = /^\..+\.[0-9a-f]{12}\.tmp$/;

/** What `private/`, `issued/` and `reqs/` have of a name that is no longer current, by what happened to it. */
export type Archive = 'revoked' | 'renewed';

export interface PkiFolder {
  /** As the user named it, for messages; absolute paths come from `path`. */
  readonly shown: string;
  path(...parts: readonly string[]): string;
  has(...parts: readonly string[]): boolean;
  /** A file's text, or undefined when it is not there. Refuses what can't be read. */
  read(...parts: readonly string[]): string | undefined;
  write(mode: number, text: string, ...parts: readonly string[]): void;
  /** Moves a file within the folder; nothing happens when it is not there. */
  move(from: readonly string[], to: readonly string[]): void;
}

/** A folder by its absolute path; nothing is read yet. */
export function pkiFolder(directory: string): PkiFolder {
  const path = (...parts: readonly string[]): string => join(directory, ...parts);
  return {
    shown: directory,
    path,
    has: (...parts) => existsSync(path(...parts)),
    read: (...parts) => readText(path(...parts)),
    write: (mode, text, ...parts) => writeAtomically(path(...parts), text, mode),
    move: (from, to) => {
      if (!existsSync(path(...from))) return;
      renameSync(path(...from), path(...to));
      syncFolder(dirname(path(...to)));
    },
  };
}

/** The folder of an existing authority. */
export function openAuthority(directory: string): PkiFolder {
  const folder = pkiFolder(directory);
  if (folder.read('ca.crt') === undefined) {
    refuse(
      `there is no authority in ${clean(directory)}: it has no ca.crt`,
      'Make one with `sallyport pki init`, or name another folder with --dir.',
    );
  }
  if (folder.read('index.txt') === undefined) {
    refuse(
      `${clean(directory)} has no index.txt, the list of what its authority has issued`,
      'Restore it from a backup. Without it nothing can be revoked reliably.',
    );
  }
  return folder;
}

/** Makes the folder itself, 0700. One that is there and has other things in it keeps its mode; `private` is closed anyway. */
export function makeAuthorityFolder(folder: PkiFolder): void {
  mkdirSync(folder.path(), { recursive: true, mode: 0o700 });
  if (readdirSync(folder.path()).length === 0) chmodSync(folder.path(), 0o700);
}

/** Makes the folders in it that are missing, 0700 each. */
export function makeFolders(folder: PkiFolder): void {
  for (const name of [...FOLDERS, ...SUBFOLDERS]) mkdirSync(folder.path(name), { recursive: true, mode: 0o700 });
}

/** Does something while no other `sallyport pki` can change the folder; the kernel ends the lock with the process. */
export async function whileLocked<T>(folder: PkiFolder, work: () => Promise<T>): Promise<T> {
  const release = await lockFolder(folder.path(), LOCK_WAIT_MS);
  if (release === undefined) {
    return refuse(
      `another sallyport command is at work in ${clean(folder.shown)}`,
      'Try again when it has ended; it may be waiting for a passphrase.',
    );
  }
  try {
    removeUnfinished(folder);
    return await work();
  } finally {
    release();
  }
}

// What a command that was killed had begun to write. Nobody else is writing now.
function removeUnfinished(folder: PkiFolder): void {
  for (const below of ['.', ...FOLDERS, ...SUBFOLDERS]) {
    if (!folder.has(below)) continue;
    for (const name of readdirSync(folder.path(below))) {
      if (UNFINISHED.test(name)) rmSync(folder.path(below, name), { force: true });
    }
  }
}

/** index.txt. */
export function readIndex(folder: PkiFolder): readonly IndexEntry[] {
  const parsed = parseIndex(folder.read('index.txt') ?? '');
  if ('problem' in parsed) {
    return refuse(`${folder.path('index.txt')}: ${parsed.problem}`, 'Restore it from index.txt.old or from a backup.');
  }
  return parsed.entries;
}

/** Replaces index.txt; the one before stays as index.txt.old, as openssl has it. */
export function replaceIndex(folder: PkiFolder, entries: readonly IndexEntry[]): void {
  const before = folder.read('index.txt');
  if (before !== undefined) folder.write(SECRET, before, 'index.txt.old');
  folder.write(SECRET, writeIndex(entries), 'index.txt');
}

/** Copies what a name has into an archive, under the serial of its certificate. The names stay in use. */
export function archive(folder: PkiFolder, name: string, serial: string, where: Archive): void {
  const copies = [
    { from: ['issued', `${name}.crt`], to: [where, 'certs_by_serial', `${serial}.crt`], mode: PUBLIC },
    { from: ['private', `${name}.key`], to: [where, 'private_by_serial', `${serial}.key`], mode: SECRET },
    { from: ['reqs', `${name}.req`], to: [where, 'reqs_by_serial', `${serial}.req`], mode: PUBLIC },
  ];
  for (const { from, to, mode } of copies) {
    const text = folder.read(...from);
    if (text !== undefined && !folder.has(...to)) folder.write(mode, text, ...to);
  }
}

/** Removes what a name has, after `archive`. */
export function removeCurrent(folder: PkiFolder, name: string): void {
  for (const parts of [
    ['issued', `${name}.crt`],
    ['private', `${name}.key`],
    ['reqs', `${name}.req`],
  ]) {
    rmSync(folder.path(...parts), { force: true });
  }
  for (const changed of ['issued', 'private', 'reqs']) syncFolder(folder.path(changed));
}

/** Writes a file so that a crash leaves the old content or the new. A symbolic link is followed, not replaced. */
export function writeAtomically(path: string, text: string, mode: number): void {
  try {
    replaceFile(existsSync(path) ? realpathSync(path) : path, text, mode);
  } catch (error) {
    refuse(`${clean(path)} can't be written: ${wordsOf(error)}`);
  }
}

function replaceFile(path: string, text: string, mode: number): void {
  const folder = dirname(path);
  const beside = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const fd = openSync(beside, 'wx', SECRET);
  try {
    const bytes = Buffer.from(text, 'utf8');
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fchmodSync(fd, mode);
    fsyncSync(fd);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  syncFolder(folder);
}

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readText(path: string): string | undefined {
  try {
    return readBoundedFile(path, MAX_MATERIAL_BYTES).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return refuse(`${clean(path)} can't be read: ${wordsOf(error)}`);
  }
}

/** `permission denied` of `EACCES: permission denied, open '/path'`. */
function wordsOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /^E[A-Z0-9]+: (.*?), \w+(?: '.*')?$/s.exec(message)?.[1] ?? message;
}
