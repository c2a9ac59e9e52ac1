// A file of the host replaced whole, so that a process killed at any moment, or a loss of power, leaves the old one, the
// new one, or what `tidyFile` makes one of them:
//
//   PATH.sallyport-new    written, on disk, renamed to PATH; the folder on disk
//   PATH.sallyport-kept   where PATH is a mount of its own, which nothing can be renamed to: the new one, whole and on disk
//                         before PATH is emptied and written in place, and until that is on disk

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../error.ts';
import type { FileBefore } from '../tunnel/dns-port.ts';
import { HostError } from '../tunnel/ports.ts';

type WholeFile = Extract<FileBefore, { kind: 'file' }>;

const newOf = (path: string): string => `${path}.sallyport-new`;
const keptOf = (path: string): string => `${path}.sallyport-kept`;

/** Puts this at the path, whole. Throws HostError with what to do; then what was there before is there still. */
export const putFile = (path: string, what: FileBefore, read: (path: string) => string): void =>
  changing(path, () => put(path, what, read));

/** Ends what a killed `putFile` began: a write in place is finished, and of anything else nothing is left. Throws HostError. */
export const tidyFile = (path: string, read: (path: string) => string): void => changing(path, () => tidy(path, read));

const changing = (path: string, work: () => void): void => orRefusal(path, 'changed', work);

/** Does something to a file or folder; what the system refuses is a HostError that says what to do. */
export function orRefusal(path: string, what: 'changed' | 'made', work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof HostError) throw error;
    const { code = 'EIO' } = error as { readonly code?: string };
    throw new HostError(code, `${path} can't be ${what} (${code}): ${WHAT_TO_DO[code]?.(path) ?? messageOf(error)}`);
  }
}

function tidy(path: string, read: (path: string) => string): void {
  rmSync(newOf(path), { force: true });
  const kept = keptOf(path);
  const whole = lstatSync(kept, { throwIfNoEntry: false });
  if (whole === undefined) return;
  if (whole.isFile() && isOwnFolder(dirname(path)) && lstatSync(path, { throwIfNoEntry: false })?.isFile() === true) {
    const [text, now] = [read(kept), read(path)];
    // What somebody has written since begins otherwise.
    if (now.length < text.length && text.startsWith(now)) {
      put(path, { kind: 'file', text, mode: whole.mode & 0o7777, uid: whole.uid, gid: whole.gid }, read);
    }
  }
  rmSync(kept, { force: true });
}

/** Nobody else puts a file there. */
function isOwnFolder(path: string): boolean {
  const { uid, mode } = statSync(path);
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

function put(path: string, what: FileBefore, read: (path: string) => string): void {
  if (what.kind === 'absent') {
    rmSync(path, { force: true });
    syncFolder(path);
    return;
  }
  const beside = newOf(path);
  rmSync(beside, { force: true });
  try {
    if (what.kind === 'link') symlinkSync(what.target, beside);
    else writeNew(beside, what);
    renameSync(beside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A mount of its own, as containers and `ip netns exec` have: only its content can change.
    if (what.kind === 'file' && (code === 'EBUSY' || code === 'EXDEV')) {
      putInPlace(path, what, read);
      return;
    }
    rmSync(beside, { force: true });
    throw error;
  }
  syncFolder(path);
}

function writeNew(beside: string, { text, mode, uid, gid }: WholeFile): void {
  // Nobody else may open it before it has its owner.
  const fd = openSync(beside, 'wx', 0o600);
  try {
    rewrite(fd, text);
    own(fd, { mode, uid, gid });
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Where anything in here fails, what was there before is put back; where not even that can be, `tidyFile` finds the kept one. */
function putInPlace(path: string, { text, mode, uid, gid }: WholeFile, read: (path: string) => string): void {
  const kept = keptOf(path);
  let before: string;
  try {
    before = read(path);
    renameSync(newOf(path), kept);
  } catch (error) {
    rmSync(newOf(path), { force: true });
    throw error;
  }
  syncFolder(path);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    const was = fstatSync(fd);
    try {
      rewrite(fd, text);
      own(fd, { mode, uid, gid });
      fsyncSync(fd);
    } catch (error) {
      rewrite(fd, before);
      own(fd, { mode: was.mode & 0o7777, uid: was.uid, gid: was.gid });
      fsyncSync(fd);
      throw error;
    }
  } catch (error) {
    if (fd === undefined || read(path) === before) rmSync(kept, { force: true });
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  rmSync(kept, { force: true });
}

/** By the file that is open, whatever its name may lead to by now. Some file systems refuse even what changes nothing. */
function own(fd: number, { mode, uid, gid }: Pick<WholeFile, 'mode' | 'uid' | 'gid'>): void {
  const is = fstatSync(fd);
  if (is.uid !== uid || is.gid !== gid) fchownSync(fd, uid, gid);
  // A new owner may take bits of the mode.
  if ((fstatSync(fd).mode & 0o7777) !== mode) fchmodSync(fd, mode);
}

function rewrite(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  if (fstatSync(fd).size > 0) ftruncateSync(fd, 0);
  let written = 0;
  while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, written);
}

/** What has happened in it has happened, also where the file system can't promise that it lasts. */
function syncFolder(path: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(fd);
  } catch {
    // Some file systems have no such call for folders.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

const full = (path: string): string => `there is no room left in ${dirname(path)}; make some there`;
const WHAT_TO_DO: Readonly<Record<string, (path: string) => string>> = {
  EPERM: (path) => `it, or its folder, is immutable or otherwise protected; lsattr -d ${path} tells, chattr -i ends it`,
  EROFS: (path) => `it lies in a read-only file system; findmnt -T ${path} tells which, mount -o remount,rw ends it`,
  EACCES: (path) => `this process has no right to; who owns ${dirname(path)}?`,
  ENOSPC: full,
  EDQUOT: full,
};
