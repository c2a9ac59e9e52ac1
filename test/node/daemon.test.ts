import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { daemonise, receiveDaemon } from '../../src/node/daemon.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-daemon-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const fixture = fileURLToPath(new URL('./fixtures-daemon.mts', import.meta.url));
const tsx = import.meta.resolve('tsx');
const start = (name: string, mode: string, secrets: Record<string, string> = {}) =>
  daemonise({ args: ['--import', tsx, fixture, join(dir, name), mode], secrets });

async function report(name: string): Promise<Record<string, unknown>> {
  const deadline = performance.now() + 5000;
  for (;;) {
    if (existsSync(join(dir, name))) {
      const text = readFileSync(join(dir, name), 'utf8');
      if (text !== '') return JSON.parse(text);
    }
    if (performance.now() > deadline) throw new Error('the daemon wrote no report');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('daemonise', () => {
  it('gives the child its secrets by pipe only, and returns when it is ready', async () => {
    const secrets = { password: 'sécret\n', long: 'x'.repeat(200_000) };
    const started = await start('ready', 'plain', secrets);
    expect(started).toMatchObject({ ready: true });
    const told = await report('ready');
    expect(told.secrets).toEqual(secrets);
    expect(told.pid).toBe(started.ready && started.pid);
    // What the run itself was given, and no mark of the parent's.
    expect(told.marked).toEqual(Object.keys(process.env).filter((name) => name.startsWith('SALLYPORT')));
    expect(JSON.stringify(told.argv)).not.toContain('sécret');
    expect(told.cwd).toBe('/');
  });

  it('leaves the directory alone where the profile names one', async () => {
    expect(await start('keep', 'keep')).toMatchObject({ ready: true });
    expect((await report('keep')).cwd).toBe(process.cwd());
  });

  it('tells the exit code of a child that ends before it is ready', async () => {
    expect(await start('fail', 'fail')).toEqual({ ready: false, exitCode: 7, error: undefined });
  });

  it('tells that the program can not be started', async () => {
    const started = await daemonise({ program: join(dir, 'missing'), args: [], secrets: {} });
    expect(started).toMatchObject({ ready: false, error: expect.stringContaining('ENOENT') });
  });

  it('says so when the mark is there without a parent', async () => {
    const child = spawnSync(process.execPath, ['--import', tsx, fixture, join(dir, 'orphan')], {
      env: { ...process.env, SALLYPORT_DAEMON_CHILD: '1' },
      encoding: 'utf8',
    });
    expect(child.status).toBe(1);
    expect(child.stderr).toContain('no parent handed anything over on descriptor 3');
  });

  it('finds no parent in a process that is no such child', () => {
    expect(receiveDaemon()).toBeUndefined();
  });
});
