import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/index.ts';
import { readCredentialsFile } from '../../src/node/credentials-file.ts';
import { readSource } from '../../src/node/material-source.ts';
import { FileRefusal, readBoundedFile } from '../../src/node/read-file.ts';
import { nodeMaterialFiles } from '../../src/node/tls-material.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-read-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const file = (name: string, length: number): string => {
  const path = join(dir, name);
  writeFileSync(path, 'x'.repeat(length));
  return path;
};

/** A FIFO with a writer that puts `length` bytes into it, a few at a time. */
async function fifo<T>(name: string, length: number, use: (path: string) => T): Promise<T> {
  const path = join(dir, name);
  execFileSync('mkfifo', [path]);
  const writer = spawn('dd', ['if=/dev/zero', `of=${path}`, 'bs=100', `count=${length / 100}`], { stdio: 'ignore' });
  const ended = once(writer, 'exit');
  try {
    return use(path);
  } finally {
    await ended;
  }
}

describe('a file that somebody else named', () => {
  it.each([0, 1, 999, 1000])('of %i bytes is read up to a bound of 1000', (length) => {
    expect(readBoundedFile(file('some', length), 1000).toString()).toBe('x'.repeat(length));
  });

  it('is refused a byte beyond the bound', () => {
    expect(() => readBoundedFile(file('long', 1001), 1000)).toThrow(new FileRefusal('it is longer than 1000 bytes'));
  });

  it('may be larger than what is read at once', () => {
    expect(readBoundedFile(file('large', 300_000), 1 << 20)).toHaveLength(300_000);
  });

  it('may be a FIFO, which has the same bound', async () => {
    expect(await fifo('short', 200_000, (path) => readBoundedFile(path, 200_000).length)).toBe(200_000);
    await expect(fifo('long-fifo', 200_100, (path) => readBoundedFile(path, 200_000))).rejects.toThrow(FileRefusal);
  });

  it('may be a FIFO whose writer comes late and pauses', () => {
    const path = join(dir, 'late');
    execFileSync('mkfifo', [path]);
    spawn('sh', ['-c', `sleep 0.2; (printf one; sleep 0.2; printf two) > '${path}'`], { stdio: 'ignore' });
    expect(readBoundedFile(path, 1000).toString()).toBe('onetwo');
  });

  it('that is a FIFO without a writer is empty, and one whose writer says nothing is refused, both in bounded time', () => {
    const path = join(dir, 'silent');
    execFileSync('mkfifo', [path]);
    const patience = { noWriterMs: 100, silentMs: 100 };
    expect(readBoundedFile(path, 1000, patience)).toHaveLength(0);
    // Opened for both, a FIFO has a writer.
    const writer = openSync(path, 'r+');
    expect(() => readBoundedFile(path, 1000, patience)).toThrow(
      new FileRefusal('nothing has come from it for 0.1 seconds'),
    );
    closeSync(writer);
  });

  it('has the bound also where its length is told as zero', () => {
    expect(() => readBoundedFile('/proc/self/status', 10)).toThrow('it is longer than 10 bytes');
  });

  it('is refused when it is a device without an end, and the null device is an empty file', () => {
    expect(() => readBoundedFile('/dev/zero', 1000)).toThrow(new FileRefusal('it is a device, not a file'));
    expect(() => readBoundedFile('/dev/urandom', 1000)).toThrow(FileRefusal);
    expect(readBoundedFile('/dev/null', 1000)).toHaveLength(0);
  });

  it('keeps the errors of the system', () => {
    expect(() => readBoundedFile(join(dir, 'missing'), 10)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => readBoundedFile(dir, 10)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
  });
});

describe('a device that a profile names', () => {
  it('is refused as a certificate, with option and line', () => {
    const source = { kind: 'file', path: '/dev/zero', origin: { file: 'a.ovpn', line: 3 } } as const;
    expect(() => readSource('ca', 'Cannot load CA certificate file /dev/zero', source, nodeMaterialFiles)).toThrow(
      'Cannot load CA certificate file /dev/zero: it is a device, not a file (ca, a.ovpn:3)',
    );
  });

  it('is refused as a file of credentials', () => {
    expect(() => readCredentialsFile('/dev/zero', 'Auth', () => {})).toThrow(
      "Error opening 'Auth' auth file: /dev/zero (it is a device, not a file)",
    );
  });

  it('is refused as a file that a library profile includes', async () => {
    await expect(connect('client\nremote a\nconfig /dev/zero\n')).rejects.toThrow(
      'Error opening configuration file: /dev/zero: it is a device, not a file',
    );
  });
});
