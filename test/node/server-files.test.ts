import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/error.ts';
import { createServerFiles } from '../../src/node/server-files.ts';
import type { ServerFiles } from '../../src/server/ports.ts';

describe('files of a server', () => {
  let folder = '';
  let files: ServerFiles;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'server-files-'));
    files = createServerFiles({ directory: folder, tmpDir: folder });
  });

  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });

  it('are not there under a name that nobody has used or that is too long for a file', () => {
    expect(files.read('nobody', 100)).toBeUndefined();
    expect(files.read(`ccd/${'x'.repeat(300)}`, 100)).toBeUndefined();
    expect(files.read('x'.repeat(300), 100)).toBeUndefined();
  });

  it('say why they cannot be read', () => {
    writeFileSync(join(folder, 'big'), 'x'.repeat(101));
    expect(() => files.read('big', 100)).toThrow(SallyportError);
    expect(() => files.read('.', 100)).toThrow(/cannot read \./);
  });

  it('are regular ones: a FIFO or a device in their place is refused without waiting', () => {
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    symlinkSync('/dev/zero', join(folder, 'device'));
    symlinkSync('fifo', join(folder, 'link'));
    const startMs = performance.now();
    // Somebody could write to it and does not.
    const writer = openSync(join(folder, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK);
    for (const name of ['fifo', 'link', 'device']) {
      expect(() => files.read(name, 100)).toThrow(`cannot read ${name}: it is not a regular file`);
    }
    closeSync(writer);
    expect(() => files.read('fifo', 100)).toThrow(/not a regular file/);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it('may be links, and a link to /dev/null is an empty file', () => {
    writeFileSync(join(folder, 'shared'), 'push "route 10.0.0.0"\n');
    symlinkSync('shared', join(folder, 'ann'));
    symlinkSync('/dev/null', join(folder, 'bob'));
    expect(files.read('ann', 100)).toBe('push "route 10.0.0.0"\n');
    expect(files.read('bob', 100)).toBe('');
  });

  it('are read to the bound and not beyond', () => {
    writeFileSync(join(folder, 'full'), 'x'.repeat(100));
    writeFileSync(join(folder, 'big'), 'x'.repeat(101));
    expect(files.read('full', 100)).toHaveLength(100);
    expect(() => files.read('big', 100)).toThrow('cannot read big: it is longer than 100 bytes');
  });

  it('are replaced at one stroke, readable by this user alone', () => {
    files.replace('pool.txt', 'one');
    files.replace('pool.txt', 'two');
    expect(readFileSync(join(folder, 'pool.txt'), 'utf8')).toBe('two');
    expect(statSync(join(folder, 'pool.txt')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['pool.txt']);
  });

  it('that cannot be replaced leave nothing beside them', () => {
    const target = join(folder, 'pool.txt');
    rmSync(target, { force: true });
    expect(() => files.replace('missing/pool.txt', 'text')).toThrow(SallyportError);
    expect(() => files.replace('.', 'text')).toThrow(SallyportError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('for a moment are this user’s alone, and gone when they are removed', () => {
    const path = files.temporary('acf');
    expect(path).toMatch(/openvpn_acf_[0-9a-f]{32}\.tmp$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    files.replace(path, 'secret');
    expect(files.read(path, 100)).toBe('secret');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    files.remove(path);
    files.remove(path);
    expect(readdirSync(folder)).toEqual([]);
  });
});
