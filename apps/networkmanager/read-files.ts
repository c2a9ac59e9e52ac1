// Reading the files that a connection names: regular files only, of bounded size, without waiting for anything.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** Large authorities' revocation lists are some tens of megabytes. */
const FILE_LIMIT_BYTES = 32 << 20;

export type FileContent = { readonly bytes: Uint8Array } | { readonly problem: string };

/** With the rights of this process. Never throws. */
export function readNamedFile(path: Uint8Array): FileContent {
  let fd: number | undefined;
  try {
    fd = openSync(Buffer.from(path), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (!stat.isFile()) return { problem: 'it is no regular file' };
    if (stat.size > FILE_LIMIT_BYTES) return { problem: `it is longer than ${FILE_LIMIT_BYTES} bytes` };
    return { bytes: readFileSync(fd) };
  } catch (error) {
    return { problem: wordsOf(error) };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
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
