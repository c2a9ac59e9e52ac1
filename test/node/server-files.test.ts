import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
