import { expect, it } from 'vitest';
import { HeldFiles } from '../../src/node/held-files.ts';

const failing = (code: string) => Object.assign(new Error(code), { code });

function filesOf(content: Map<string, Uint8Array | Error>): HeldFiles {
  return new HeldFiles((path) => {
    const found = content.get(path) ?? failing('ENOENT');
    if (found instanceof Error) throw found;
    return found;
  });
}

it('a file that may not be read any more is what it was, and is named', () => {
  const content = new Map<string, Uint8Array | Error>([['key', Uint8Array.of(1, 2)]]);
  const files = filesOf(content);
  // Who is given the bytes may wipe them.
  files.read('key').fill(0);
  content.set('key', failing('EACCES'));
  expect([...files.read('key')]).toEqual([1, 2]);
  files.read('key').fill(0);
  expect([...files.read('key')]).toEqual([1, 2]);
  expect(files.withheld).toEqual(['key']);
  content.set('key', Uint8Array.of(3));
  expect([...files.read('key')]).toEqual([3]);
  expect(files.withheld).toEqual([]);
});

it('one that is gone, or was never read, is missed', () => {
  const content = new Map<string, Uint8Array | Error>([['key', Uint8Array.of(1)]]);
  const files = filesOf(content);
  files.read('key');
  content.set('key', failing('ENOENT'));
  expect(() => files.read('key')).toThrow('ENOENT');
  content.set('other', failing('EACCES'));
  expect(() => files.read('other')).toThrow('EACCES');
  expect(files.withheld).toEqual([]);
});
