// Reading a file that somebody else named: a profile, a certificate, a key, a list, a password. What stands there may be
// of any length or a device without an end, so no reading goes on beyond a bound.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Profiles have their certificates within; the largest in use are some hundred kilobytes. */
export const MAX_PROFILE_BYTES = 4 << 20;
/** Revocation lists of large authorities are some tens of megabytes. */
export const MAX_MATERIAL_BYTES = 128 << 20;

const FIRST_BYTES = 65_536;
const STDIN = 0;
/** Linux: makedev(1, 3) is /dev/null, an empty file to everybody. */
const NULL_DEVICE = 0x103;
/** How long to wait for a descriptor that has nothing yet and does not block. */
const EMPTY_WAIT_MS = 10;

/** How long a FIFO may be empty: before anybody writes, and while somebody could. */
export interface Patience {
  readonly noWriterMs: number;
  readonly silentMs: number;
}

/** A process that waits here hears no signal. A writer may be a program that asks somebody for a password. */
const PATIENCE: Patience = { noWriterMs: 3_000, silentMs: 60_000 };

/** A file that can be opened and is not read: a device, longer than the bound, or a FIFO without a word. */
export class FileRefusal extends Error {
  override readonly name = 'FileRefusal';
}

/**
 * The bytes of a file, a FIFO, a terminal, or of standard input (descriptor 0). Throws FileRefusal for other devices,
 * for what is longer than `maxBytes` and for a FIFO that says nothing; else what opening and reading throw.
 */
export function readBoundedFile(source: string | typeof STDIN, maxBytes: number, patience = PATIENCE): Buffer {
  if (source === STDIN) return readDescriptor(STDIN, maxBytes, { noWriterMs: 0, silentMs: Number.POSITIVE_INFINITY });
  // Without O_NONBLOCK, opening a FIFO that nobody writes to would never return.
  const fd = openSync(source, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    return readDescriptor(fd, maxBytes, patience);
  } finally {
    closeSync(fd);
  }
}

/** A file of key material; `regular`: one of a folder, where no FIFO is meant to be. */
export const readMaterialFile = (path: string, only?: 'regular'): Buffer =>
  only === 'regular' ? readRegularFile(path, MAX_MATERIAL_BYTES) : readBoundedFile(path, MAX_MATERIAL_BYTES);

/** The bytes of a file, as readBoundedFile; FileRefusal at once for all that is no regular file: nothing is waited for. */
function readRegularFile(path: string, maxBytes: number): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new FileRefusal('it is no regular file');
    return readDescriptor(fd, maxBytes, PATIENCE);
  } finally {
    closeSync(fd);
  }
}

function readDescriptor(fd: number, maxBytes: number, patience: Patience): Buffer {
  const stat = fstatSync(fd);
  const harmless = stat.rdev === NULL_DEVICE || isatty(fd);
  if (stat.isBlockDevice() || (stat.isCharacterDevice() && !harmless)) {
    throw new FileRefusal('it is a device, not a file');
  }
  if (stat.isFile() && stat.size > maxBytes) throw tooLong(maxBytes);
  // A byte more than is wanted tells an end from a bound.
  let bytes = Buffer.alloc(Math.min(FIRST_BYTES, maxBytes + 1));
  let length = 0;
  const startMs = performance.now();
  for (;;) {
    const more = readSome(fd, bytes.subarray(length), patience.silentMs);
    length += more;
    if (length > maxBytes) throw tooLong(maxBytes);
    if (more === 0 && length === 0 && stat.isFIFO() && performance.now() - startMs < patience.noWriterMs) {
      pause();
      continue;
    }
    if (more === 0) return bytes.subarray(0, length);
    if (length < bytes.length) continue;
    const larger = Buffer.alloc(Math.min(bytes.length * 2, maxBytes + 1));
    bytes.copy(larger);
    bytes = larger;
  }
}

function readSome(fd: number, into: Buffer, silentMs: number): number {
  const startMs = performance.now();
  for (;;) {
    try {
      return readSync(fd, into);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN' && code !== 'EINTR') throw error;
    }
    if (performance.now() - startMs >= silentMs) {
      throw new FileRefusal(`nothing has come from it for ${silentMs / 1000} seconds`);
    }
    pause();
  }
}

const pause = (): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EMPTY_WAIT_MS);
};

const tooLong = (maxBytes: number): FileRefusal => new FileRefusal(`it is longer than ${maxBytes} bytes`);
