// `writepid`: the process id in a file, removed at the end.

import { unlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { SallyportError } from '../../src/command.ts';

/** Writes the file; the returned function removes it, also after the working directory has changed. */
export function writePidFile(path: string | undefined): () => void {
  if (path === undefined) return () => {};
  const absolute = resolve(path);
  try {
    writeFileSync(absolute, `${process.pid}\n`);
  } catch (cause) {
    throw new SallyportError(
      `Open error on pid file ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        code: 'SALLYPORT_CONFIG',
        blame: 'config',
        hint: 'writepid needs a folder that exists and may be written.',
        cause,
      },
    );
  }
  return () => {
    try {
      unlinkSync(absolute);
    } catch {
      // Gone already, or no longer ours to remove after chroot or the user drop.
    }
  };
}
