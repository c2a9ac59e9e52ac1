import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuiltProgram, buildDataWorker, buildProgram } from '../lab/worker-url.ts';

// A worker blocked in poll(2) hangs its process for ever when nobody wakes it: each way of ending has a test here.

/** Long for a machine under load, short beside for ever. */
const BOUND_MS = 8_000;

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** From READY, or from the start where there is none, to the end. */
  readonly tookMs: number;
}

describe.skipIf(process.platform !== 'linux').each([1, 2])('a process with data workers, %i of them', (workers) => {
  let worker: BuiltProgram;
  let program: BuiltProgram;

  beforeAll(async () => {
    [worker, program] = await Promise.all([buildDataWorker(), buildProgram('test/linux/programs/plane-ending.ts')]);
  });
  afterAll(() => {
    worker.remove();
    program.remove();
  });

  function run(ending: string, atReady?: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Ending> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [program.path, worker.url.href, ending, `${workers}`], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let fromMs = performance.now();
      let output = '';
      let ready = false;
      const bound = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`still running after ${BOUND_MS} ms (${ending}): ${output}`));
      }, BOUND_MS);
      const take = (chunk: Buffer) => {
        output += chunk.toString();
        if (ready || !output.includes('READY\n')) return;
        ready = true;
        fromMs = performance.now();
        atReady?.((signal) => child.kill(signal));
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      child.on('close', (code, signal) => {
        clearTimeout(bound);
        resolve({ code, signal, output, tookMs: performance.now() - fromMs });
      });
    });
  }

  it.each([
    ['process.exit()', 'exit', 3],
    ['process.exit() before the worker runs', 'exit-at-once', 6],
    ['process.exit() with thousands of calls on their way', 'busy', 8],
    ['an uncaught exception', 'throw', 1],
    ['an unhandled rejection', 'reject', 1],
    ['the natural end, when the plane is empty', 'empty', 4],
    ['the natural end, when the plane is closed', 'close', 0],
  ])('ends at once and with its code on %s', async (_, ending, code) => {
    const end = await run(ending);
    expect(end).toMatchObject({ code, signal: null });
    expect(end.tookMs).toBeLessThan(3_000);
  });

  it('says so when close() has ended the worker', async () => {
    expect((await run('close')).output).toContain('CLOSED');
  });

  it('ends at once when a handler of SIGTERM exits', async () => {
    const end = await run('handler', (kill) => kill('SIGTERM'));
    expect(end).toMatchObject({ code: 5, signal: null });
    expect(end.tookMs).toBeLessThan(3_000);
  });

  it('ends at once by SIGTERM without a handler', async () => {
    const end = await run('signal', (kill) => kill('SIGTERM'));
    expect(end).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(end.tookMs).toBeLessThan(3_000);
  });

  it('is kept running by a link, and by nothing else', async () => {
    let alive = false;
    const end = await run('held', (kill) => {
      setTimeout(() => {
        alive = true;
        kill('SIGTERM');
      }, 300);
    });
    expect(alive).toBe(true);
    expect(end.code).toBe(5);
  });

  it('hears plane-failed when the worker crashes, and ends by itself', async () => {
    const end = await run('crash');
    expect(end.output).toContain('plane-failed');
    expect(end).toMatchObject({ code: 0, signal: null });
  });
});
