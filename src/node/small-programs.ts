// A program that takes a few lines and is done soon (resolvconf): argv without a shell, bare environment, bounded in time.

import { spawn } from 'node:child_process';

const PROBLEM_LIMIT = 300;
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

const oneLine = (text: string): string =>
  text
    .replace(/[\0-\x1f\x7f]+/g, ' ')
    .slice(0, PROBLEM_LIMIT)
    .trim();
