import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  parseInlineCredentials,
  readCredentialsFile,
  readPasswordFile,
  warnIfAccessible,
} from '../../src/node/credentials-file.ts';
import { formatBatches, formatStatus, openStatusFile } from '../../src/node/status-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function put(name: string, text: string, mode = 0o600): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('the status file', () => {
  const counters = { deviceReadBytes: 1, deviceWriteBytes: 2, linkReadBytes: 3, linkWriteBytes: 4, authReadBytes: 5 };

  it("has the C program's lines", () => {
    const lines = formatStatus(counters, 1_795_435_200);
    expect(lines[1]).toMatch(/^Updated,2026-11-\d\d \d\d:\d\d:\d\d$/);
    expect([...lines.slice(0, 1), ...lines.slice(2)]).toEqual([
      'OpenVPN STATISTICS',
      'TUN/TAP read bytes,1',
      'TUN/TAP write bytes,2',
      'TCP/UDP read bytes,3',
      'TCP/UDP write bytes,4',
      'Auth read bytes,5',
      'END',
    ]);
  });

  it('says how many packets went with one call', () => {
    const calls = { deviceReadCalls: 10, deviceWriteCalls: 4, linkReadCalls: 0, linkWriteCalls: 5 };
    const packets = { deviceReadPackets: 25, deviceWritePackets: 4, linkReadPackets: 0, linkWritePackets: 100 };
    const line =
      'Data path, packets in calls: TUN/TAP read 25 in 10 (2.5), TUN/TAP write 4 in 4 (1.0), ' +
      'TCP/UDP read 0 in 0, TCP/UDP write 100 in 5 (20.0)';
    expect(formatBatches({ ...calls, ...packets })).toEqual([line]);
    const workers = [{ ...calls, ...packets }];
    expect(formatBatches({ ...calls, ...packets, workers })).toEqual([
      line,
      line.replace('Data path', 'Data path of worker 0'),
    ]);
  });

  it('is written in place, and shorter content leaves nothing of longer', () => {
    const path = join(dir, 'status');
    const file = openStatusFile(path, () => {});
    const inode = statSync(path).ino;
    expect(file?.write(['a long first line', 'b'])).toBe(true);
    expect(file?.write(['c'])).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('c\n');
    expect(statSync(path).ino).toBe(inode);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    file?.close();
  });

  it('that can not be opened warns, and a full disk is no exception', () => {
    const warnings: string[] = [];
    expect(openStatusFile(join(dir, 'no', 'where'), (text) => warnings.push(text))).toBeUndefined();
    expect(warnings).toEqual([`Note: cannot open ${join(dir, 'no', 'where')} for WRITE`]);
    expect(openStatusFile('/dev/full', () => {})?.write(['x'])).toBe(false);
  });
});

describe('credentials files', () => {
  const silent = (): void => {};

  it.each([
    ['user\npass\n', 'user', 'pass'],
    ['user\r\npass\r\n', 'user', 'pass'],
    ['user\npass', 'user', 'pass'],
    ['user', 'user', undefined],
    ['user\n\n', 'user', undefined],
    ['us er\n pa ss \nmore\n', 'us er', ' pa ss '],
    ['\ufeffuser\npäss\n', 'user', 'päss'],
  ])('%j gives user %j and password %j', (text, username, password) => {
    expect(readCredentialsFile(put('auth', text), 'Auth', silent)).toEqual({ username, password });
  });

  it("are refused in the C program's words when there is nothing in them", () => {
    expect(() => readCredentialsFile(put('empty', ''), 'Auth', silent)).toThrow(
      'Error reading username from Auth authfile: ',
    );
    expect(() => readCredentialsFile(put('blank', '\npass\n'), 'Auth', silent)).toThrow(
      /ERROR: username from Auth authfile '.*blank' is empty/,
    );
    expect(() => readCredentialsFile(join(dir, 'missing'), 'Auth', silent)).toThrow(
      /Error opening 'Auth' auth file: .*ENOENT/,
    );
    expect(() => readPasswordFile(put('nopass', '\n'), 'Private Key', silent)).toThrow(
      /Error reading password from Private Key authfile/,
    );
  });

  it('give a lone password for askpass, and inline blocks are the same', () => {
    expect(readPasswordFile(put('pass', 'sécret\n'), 'Private Key', silent)).toBe('sécret');
    expect(parseInlineCredentials('user\npass\n', 'Auth')).toEqual({ username: 'user', password: 'pass' });
  });

  it('warn when others may read them, and only then', () => {
    const warnings: string[] = [];
    const warn = (text: string): void => {
      warnings.push(text);
    };
    const open = put('open', 'user\npass\n', 0o640);
    readCredentialsFile(open, 'Auth', warn);
    readCredentialsFile(put('closed', 'user\npass\n', 0o600), 'Auth', warn);
    warnIfAccessible(dir, warn);
    expect(warnings).toEqual([`WARNING: file '${open}' is group or others accessible`]);
  });
});
