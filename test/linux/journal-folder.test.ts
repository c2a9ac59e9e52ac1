import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHostJournal } from '../../src/host-journal.ts';
import { createJournalFile, isNetworkGone, processIdentity, readLeftJournals } from '../../src/linux/journal-folder.ts';

let base: string;
let folder: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'sallyport-journal-'));
  chmodSync(base, 0o755);
  folder = join(base, 'journal');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A file of a process that is gone. */
function left(name = '999999999-1.jsonl', mode = 0o600): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  writeFileSync(path, 'text', { mode });
  return path;
}

describe('the folder of journals', () => {
  it('gives what dead processes left, and nothing where there is no folder', () => {
    expect(readLeftJournals(folder)).toEqual({ journals: [], refused: [] });
    left();
    const { journals, refused } = readLeftJournals(folder);
    expect([journals.map(({ text }) => text), refused]).toEqual([['text'], []]);
    journals[0]!.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does not touch the journal of a process that lives', () => {
    createJournalFile(folder, processIdentity()).append('alive', true);
    expect(readdirSync(folder)).toHaveLength(1);
    expect(readLeftJournals(folder)).toEqual({ journals: [], refused: [] });
  });

  it('does not touch a journal that is locked, whatever its name says', () => {
    const file = createJournalFile(folder, { ...processIdentity(), start: '1' });
    expect(readLeftJournals(folder)).toEqual({ journals: [], refused: [] });
    file.remove();
  });

  it('takes a pid with another start time for another process', () => {
    left(`${process.pid}-1.jsonl`);
    expect(readLeftJournals(folder).journals).toHaveLength(1);
  });

  it('takes a process that has ended for dead before its parent has asked for it', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    left(`${child.pid}-${start}.jsonl`);
    expect(readLeftJournals(folder).journals).toHaveLength(0);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readLeftJournals(folder).journals).toHaveLength(1);
  });

  it.each([
    ['a name of its own', () => void left('notes.txt'), 'no name that a journal has'],
    ['rights for others', () => chmodSync(left(), 0o644), 'others have rights'],
    ['too many bytes', () => truncateSync(left(), 9 * 1024 * 1024), 'bytes'],
    ['a second name', () => linkSync(left(), join(base, 'other')), 'no plain file'],
    [
      'a link in its place',
      () => {
        const path = left();
        renameSync(path, join(base, 'moved'));
        symlinkSync(join(base, 'moved'), path);
      },
      'ELOOP',
    ],
    [
      'a folder in its place',
      () => {
        rmSync(left());
        mkdirSync(join(folder, '999999999-1.jsonl'));
      },
      'no plain file',
    ],
  ])('does not read a file with %s', (_title, make, reason) => {
    make();
    const { journals, refused } = readLeftJournals(folder);
    expect(journals).toEqual([]);
    expect(refused.map((each) => each.reason)).toEqual([expect.stringContaining(reason)]);
  });

  it.each([
    ['others may look into it', () => chmodSync(folder, 0o755)],
    ['others may change the one above', () => chmodSync(base, 0o777)],
    [
      'it is a link',
      () => {
        renameSync(folder, join(base, 'real'));
        symlinkSync(join(base, 'real'), folder);
      },
    ],
  ])('is not used where %s', (_title, spoil) => {
    left();
    spoil();
    expect(() => readLeftJournals(folder)).toThrow(folder.slice(0, base.length));
    expect(() => createJournalFile(folder, processIdentity())).toThrow();
  });
});

describe('a network namespace', () => {
  it('is there while a process is in it, and gone when nobody is', () => {
    const { network } = processIdentity();
    expect(network).toMatch(/net:\[\d+\]$/);
    expect(isNetworkGone(network)).toBe(false);
    expect(isNetworkGone('what is this')).toBe(false);
    // In a pid namespace of its own a process can't know.
    const knows = readlinkSync('/proc/self/ns/pid') === 'pid:[4026531836]';
    expect(isNetworkGone('cookie-0-77 net:[1]')).toBe(knows);
  });

  it('is not taken for gone by who can not see where the processes of others are', () => {
    if (process.geteuid?.() !== 0) return;
    process.seteuid?.(12_345);
    try {
      expect(isNetworkGone('cookie-0-77 net:[1]')).toBe(false);
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe('the journal of this process', () => {
  const begin = (id: number) =>
    ({ record: 'begin', id, step: { kind: 'hook', onApply: undefined, onUndo: 'down' } }) as const;

  it('is there once there is something to keep, and gone after the end', () => {
    const journal = createHostJournal({ profile: 'office.ovpn', log: () => {}, folder });
    expect(existsSync(folder)).toBe(false);
    journal.keep(begin(1));
    const [name = ''] = readdirSync(folder);
    const text = readFileSync(join(folder, name), 'utf8');
    expect(
      text
        .split('\n')
        .slice(0, 2)
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { pid: process.pid, profile: 'office.ovpn' },
      { record: 'begin', id: 1 },
    ]);
    journal.end();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('keeps beyond its end what could not be undone', () => {
    const journal = createHostJournal({ profile: 'p', log: () => {}, folder });
    const wanted = { servers: [], searchDomains: [], onlyItsNetworks: false };
    journal.keep({ record: 'begin', id: 1, step: { kind: 'set-dns', device: 'tun0', id: '1', wanted } });
    journal.keep(begin(2));
    journal.keep({ record: 'undone', id: 2 });
    journal.end();
    const [name = ''] = readdirSync(folder);
    expect(readFileSync(join(folder, name), 'utf8')).toContain('{"record":"begin","id":1');
    // Of a process that lives: nobody takes it back from under it.
    expect(readLeftJournals(folder).journals).toEqual([]);
    const next = createHostJournal({ profile: 'p', log: () => {}, folder });
    next.keep(begin(1));
    expect(readdirSync(folder)).toHaveLength(2);
    next.end();
  });

  it('does not grow with what is done and undone', () => {
    const journal = createHostJournal({ profile: 'p', log: () => {}, folder });
    journal.keep(begin(1));
    for (let id = 2; id < 12_000; id++) {
      journal.keep(begin(id));
      journal.keep({ record: 'undone', id });
    }
    const [name = ''] = readdirSync(folder);
    const lines = readFileSync(join(folder, name), 'utf8').split('\n');
    expect(lines.length).toBeLessThan(6000);
    expect(lines[1]).toContain('"id":1');
    journal.keep({ record: 'undone', id: 1 });
    expect(readFileSync(join(folder, name), 'utf8').split('\n')).toHaveLength(2);
    journal.end();
  });

  it('says once that it can’t be written, and goes on', () => {
    writeFileSync(folder, 'no folder');
    const log: string[] = [];
    const journal = createHostJournal({ profile: 'p', log: (_flags, text) => log.push(text), folder });
    journal.keep(begin(1));
    journal.keep(begin(2));
    journal.end();
    expect(log).toEqual([expect.stringMatching(/^WARNING: cannot write down in .*not if this process is killed$/)]);
  });
});
