import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createNodeScripts } from '../../src/node/scripts.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-scripts-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

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
    expect(result).toMatchObject({ signal: 'SIGTERM', error: expect.stringContaining('20 ms') });
  });
});
