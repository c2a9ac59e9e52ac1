// One `up` of a name at a time: from the look whether it is up until its process has the control socket. The lock is on the
// log, which is there anyway; the kernel takes it back from a process that dies.

import { closeSync, constants, ftruncateSync, openSync } from 'node:fs';
import { lockFolder } from '../../src/command.ts';
import { forget } from './control-client.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { logPath, type Places } from './places.ts';

export interface StartLock {
  /** Empties the log of the last run; returns its descriptor, which `release` closes. */
  newLog(): number;
  release(): void;
}

/** Throws where another `up` of the name is at work. The runtime folder is there. */
export async function lockStart(name: string, places: Places): Promise<StartLock> {
  const path = logPath(places, name);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  // Nobody else put it there: the folder is this user's alone.
  const fd = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  const unlock = await lockFolder(path, 0).catch((error: unknown) => {
    closeSync(fd);
    throw error;
  });
  if (unlock === undefined) {
    closeSync(fd);
    throw new CommandFailure(
      ExitCode.activation,
      `another sallyport up ${name} is at work`,
      'Wait for it, or end it with Ctrl-C where it runs.',
    );
  }
  return {
    newLog() {
      ftruncateSync(fd, 0);
      return fd;
    },
    release() {
      unlock();
      closeSync(fd);
    },
  };
}

/** Removes what a tunnel that is gone left in the runtime folder, unless somebody brings it up right now. */
export async function forgetGone(places: Places, name: string): Promise<void> {
  let lock: StartLock;
  try {
    lock = await lockStart(name, places);
  } catch {
    return;
  }
  forget(places, name);
  lock.release();
}
