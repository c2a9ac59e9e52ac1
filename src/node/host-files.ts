// Files of the host that are changed and put back as they were: looked at with mode and owner, and put in place whole.

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import type { FileBefore } from '../tunnel/dns-port.ts';
import { HostError } from '../tunnel/ports.ts';
import { orRefusal, putFile, tidyFile } from './put-file.ts';

/** No file of a resolver is larger. */
const LIMIT_BYTES = 0x10_0000;

export const hostFiles = {
  look: (path: string): FileBefore => named(() => look(path)),
  put: (path: string, what: FileBefore): void => putFile(path, what, readBounded),
  tidy: (path: string): void => named(() => tidyFile(path, readBounded)),
  makeFolder: (path: string): void => named(() => makeFolder(path)),
  read(path: string): string | undefined {
    try {
      return readBounded(path);
    } catch {
      return undefined;
    }
  },
  linkTarget(path: string): string | undefined {
    try {
      return readlinkSync(path);
    } catch {
      return undefined;
    }
  },
  names(folder: string): readonly string[] {
    try {
      return readdirSync(folder).sort();
    } catch {
      return [];
    }
  },
  isProgram(path: string): boolean {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  },
};

function look(path: string): FileBefore {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: 'absent' };
  if (stat.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) };
  if (!stat.isFile()) throw new HostError('EINVAL', `${path} is neither a file nor a link`);
  return { kind: 'file', text: readBounded(path), mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

/** A file of /proc says that it has no length. A FIFO is not waited for. */
function readBounded(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    if (!fstatSync(fd).isFile()) throw new HostError('EINVAL', `${path} is no file`);
    const buffer = Buffer.alloc(LIMIT_BYTES + 1);
    let length = 0;
    for (;;) {
      const read = readSync(fd, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
      if (length > LIMIT_BYTES) throw new HostError('EFBIG', `${path} is larger than ${LIMIT_BYTES} bytes`);
    }
    return buffer.toString('latin1', 0, length);
  } finally {
    closeSync(fd);
  }
}

function makeFolder(path: string): void {
  orRefusal(path, 'made', () => mkdirSync(path, { recursive: true, mode: 0o711 }));
  const stat = lstatSync(path);
  const { uid, mode } = stat;
  if (!stat.isDirectory()) throw new HostError('ENOTDIR', `${path} is no folder, or a link to one`);
  if (uid !== (process.geteuid?.() ?? 0)) throw new HostError('EACCES', `${path} belongs to user ${uid}`);
  if ((mode & 0o022) !== 0) throw new HostError('EACCES', `others may change ${path}`);
  // Who can open it can lock it.
  if ((mode & 0o044) !== 0) chmodSync(path, mode & 0o7711);
}

function named<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof HostError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new HostError(code ?? 'EIO', message);
  }
}
