// One writer at a time in a folder. The lock is flock(2) on the folder itself: no file is left behind, and the kernel
// takes it back from a process that dies.

import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Errno, hostError } from './errno.ts';
import { errno, libc } from './libc.ts';

/** LOCK_EX | LOCK_NB of sys/file.h. */
const LOCK_EXCLUSIVE_NOW = 0x2 | 0x4;
const RETRY_MS = 50;

/**
 * Locks a folder, or a file, against others that lock it; waits up to `waitMs` for them. Resolves with the function that lets go, or
 * with undefined when somebody else still has it. Throws where it cannot be opened.
 */
export async function lockFolder(path: string, waitMs: number): Promise<(() => void) | undefined> {
  const fd = openSync(path, 'r');
  const untilMs = performance.now() + waitMs;
  while (libc.flock(fd, LOCK_EXCLUSIVE_NOW) < 0) {
    const number = errno();
    const busy = number === Errno.EAGAIN || number === Errno.EINTR;
    if (busy && performance.now() < untilMs) {
      await delay(RETRY_MS);
      continue;
    }
    closeSync(fd);
    if (busy) return undefined;
    throw hostError(`flock ${path}`, number);
  }
  return () => closeSync(fd);
}
