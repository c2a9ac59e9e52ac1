// Small files that a server reads and writes while it runs: options of single clients, the address pool, files that
// programs write their answers into.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { messageOf, SallyportError } from '../error.ts';
import type { ServerFiles } from '../server/ports.ts';
import { FileRefusal } from './read-file.ts';

export interface ServerFilesOptions {
  /** Relative names start from here. */
  readonly directory: string;
  /** undefined: the system's own (TMPDIR). */
  readonly tmpDir: string | undefined;
}

/** Files of this machine. */
export function createServerFiles({ directory, tmpDir }: ServerFilesOptions): ServerFiles {
  const temporaryFolder = resolve(directory, tmpDir ?? tmpdir());
  const pathOf = (path: string): string => resolve(directory, path);
  /** Files that were put in place, open: what root has written can still be written once this is nobody's process. */
  const held = new Map<string, number>();
  return {
    read(path, limitBytes) {
      try {
        return readRegularFile(pathOf(path), limitBytes);
      } catch (error) {
        if (NO_SUCH_FILE.includes(codeOf(error))) return undefined;
        throw fileError(`cannot read ${path}`, error);
      }
    },
    replace(path, content) {
      const target = pathOf(path);
      try {
        if (target.startsWith(join(temporaryFolder, PREFIX))) writeFileSync(target, content, { mode: 0o600 });
        else replaceFile(target, content, held);
      } catch (error) {
        throw fileError(`cannot write ${path}`, error);
      }
    },
    temporary(prefix) {
      const path = join(temporaryFolder, `${PREFIX}${prefix}_${randomBytes(16).toString('hex')}.tmp`);
      try {
        closeSync(openSync(path, 'wx', 0o600));
        return path;
      } catch (error) {
        throw fileError(`cannot make a file in ${temporaryFolder} (tmp-dir)`, error);
      }
    },
    remove: (path) => rmSync(pathOf(path), { force: true }),
  };
}

const PREFIX = 'openvpn_';
/** No file can have a name that is too long. */
const NO_SUCH_FILE = ['ENOENT', 'ENAMETOOLONG'];
/** Linux: makedev(1, 3). */
const NULL_DEVICE = 0x103;
/** The folder takes no new files, as after privileges were dropped. */
const CLOSED_FOLDER = ['EACCES', 'EPERM', 'EROFS'];

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/**
 * Never waits, as the whole server would wait with it: where a program has put a FIFO or a device in the file's place, it
 * is refused. A link is followed; one to /dev/null is an empty file, with which an administrator lets a client in.
 */
function readRegularFile(path: string, limitBytes: number): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (stat.isCharacterDevice() && stat.rdev === NULL_DEVICE) return '';
    if (!stat.isFile()) throw new FileRefusal('it is not a regular file');
    // A byte more than is wanted tells an end from a bound.
    const bytes = Buffer.allocUnsafe(limitBytes + 1);
    let length = 0;
    for (let more = -1; more !== 0 && length <= limitBytes; length += more) {
      more = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > limitBytes) throw new FileRefusal(`it is longer than ${limitBytes} bytes`);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}

/** A reader sees the old text or the new one. Where the folder takes no new files any more, the file itself is written. */
function replaceFile(target: string, content: string | Uint8Array, held: Map<string, number>): void {
  const fresh = join(dirname(target), `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    writeFileSync(fresh, content, { mode: 0o600, flag: 'wx' });
    renameSync(fresh, target);
    hold(target, held);
  } catch (error) {
    rmSync(fresh, { force: true });
    // On a full disk the old text stays as it is.
    if (!CLOSED_FOLDER.includes(codeOf(error))) throw error;
    const fd = held.get(target);
    if (fd === undefined) writeFileSync(target, content, { mode: 0o600 });
    else {
      ftruncateSync(fd);
      writeSync(fd, Buffer.from(content), 0, undefined, 0);
    }
  }
}

function hold(target: string, held: Map<string, number>): void {
  const before = held.get(target);
  if (before !== undefined) closeSync(before);
  held.set(target, openSync(target, 'r+'));
}

function fileError(what: string, cause: unknown): SallyportError {
  return new SallyportError(`${what}: ${messageOf(cause)}`, {
    code: 'SALLYPORT_HOST',
    blame: 'config',
    cause,
  });
}
