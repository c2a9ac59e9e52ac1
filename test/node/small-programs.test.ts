import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSmallProgram, smallProgramEnded } from '../../src/node/small-programs.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-small-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A script that says that it runs, and ends once it has read a line. */
function script(): string {
  const path = join(folder, 'program');
  writeFileSync(path, '#!/bin/sh\necho begun\nread line\n');
  chmodSync(path, 0o755);
  return path;
}

describe('a small program', () => {
  it('that was begun by somebody else is waited for', async () => {
    const argv = [script(), '-a', 'tun0'];
    const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    let ended = false;
    const waiting = smallProgramEnded(argv, 20_000).then(() => {
      ended = true;
    });
    // Neither its beginning nor its end alone is the same call.
    await smallProgramEnded([...argv, 'more'], 20_000);
    await smallProgramEnded([argv[0] ?? '', '-a'], 20_000);
    await smallProgramEnded(argv, 50);
    expect(ended).toBe(false);
    child.stdin.end('\n');
    await waiting;
    expect(ended).toBe(true);
  });

  it('is told by its exit code and the beginning of what it complains of, in one line', async () => {
    expect(await runSmallProgram(['/bin/sh', '-c', 'read it; echo "no\n$it" >&2; exit 3'], 'word\n', 20_000)).toEqual({
      exitCode: 3,
      problem: 'no word',
    });
    expect(await runSmallProgram([join(folder, 'none')], '', 20_000)).toMatchObject({ exitCode: undefined });
  });

  it('that does not end is ended', async () => {
    const { exitCode, problem } = await runSmallProgram(['/bin/sleep', '60'], '', 20);
    expect([exitCode, problem]).toEqual([undefined, 'it did not end within 0.02 seconds']);
  });
});
