// Programs of the profile (up, down, route-up …): started without a shell and with exactly the given environment, as C's
// execve does; what they print goes where this program prints.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { ScriptPort } from '../tunnel/ports.ts';

export interface ScriptStdio {
  /** A descriptor (that of the log file), nowhere, or this program's own. */
  readonly stdout?: number | 'ignore';
  readonly stderr?: number | 'ignore';
}

/** How long a program that was told to end may take before it is killed. */
const GRACE_MS = 2_000;

/** Runs scripts. With a bound, a program that exceeds it gets SIGTERM and then SIGKILL. */
export function createNodeScripts(stdio: ScriptStdio = {}): ScriptPort {
  return {
    run: (argv, environment, { timeoutMs }) =>
      new Promise((done) => {
        const [program, ...args] = argv;
        if (program === undefined) throw new TypeError('a script needs a program name');
        let timer: NodeJS.Timeout | undefined;
        const finish = (exitCode: number | undefined, signal: string | undefined, error: string | undefined): void => {
          clearTimeout(timer);
          done({ exitCode, signal, error });
        };
        try {
          // execve takes a name without a slash as a file of the working directory; spawn would search PATH.
          const child = spawn(resolve(program), args, {
            env: { ...environment },
            stdio: ['inherit', stdio.stdout ?? 'inherit', stdio.stderr ?? 'inherit'],
          });
          let late: string | undefined;
          child.once('error', (error: NodeJS.ErrnoException) => finish(undefined, undefined, describe(program, error)));
          child.once('exit', (code, signal) => finish(code ?? undefined, signal ?? undefined, late));
          if (timeoutMs === undefined) return;
          timer = setTimeout(() => {
            late = `it did not end within ${timeoutMs} ms and was stopped`;
            child.kill('SIGTERM');
            timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
          }, timeoutMs);
        } catch (error) {
          finish(undefined, undefined, describe(program, error as NodeJS.ErrnoException));
        }
      }),
  };
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
