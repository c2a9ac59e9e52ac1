// A program that takes a few lines and is done soon (resolvconf): argv without a shell, bare environment, bounded in time.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const PROBLEM_LIMIT = 300;
const LOOK_MS = 20;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Resolves with the exit code and the beginning of what it printed on stderr, in one line. Never rejects. */
export function runSmallProgram(
  [program = '', ...args]: readonly string[],
  input: string,
  timeoutMs: number,
): Promise<{ readonly exitCode: number | undefined; readonly problem: string }> {
  return new Promise((resolve) => {
    let problem = '';
    const done = (exitCode: number | undefined): void => {
      clearTimeout(timer);
      resolve({ exitCode, problem: oneLine(problem) });
    };
    const child = spawn(program, args, {
      env: { PATH },
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
    });
    const timer = setTimeout(() => {
      problem = `it did not end within ${timeoutMs / 1000} seconds`;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has just gone.
      }
    }, timeoutMs);
    child.stderr.on('data', (data: Buffer) => {
      if (problem.length < PROBLEM_LIMIT) problem += data.toString('utf8', 0, PROBLEM_LIMIT);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) => {
      problem = error.message;
      done(undefined);
    });
    child.on('exit', (code) => done(code ?? undefined));
  });
}

/** Resolves once no process runs a program with these arguments, by itself or as a script, or after `timeoutMs`. Never rejects. */
export async function smallProgramEnded(argv: readonly string[], timeoutMs: number): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (isRunning(`${argv.join('\0')}\0`) && performance.now() < untilMs) await delay(LOOK_MS);
}

function isRunning(words: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^[0-9]+$/.test(pid)) return false;
    try {
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      // `/bin/sh` and its options may stand before the script.
      return text === words || text.endsWith(`\0${words}`);
    } catch {
      return false; // it has just gone
    }
  });
}

const oneLine = (text: string): string =>
  text
    .replace(/[\0-\x1f\x7f]+/g, ' ')
    .slice(0, PROBLEM_LIMIT)
    .trim();
