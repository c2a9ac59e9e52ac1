// Who reads the files that a connection names: CVE-2025-9615 is a plugin that read any user's files as root.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installedHints } from '../../apps/networkmanager/installed-dialog.ts';
import { readNamedFiles } from '../../apps/networkmanager/named-files.ts';
import { readNamedFile } from '../../apps/networkmanager/read-files.ts';
import { type BuiltProgram, buildProgram } from '../lab/worker-url.ts';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log('skipping reading with the rights of users: it needs root');
let folder: string;
let program: BuiltProgram;

beforeAll(async () => {
  program = await buildProgram('apps/networkmanager/read-as-user.ts');
  folder = mkdtempSync(join(tmpdir(), 'sallyport-named-'));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'secret'), "root's alone");
  chmodSync(join(folder, 'secret'), 0o600);
  writeFileSync(join(folder, 'public'), "everybody's");
  chmodSync(join(folder, 'public'), 0o644);
  mkdirSync(join(folder, 'dir'));
  symlinkSync(join(folder, 'secret'), join(folder, 'link'));
  spawnSync('mkfifo', [join(folder, 'fifo')]);
});
afterAll(() => {
  program.remove();
  rmSync(folder, { recursive: true });
});

const bytes = (name: string) => Buffer.from(join(folder, name));
const read = (name: string, users: readonly string[]) =>
  readNamedFiles([{ key: 'key', path: bytes(name) }], users, { url: program.url }).then(
    (contents) => Buffer.from(contents.get('key') ?? []).toString(),
    (error: Error) => error.message,
  );

describe('a file that a connection names', () => {
  it('is read to a limit, whatever size it says to have', () => {
    writeFileSync(join(folder, 'large'), '');
    truncateSync(join(folder, 'large'), (32 << 20) + 1);
    expect(readNamedFile(bytes('large'))).toEqual({ problem: 'it is longer than 33554432 bytes' });
    truncateSync(join(folder, 'large'), 32 << 20);
    expect(readNamedFile(bytes('large'))).toMatchObject({ bytes: { length: 32 << 20 } });
    // It says to have none.
    expect(readNamedFile(Buffer.from('/proc/self/status'))).toMatchObject({ bytes: expect.anything() });
  });
});

describe.skipIf(!isRoot)('a connection that is private to a user', () => {
  it("does not get root's file, by name or by a link, and gets its own", async () => {
    for (const name of ['secret', 'link']) {
      expect(await read(name, ['nobody'])).toBe(
        `vpn.data key: ${join(folder, name)}: permission denied (read with the rights of nobody)`,
      );
    }
    expect(await read('public', ['nobody'])).toBe("everybody's");
  });

  it('of several users needs all of them to be able to read it', async () => {
    expect(await read('public', ['root', 'nobody'])).toBe("everybody's");
    expect(await read('secret', ['root'])).toBe("root's alone");
    expect(await read('secret', ['root', 'nobody'])).toMatch(/permission denied \(read with the rights of nobody\)/);
  });

  it('of nobody that exists is refused', async () => {
    expect(await read('public', ['no-such-user'])).toBe('connection.permissions: there is no user no-such-user');
  });

  it('is not waited for where the reading process answers nonsense', async () => {
    const error = await readNamedFiles([{ key: 'key', path: bytes('public') }], ['nobody'], {
      url: new URL('data:text/javascript,'),
    }).catch((refusal: Error) => refusal.message);
    expect(error).toMatch(/could not be read with its rights|must be of scheme file/);
  });
});

describe('a connection that is of everybody', () => {
  it.skipIf(!isRoot)('is read with the rights of the service', async () => {
    expect(await read('secret', [])).toBe("root's alone");
  });

  it.each([
    ['fifo', 'it is no regular file'],
    ['dir', 'it is no regular file'],
    ['none', 'there is no such file'],
  ])('does not wait for %s', async (name, words) => {
    expect(await read(name, [])).toBe(`vpn.data key: ${join(folder, name)}: ${words}`);
  });

  it('does not read a device', () => {
    expect(readNamedFile(Buffer.from('/dev/zero'))).toEqual({ problem: 'it is no regular file' });
  });
});

describe('the installed dialogs', () => {
  it('are old or new by the names that they know', () => {
    writeFileSync(join(folder, 'old'), 'x challenge x');
    writeFileSync(join(folder, 'new'), 'x\0x-dynamic-challenge:challenge-response\0x');
    expect(installedHints([join(folder, 'none'), join(folder, 'old')])).toBe('password');
    expect(installedHints([join(folder, 'new'), join(folder, 'old')])).toBe('prefixed');
    expect(installedHints([])).toBe('prefixed');
  });
});
