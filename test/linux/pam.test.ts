// Logins through the PAM of this machine, by the helper process, with service files of our own. As root: the files lie in
// /etc/pam.d for as long as the suite runs.

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PamHelper, startDownRootHelper, startPamHelper } from '../../src/linux/helpers.ts';
import { pamProblem } from '../../src/linux/pam.ts';
import { eventually } from '../lab/process.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const isRoot = process.getuid?.() === 0;
const suite = isRoot && pamProblem() === undefined ? describe : describe.skip;
const dir = mkdtempSync(join(tmpdir(), 'sallyport-pam-'));
const prefix = `sallyport-test-${process.pid}`;
const services: string[] = [];
let built: BuiltProgram;

function service(name: string, ...lines: readonly string[]): string {
  const path = `/etc/pam.d/${prefix}-${name}`;
  writeFileSync(path, `${lines.join('\n')}\n`);
  services.push(path);
  return `${prefix}-${name}`;
}

/** A program that PAM runs; what the client gave as password comes on its standard input. */
function program(name: string, ...lines: readonly string[]): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Of processes that have not ended: one that nobody has waited for yet counts as ended. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

const childrenOf = (parent: number): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === parent);

const ann = { username: 'ann', password: 'secret', commonName: 'client', remote: '192.0.2.1' };

suite('a login through PAM', () => {
  let permits: string;
  const open: PamHelper[] = [];
  const helper = async (name: string, ...pairs: readonly string[]): Promise<PamHelper> => {
    const answers = pairs.flatMap((query, at) => (at % 2 === 0 ? [{ query, answer: pairs[at + 1] ?? '' }] : []));
    const started = await startPamHelper({ service: name, answers }, { url: built.url, output: 'ignore' });
    open.push(started);
    return started;
  };

  beforeAll(async () => {
    built = await buildProgram('src/linux/root-helper.ts');
    permits = service('permit', 'auth required pam_permit.so', 'account required pam_permit.so');
  });
  afterAll(() => {
    for (const each of open) each.close();
    for (const path of services) rmSync(path, { force: true });
    built.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  it('is what the modules of the service say', async () => {
    expect(await (await helper(permits)).login(ann, 5000)).toMatchObject({ accepted: true, problem: '' });
    const denies = service('deny', 'auth required pam_deny.so', 'account required pam_permit.so');
    expect(await (await helper(denies)).login(ann, 5000)).toMatchObject({
      accepted: false,
      problem: 'Authentication failure',
    });
    const locked = service('locked', 'auth required pam_permit.so', 'account required pam_deny.so');
    expect((await (await helper(locked)).login(ann, 5000)).accepted).toBe(false);
  });

  it('gives the modules user, password and address', async () => {
    const seen = join(dir, 'seen');
    const check = program(
      'check',
      `echo "$PAM_USER $PAM_RHOST $PAM_SERVICE $(tr -d '\\0')" > ${seen}`,
      `grep -q secret ${seen}`,
    );
    const asks = service('asks', `auth required pam_exec.so expose_authtok ${check}`, 'account required pam_permit.so');
    const pam = await helper(asks);
    const result = await pam.login(ann, 5000);
    expect(result.accepted).toBe(true);
    expect(result.questions).toEqual(["query='Password: ' style=1"]);
    expect((await pam.login({ ...ann, password: 'wrong' }, 5000)).accepted).toBe(false);
    // One helper goes on after a refusal.
    expect((await pam.login({ ...ann, username: 'bob' }, 5000)).accepted).toBe(true);
  });

  it('answers by the pairs of the configuration, and refuses where a question has none', async () => {
    const check = program('code', 'test "$(tr -d \'\\0\')" = "secret+123456 of client"');
    const asks = service(
      'pairs',
      `auth required pam_exec.so expose_authtok ${check}`,
      'account required pam_permit.so',
    );
    const otp = { ...ann, password: `SCRV1:${btoa('secret')}:${btoa('123456')}` };
    // pam_exec asks for the user first where nobody has said who it is.
    expect((await (await helper(asks, 'login', 'USERNAME', 'password', 'OTP')).login(otp, 5000)).accepted).toBe(false);
    expect(
      (
        await (
          await helper(asks, 'login', 'USERNAME', 'password', 'PASSWORD')
        ).login({ ...ann, password: 'secret+123456 of client' }, 5000)
      ).accepted,
    ).toBe(true);
    const missing = await (await helper(asks, 'something', 'USERNAME')).login(ann, 5000);
    expect(missing.accepted).toBe(false);
  });

  it('that hangs ends at its time, and others pass it by', async () => {
    const sleeps = program('sleeps', 'read word', 'test "$word" = slow && sleep 60', 'exit 0');
    const asks = service(
      'hang',
      `auth required pam_exec.so expose_authtok ${sleeps}`,
      'account required pam_permit.so',
    );
    const pam = await helper(asks);
    const slow = pam.login({ ...ann, password: 'slow\n' }, 1500);
    expect((await pam.login(ann, 5000)).accepted).toBe(true);
    expect(await slow).toMatchObject({ accepted: false, problem: 'the PAM modules gave no answer in time' });
    expect((await pam.login(ann, 5000)).accepted).toBe(true);
  });

  it('shows nothing of the answers in the arguments of its processes', async () => {
    const before = childrenOf(process.pid);
    await helper(permits, 'login', 'USERNAME', 'code', 'literal-answer');
    const [pid = 0, ...others] = childrenOf(process.pid).filter((child) => !before.includes(child));
    expect(others).toEqual([]);
    const shown = [pid, ...childrenOf(pid)].map((each) => readFileSync(`/proc/${each}/cmdline`, 'utf8'));
    expect(shown.length).toBe(2);
    for (const words of shown) {
      expect(words).toContain(built.path);
      expect(words).not.toMatch(/literal-answer|code|login/);
    }
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('that hangs ends with the helper, by %s too', async (signal) => {
    const hung = join(dir, `hung-${signal}`);
    const hangs = program(`hangs-${signal}`, `echo $$ > ${hung}.new`, `mv ${hung}.new ${hung}`, 'exec sleep 60');
    const asks = service(
      `hangs-${signal.toLowerCase()}`,
      `auth required pam_exec.so ${hangs}`,
      'account required pam_permit.so',
    );
    const before = childrenOf(process.pid);
    const pam = await helper(asks);
    const [pid = 0] = childrenOf(process.pid).filter((child) => !before.includes(child));
    const login = pam.login(ann, 60_000);
    await eventually('the module hangs', () => existsSync(hung), 5000);
    const module = Number(readFileSync(hung, 'utf8'));
    const worker = parentOf(module) ?? 0;
    expect(parentOf(worker)).toBe(pid);
    process.kill(pid, signal);
    try {
      expect(await login).toMatchObject({ accepted: false, problem: 'the PAM helper process has ended' });
      await eventually('the worker is gone', () => parentOf(worker) === undefined, 5000);
    } finally {
      process.kill(module, 'SIGKILL');
      if (parentOf(worker) !== undefined) process.kill(worker, 'SIGKILL');
    }
  });

  it('a service that is not there refuses everybody', async () => {
    const other = await helper(`${prefix}-none`);
    expect((await other.login(ann, 5000)).accepted).toBe(false);
  });

  it('is refused when the helper has ended', async () => {
    const pam = await helper(permits);
    pam.close();
    expect(await pam.login(ann, 5000)).toMatchObject({ accepted: false, problem: 'the PAM helper process has ended' });
  });

  it('a command for the end of the tunnel runs with the first environment, as often as it is told to', async () => {
    const out = join(dir, 'down');
    const command = program('down.sh', `echo "$1 $dev" >> ${out}`, 'exit 3');
    const before = childrenOf(process.pid);
    const down = await startDownRootHelper([command, 'word'], { url: built.url });
    down.arm({ dev: 'tun7' });
    down.arm({ dev: 'tun8' });
    expect(await down.run()).toBe(3);
    // A service manager's SIGTERM reaches the helper too, before the tunnel has ended.
    const [pid = 0] = childrenOf(process.pid).filter((child) => !before.includes(child));
    process.kill(pid, 'SIGTERM');
    expect(await down.run()).toBe(3);
    expect(readFileSync(out, 'utf8')).toBe('word tun7\nword tun7\n');
    down.close();
    expect(await down.run()).toBeUndefined();
    const missing = await startDownRootHelper([join(dir, 'none')], { url: built.url });
    expect(await missing.run()).toBeUndefined();
    missing.close();
  });
});
