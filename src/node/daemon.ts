// `daemon`: Node can't fork, so the program starts itself again in a session of its own. The parent asks for secrets
// first, hands them over a pipe (never in arguments or the environment) and ends when the child says that it is ready:
// that certificates and keys are read, too, which is later than where C's daemon() returns. What is wrong with them is an
// exit code that whoever started the daemon sees.
//
//   parent → child on descriptor 3: the secrets as JSON, then end of file; child → parent: one byte when ready.

import { spawn } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { SallyportError } from '../error.ts';

const HANDOVER_FD = 3;
/** Marks the child; its value says nothing. Removed by the child before anything else sees it. */
const MARK = 'SALLYPORT_DAEMON_CHILD';
const MAX_SECRETS_BYTES = 1 << 20;

export type DaemonSecrets = Readonly<Record<string, string>>;

export interface DaemonCommand {
  /** Defaults: this program with its own arguments. */
  readonly program?: string;
  readonly args?: readonly string[];
  readonly secrets: DaemonSecrets;
  /** Descriptor for the child's stdout and stderr (a log file); default /dev/null. */
  readonly output?: number;
}

export type DaemonStart =
  | { readonly ready: true; readonly pid: number }
  /** The child ended before it was ready. */
  | { readonly ready: false; readonly exitCode: number | undefined; readonly error: string | undefined };

/** Parent: starts the child and waits until it is ready or gone. Afterwards nothing of it keeps this process alive. */
export function daemonise(command: DaemonCommand): Promise<DaemonStart> {
  const program = command.program ?? process.execPath;
  const args = command.args ?? [...process.execArgv, ...process.argv.slice(1)];
  const output = command.output ?? 'ignore';
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
      env: { ...process.env, [MARK]: '1' },
    });
    const pipe = child.stdio[HANDOVER_FD] as Duplex | null;
    const finish = (result: DaemonStart): void => {
      child.removeAllListeners();
      child.on('error', () => {});
      pipe?.destroy();
      child.unref();
      resolve(result);
    };
    child.once('error', (error) => finish({ ready: false, exitCode: undefined, error: error.message }));
    child.once('exit', (code) => finish({ ready: false, exitCode: code ?? undefined, error: undefined }));
    pipe?.on('error', () => {});
    pipe?.once('data', () => finish({ ready: true, pid: child.pid ?? 0 }));
    pipe?.end(JSON.stringify(command.secrets));
  });
}

export interface DaemonChild {
  readonly secrets: DaemonSecrets;
  /** Tells the parent to end; leaves the working directory as C does unless `cd` was given. */
  ready(options: { readonly keepDirectory: boolean }): void;
}

/** Child: what the parent handed over; undefined when this process is no such child. To be called first, and once. */
export function receiveDaemon(): DaemonChild | undefined {
  if (process.env[MARK] === undefined) return undefined;
  delete process.env[MARK];
  const secrets = readSecrets();
  return {
    secrets,
    ready({ keepDirectory }) {
      if (!keepDirectory) process.chdir('/');
      try {
        writeSync(HANDOVER_FD, '\n');
      } catch {
        // The parent was killed meanwhile; the daemon goes on, as after C's fork.
      }
      closeSync(HANDOVER_FD);
    },
  };
}

function readSecrets(): DaemonSecrets {
  try {
    return JSON.parse(readToEnd(HANDOVER_FD)) as DaemonSecrets;
  } catch (cause) {
    throw new SallyportError(`${MARK} is set, but no parent handed anything over on descriptor ${HANDOVER_FD}`, {
      code: 'SALLYPORT_INTERNAL',
      blame: 'config',
      hint: `remove ${MARK} from the environment`,
      cause,
    });
  }
}

function readToEnd(fd: number): string {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(4096);
  for (let total = 0; total <= MAX_SECRETS_BYTES; ) {
    try {
      const length = readSync(fd, part);
      if (length === 0) break;
      total += length;
      parts.push(Buffer.from(part.subarray(0, length)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EAGAIN' && code !== 'EINTR') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  part.fill(0);
  return Buffer.concat(parts).toString('utf8');
}
