// The journal of this process on disk: what it is about to change on the host is written down before, so that the next
// start or `sallyport recover` can take back what a killed process left.

import { messageOf } from './error.ts';
import { createJournalFile, JOURNAL_FOLDER, type JournalFile, processIdentity } from './linux/journal-folder.ts';
import { Level, type Log } from './log.ts';
import type { JournalRecord } from './tunnel/journal.ts';
import { writeHeader, writeRecord } from './tunnel/journal-text.ts';
import type { TunnelStep } from './tunnel/step.ts';

/** What is undone takes its place in the file until so much of it is there. */
const COMPACT_BYTES = 256 * 1024;

/** Files that could not be removed, for rights were given up: the next run of this process goes on in them. */
const spare: JournalFile[] = [];

export interface HostJournal {
  /** Keeps a record before its step is done. Never throws: what can't be kept is told once, and the tunnel goes on. */
  keep(record: JournalRecord): void;
  /** The file goes; what could not be undone stays in it for the next start. */
  end(): void;
}

/** Nothing is opened before there is a record to keep, which is before rights are given up. */
export function createHostJournal(options: {
  readonly profile: string;
  readonly log: Log;
  readonly folder?: string;
}): HostJournal {
  const { profile, log, folder = JOURNAL_FOLDER } = options;
  const standing = new Map<number, string>();
  /** Those of them that the host wants back. */
  const taken = new Set<number>();
  let header = '';
  let file: JournalFile | undefined;
  let broken = false;
  let compactedBytes = 0;

  function open(): JournalFile {
    const identity = processIdentity();
    header = writeHeader({ ...identity, profile });
    const opened = spare.pop() ?? createJournalFile(folder, identity);
    try {
      opened.append(header, true);
    } catch (error) {
      opened.remove();
      throw error;
    }
    return opened;
  }

  function write(record: JournalRecord): void {
    if (file === undefined && record.record !== 'begin') return;
    const text = writeRecord(record);
    const stands = record.record === 'begin' || ['changed', 'opened', 'dns'].includes(outcomeOf(record));
    if (stands) standing.set(record.id, (standing.get(record.id) ?? '') + text);
    else standing.delete(record.id);
    if (record.record === 'begin' && isTaken(record.step)) taken.add(record.id);
    else if (!stands) taken.delete(record.id);
    file ??= open();
    if (standing.size === 0) file.rewrite(header);
    else if (file.sizeBytes > COMPACT_BYTES + compactedBytes) {
      file.rewrite(header + [...standing.values()].join(''));
      compactedBytes = file.sizeBytes;
    } else file.append(text, outlivesBoot(record));
  }

  return {
    keep(record) {
      if (broken) return;
      try {
        write(record);
      } catch (error) {
        broken = true;
        // Whoever is not root changes little of a host, and has no place to write it down.
        const level = process.geteuid?.() === 0 ? Level.warning : Level.low;
        log(
          level,
          `WARNING: cannot write down in ${folder} what changes on this host (${messageOf(error)}): it is put back at the end, but not if this process is killed`,
        );
      }
    },
    end() {
      if (file === undefined) return;
      try {
        if (taken.size > 0 && !broken) file.close();
        else if (!file.remove() && !broken) spare.push(file);
      } catch {
        // The next start finds nothing of it on the host, and removes it.
      }
      file = undefined;
      standing.clear();
      taken.clear();
    },
  };
}

/** Steps in which something of the host's own is taken from it. All else is only added, and mostly goes with the device. */
const isTaken = ({ kind }: TunnelStep): boolean => kind === 'set-dns' || kind === 'remove-route';

const outcomeOf = (record: JournalRecord): string => (record.record === 'end' ? record.outcome.result : '');

/** What the kernel holds is gone after a loss of power, and so may be what was written about it; a file is not. */
const outlivesBoot = (record: JournalRecord): boolean => {
  if (record.record === 'end') return record.outcome.result === 'dns';
  return record.record === 'begin' && record.step.kind === 'set-dns';
};
