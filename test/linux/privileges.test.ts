import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enterChroot, lookupGroup, lookupUser } from '../../src/linux/privileges.ts';
import { HostError } from '../../src/tunnel/ports.ts';
import { privateNetworkRefusal } from '../lab/private-network.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const refusal = privateNetworkRefusal();
if (refusal !== undefined) console.warn(`skipped: giving up privileges: ${refusal}`);

describe.skipIf(process.platform !== 'linux')('accounts', () => {
  it('are found by name, and undefined when there is none', () => {
    expect(lookupUser('root')).toEqual({ name: 'root', uid: 0, gid: 0 });
    expect(lookupGroup('root')).toBe(0);
    expect(lookupUser('no-such-user')).toBeUndefined();
    expect(lookupGroup('no-such-group')).toBeUndefined();
  });

  it('a directory that is none refuses the chroot by its errno', () => {
    expect(() => enterChroot('/no/such/directory')).toThrow(HostError);
    expect(() => enterChroot('/no/such/directory')).toThrow(
      /chroot to '\/no\/such\/directory' failed: (No such|Operation)/,
    );
  });
});

describe.skipIf(process.platform !== 'linux')('the priority', () => {
  it('is set for every thread', async () => {
    const program = await buildProgram('test/linux/programs/nice.ts');
    const output = execFileSync(process.execPath, [program.path], { encoding: 'utf8', timeout: 8_000 });
    program.remove();
    const priorities = JSON.parse(output) as number[];
    expect(priorities.length).toBeGreaterThan(1);
    expect(new Set(priorities)).toEqual(new Set([7]));
  });
});

describe.skipIf(refusal !== undefined)('giving up privileges', () => {
  let program: BuiltProgram;
  let directory: string;

  beforeAll(async () => {
    program = await buildProgram('test/linux/programs/privileges.ts');
    directory = mkdtempSync(join(tmpdir(), 'sallyport-chroot-'));
    chmodSync(directory, 0o755);
  });
  afterAll(() => {
    program.remove();
    rmdirSync(directory);
  });

  const run = (path: string, ...words: string[]) =>
    JSON.parse(execFileSync(process.execPath, [path, ...words], { encoding: 'utf8', timeout: 8_000 })) as unknown;

  it('drops user, group and groups for good, and can still change addresses and routes', () => {
    const nobody = lookupUser('nobody');
    const nogroup = lookupGroup('nogroup');
    expect(run(program.path)).toMatchObject({
      uid: nobody?.uid,
      gid: nogroup,
      groups: [nogroup],
      backToRoot: 'EPERM',
      netAdmin: true,
      address: 'done',
      up: 'done',
      route: 'done',
    });
  });

  it('does so in an empty chroot too', () => {
    expect(run(program.path, directory)).toMatchObject({
      backToRoot: 'EPERM',
      netAdmin: true,
      address: 'done',
      route: 'done',
      passwd: 'ENOENT',
    });
  });

  it('keeps no capability when none is asked for', () => {
    expect(run(program.path, directory, 'no')).toMatchObject({
      backToRoot: 'EPERM',
      netAdmin: false,
      address: 'EPERM',
      route: 'EPERM',
    });
  });
});
