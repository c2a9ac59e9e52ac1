// Files that a profile names, read with the rights of whose profile it is. Root takes profiles from others, and nothing in
// one may have root open a file that its owner could not: `auth-user-pass /etc/shadow` would tell a server two lines of it.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { MAX_PROFILE_BYTES, readBoundedFile } from '../../src/command.ts';
import { reasonOf } from './profiles.ts';

/** User and group without any files, as every Linux has them. */
const NOBODY = 65_534;
const READ_LIMIT_MS = 5000;
/** Where every Linux has its basic programs. */
const PATH = '/usr/bin:/bin:/run/current-system/sw/bin';

export interface OwnedFile {
  readonly bytes: Buffer;
  /** Whose rights its words deserve: its owner's; of root's files that others can write, nobody's. */
  readonly uid: number;
}

/** A file and its owner, both of the very file that was opened. Throws what opening and reading throw. */
export function readOwnedFile(path: string): OwnedFile {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    const { uid, mode } = fstatSync(fd);
    const bytes = readBoundedFile(`/proc/self/fd/${fd}`, MAX_PROFILE_BYTES);
    return { bytes, uid: uid === 0 && (mode & 0o022) !== 0 ? NOBODY : uid };
  } finally {
    closeSync(fd);
  }
}

/** Reads files, absolute paths, as user `uid` could who is in no group. Only root can read as somebody else. */
export function readerAs(uid: number, self: number): (path: string) => Buffer {
  if (self !== 0 || uid === 0) return (path) => readBoundedFile(path, MAX_PROFILE_BYTES);
  return (path) => {
    // A child gives up root for good, its groups too; what it can't open, it can't open.
    const { status, stdout, stderr, error } = spawnSync('cat', ['--', path], {
      uid,
      gid: NOBODY,
      cwd: '/',
      env: { PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: MAX_PROFILE_BYTES,
      timeout: READ_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    if (error !== undefined) throw new Error(limitReason(error));
    if (status !== 0) {
      const reason = stderr.toString('utf8').trim().split(': ').at(-1) ?? '';
      throw new Error(reason === 'Permission denied' ? `user ${uid}, whose profile it is, may not read it` : reason);
    }
    return stdout;
  };
}

function limitReason(error: Error): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOBUFS':
      return `it is longer than ${MAX_PROFILE_BYTES} bytes`;
    case 'ETIMEDOUT':
      return `nothing has come from it for ${READ_LIMIT_MS / 1000} seconds`;
    default:
      return reasonOf(error);
  }
}
