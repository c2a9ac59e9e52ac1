import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createNodeScripts } from '../../src/node/scripts.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-scripts-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const PATH = { PATH: '/usr/bin:/bin' };

/** A script that waits for a child of its own, and the number of that child once it is there. */
function parent(name: string, first = ':') {
  const path = join(dir, `${name}.pid`);
  return {
    argv: ['/bin/sh', '-c', `${first}; sleep 77 & echo $! >"${path}"; wait; wait`],
    started: async (): Promise<number> => {
      await eventually(() => existsSync(path) && readFileSync(path, 'utf8').endsWith('\n'));
      return Number(readFileSync(path, 'utf8'));
    },
  };
}

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Until no process has this number, or only one that nobody has buried yet. */
const gone = (pid: number): Promise<void> =>
  eventually(() => {
    try {
      return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return true;
    }
  });

describe('scripts', () => {
  const unbounded = { timeoutMs: undefined };

  it('get exactly the given arguments and environment, and no shell looks at them', async () => {
    const path = join(dir, 'show.sh');
    writeFileSync(path, '#!/bin/sh\nprintf "%s|" "$@"\n/usr/bin/env\n', { mode: 0o755 });
    const out = join(dir, 'out');
    const fd = openSync(out, 'w');
    const result = await createNodeScripts({ stdout: fd, stderr: fd }).run(
      [path, 'a b', '$(id)', '; rm -rf x', ''],
      { common_name: '`id`', script_type: 'up' },
      unbounded,
    );
    closeSync(fd);
    expect(result).toEqual({ exitCode: 0, signal: undefined, error: undefined });
    const [first, ...rest] = readFileSync(out, 'utf8').split('||');
    expect(first).toBe('a b|$(id)|; rm -rf x');
    const environment = rest
      .join('')
      .trim()
      .split('\n')
      .filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line));
    expect(environment.sort()).toEqual(['common_name=`id`', 'script_type=up']);
  });

  it('tell how they ended', async () => {
    const scripts = createNodeScripts();
    expect(await scripts.run(['/bin/sh', '-c', 'exit 3'], {}, unbounded)).toMatchObject({ exitCode: 3 });
    expect(await scripts.run(['/bin/sh', '-c', 'kill -9 $$'], {}, unbounded)).toMatchObject({
      exitCode: undefined,
      signal: 'SIGKILL',
    });
  });

  it('that can not be started are told, not thrown; PATH is not searched', async () => {
    const scripts = createNodeScripts();
    const run = (...argv: string[]) => scripts.run(argv, { PATH: '/bin' }, unbounded);
    expect((await run(join(dir, 'missing'))).error).toContain('No such file or directory');
    expect((await run('true')).error).toContain('No such file or directory');
    expect((await run(dir)).error).toContain('Permission denied');
    expect((await run('/bin/true', 'a\0b')).error).toBeDefined();
  });

  it('that take too long are stopped', async () => {
    const result = await createNodeScripts().run(['/bin/sleep', '60'], {}, { timeoutMs: 20 });
    const error = 'did not end within 0 seconds and was stopped';
    expect(result).toEqual({ exitCode: undefined, signal: 'SIGTERM', error, stopped: true });
  });

  it('that take too long are stopped with all that they started', async () => {
    const { argv, started } = parent('late');
    const ended = createNodeScripts().run(argv, PATH, { timeoutMs: 300 });
    const pid = await started();
    expect(await ended).toMatchObject({ signal: 'SIGTERM', stopped: true });
    await gone(pid);
  });

  it('that do not heed SIGTERM are killed with all that they started', async () => {
    const { argv, started } = parent('deaf', 'trap "" TERM');
    const ended = createNodeScripts().run(argv, PATH, { timeoutMs: 300 });
    const pid = await started();
    expect(await ended).toMatchObject({ signal: 'SIGKILL', stopped: true });
    await gone(pid);
  });

  it('that nobody waits for any more are stopped with all that they started, and not started later', async () => {
    const { argv, started } = parent('unwanted');
    const unwanted = new AbortController();
    const { signal } = unwanted;
    const ended = createNodeScripts().run(argv, PATH, { timeoutMs: 60_000, signal });
    const pid = await started();
    unwanted.abort();
    const error = 'was stopped, because nobody waits for it any more';
    expect(await ended).toMatchObject({ signal: 'SIGTERM', error, stopped: true });
    await gone(pid);
    const never = join(dir, 'never');
    const later = await createNodeScripts().run(['/usr/bin/touch', never], {}, { timeoutMs: 60_000, signal });
    expect(later).toMatchObject({ error, stopped: true });
    expect(existsSync(never)).toBe(false);
  });

  it('leave behind what they want: a program in the background lives on after its script', async () => {
    const unwanted = new AbortController();
    const answer = join(dir, 'answer');
    const command = `(read x <"${join(dir, 'go')}"; echo 1 >"${answer}") & exit 2`;
    execFileSync('mkfifo', [join(dir, 'go')]);
    const ended = createNodeScripts().run(['/bin/sh', '-c', command], PATH, {
      timeoutMs: 60_000,
      signal: unwanted.signal,
    });
    expect(await ended).toEqual({ exitCode: 2, signal: undefined, error: undefined });
    unwanted.abort();
    writeFileSync(join(dir, 'go'), 'now\n');
    await eventually(() => existsSync(answer) && readFileSync(answer, 'utf8') === '1\n');
  });

  it('that may be stopped do not outlive this program', async () => {
    const { argv, started } = parent('orphan');
    const fixture = fileURLToPath(new URL('./fixtures-scripts.mts', import.meta.url));
    const program = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), fixture, ...argv], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const pid = await started();
    program.stdin.end();
    await once(program, 'exit');
    await gone(pid);
  });

  it('may be many at once without a warning', async () => {
    const warned: Error[] = [];
    const hear = (warning: Error) => void warned.push(warning);
    process.on('warning', hear);
    const { signal } = new AbortController();
    const all = Array.from({ length: 20 }, () =>
      createNodeScripts().run(['/bin/true'], {}, { timeoutMs: 60_000, signal }),
    );
    await Promise.all(all);
    process.off('warning', hear);
    expect(warned).toEqual([]);
  });
});
