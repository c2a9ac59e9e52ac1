// Logins through the PAM of this machine, by the helper process, with service files of our own. As root: the files lie in
// /etc/pam.d for as long as the suite runs.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PamHelper, startDownRootHelper, startPamHelper } from '../../src/linux/helpers.ts';
import { pamProblem } from '../../src/linux/pam.ts';
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

const ann = { username: 'ann', password: 'secret', commonName: 'client', remote: '192.0.2.1' };

suite('a login through PAM', () => {
  let permits: string;
  const open: PamHelper[] = [];
  const helper = async (name: string, ...pairs: readonly string[]): Promise<PamHelper> => {
    const started = await startPamHelper([name, ...pairs], { url: built.url, output: 'ignore' });
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
    const down = await startDownRootHelper([command, 'word'], { url: built.url });
    down.arm({ dev: 'tun7' });
    down.arm({ dev: 'tun8' });
    expect(await down.run()).toBe(3);
    expect(await down.run()).toBe(3);
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(out, 'utf8')).toBe('word tun7\nword tun7\n');
    down.close();
    expect(await down.run()).toBeUndefined();
    const missing = await startDownRootHelper([join(dir, 'none')], { url: built.url });
    expect(await missing.run()).toBeUndefined();
    missing.close();
  });
});
