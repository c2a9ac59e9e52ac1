// Programs of the profile (up, down, route-up …): started without a shell and with exactly the given environment, as C's
// execve does; what they print goes where this program prints.

import { type ChildProcess, spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { resolve } from 'node:path';
import type { ScriptPort } from '../tunnel/ports.ts';

export interface ScriptStdio {
  /** A descriptor (that of the log file), nowhere, or this program's own. */
  readonly stdout?: number | 'ignore';
  readonly stderr?: number | 'ignore';
}

/** How long a program that was told to end may take before it is killed. */
const GRACE_MS = 2_000;

/**
 * Runs scripts. One with a bound or a signal has a session of its own: at its time, or when nobody wants it any more, it
 * gets SIGTERM and then SIGKILL with all that it started. What it leaves behind when it ends by itself lives on. One that
 * nobody can stop stays in this program's group, with its terminal.
 */
export function createNodeScripts(stdio: ScriptStdio = {}): ScriptPort {
  return {
    run: (argv, environment, { timeoutMs, signal: unwanted }) =>
      new Promise((done) => {
        const [program, ...args] = argv;
        if (program === undefined) throw new TypeError('a script needs a program name');
        if (unwanted?.aborted === true) {
          done({ exitCode: undefined, signal: undefined, error: NOT_WANTED, stopped: true });
          return;
        }
        let timer: NodeJS.Timeout | undefined;
        let late: string | undefined;
        let child: ChildProcess;
        const stop = (why: string): void => {
          if (late !== undefined) return;
          late = why;
          clearTimeout(timer);
          killGroup(child, 'SIGTERM');
          timer = setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS);
          killAtExit(child);
        };
        const leave = (): void => stop(NOT_WANTED);
        const finish = (exitCode: number | undefined, signal: string | undefined, error: string | undefined): void => {
          clearTimeout(timer);
          unwanted?.removeEventListener('abort', leave);
          unlamented.delete(child);
          done({ exitCode, signal, error, ...(late !== undefined && { stopped: true }) });
        };
        try {
          // execve takes a name without a slash as a file of the working directory; spawn would search PATH.
          child = spawn(resolve(program), args, {
            env: { ...environment },
            stdio: ['inherit', stdio.stdout ?? 'inherit', stdio.stderr ?? 'inherit'],
            detached: timeoutMs !== undefined || unwanted !== undefined,
          });
        } catch (error) {
          done({ exitCode: undefined, signal: undefined, error: describe(program, error as NodeJS.ErrnoException) });
          return;
        }
        child.once('error', (error: NodeJS.ErrnoException) => finish(undefined, undefined, describe(program, error)));
        child.once('exit', (code, signal) => finish(code ?? undefined, signal ?? undefined, late));
        if (unwanted !== undefined) {
          // Node takes more than ten listeners for a leak; as many programs run at once.
          setMaxListeners(0, unwanted);
          unwanted.addEventListener('abort', leave, { once: true });
          killAtExit(child);
        }
        if (timeoutMs === undefined) return;
        timer = setTimeout(
          () => stop(`did not end within ${Math.round(timeoutMs / 100) / 10} seconds and was stopped`),
          timeoutMs,
        );
      }),
  };
}

const NOT_WANTED = 'was stopped, because nobody waits for it any more';

/** Programs that are not to outlive this process: those that somebody may stop, and those that were told to end. */
const unlamented = new Set<ChildProcess>();

function killAtExit(child: ChildProcess): void {
  // Once, however often it is added.
  process.off('exit', killUnlamented).once('exit', killUnlamented);
  unlamented.add(child);
}

function killUnlamented(): void {
  for (const child of unlamented) killGroup(child, 'SIGKILL');
}

/** Only as long as the program itself is there is the number of its group certainly its own. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has just gone.
  }
}

const WORDS = new Map([
  ['ENOENT', 'No such file or directory'],
  ['EACCES', 'Permission denied'],
  ['ENOEXEC', 'Exec format error'],
  ['E2BIG', 'Argument list too long'],
  ['EAGAIN', 'Resource temporarily unavailable'],
  ['ENOMEM', 'Cannot allocate memory'],
]);

const describe = (program: string, error: NodeJS.ErrnoException): string =>
  `could not execute external program '${program}': ${WORDS.get(error.code ?? '') ?? error.message}`;
