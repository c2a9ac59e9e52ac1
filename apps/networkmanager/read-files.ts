// Reading the files that a connection names: regular files only, of bounded size, without waiting for anything.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Large authorities' revocation lists are some tens of megabytes. */
const FILE_LIMIT_BYTES = 32 << 20;

const PIECE_BYTES = 1 << 20;

export type FileContent = { readonly bytes: Uint8Array } | { readonly problem: string };

/** With the rights of this process. Never throws. */
export function readNamedFile(path: Uint8Array): FileContent {
  let fd: number | undefined;
  try {
    fd = openSync(Buffer.from(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!fstatSync(fd).isFile()) return { problem: 'it is no regular file' };
    const bytes = readBounded(fd);
    return bytes.length > FILE_LIMIT_BYTES ? { problem: `it is longer than ${FILE_LIMIT_BYTES} bytes` } : { bytes };
  } catch (error) {
    return { problem: wordsOf(error) };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whatever size it says to have: files of /proc and /sys say 0. One byte more than the limit at most. */
function readBounded(fd: number): Uint8Array {
  const pieces: Buffer[] = [];
  for (let left = FILE_LIMIT_BYTES + 1; left > 0; ) {
    const piece = Buffer.allocUnsafe(Math.min(left, PIECE_BYTES));
    const length = readSync(fd, piece);
    if (length === 0) break;
    pieces.push(piece.subarray(0, length));
    left -= length;
  }
  return Buffer.concat(pieces);
}

const wordsOf = (error: unknown): string => {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return `it can't be read (${code ?? String(error)})`;
  }
};
