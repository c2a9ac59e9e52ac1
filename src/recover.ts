// Puts right what processes left on this host that were killed: for `sallyport recover`, and before every start.

import { messageOf } from './error.ts';
import { systemDns } from './host-dns.ts';
import { lockFolder } from './linux/folder-lock.ts';
import {
  isNetworkGone,
  JOURNAL_FOLDER,
  type LeftJournal,
  type ProcessIdentity,
  processIdentity,
  readLeftJournals,
} from './linux/journal-folder.ts';
import { createNetlinkPort } from './linux/netlink.ts';
import { Level, type Log } from './log.ts';
import { type JournalOwner, parseJournal } from './tunnel/journal-text.ts';
import { type Recovered, recoverSteps } from './tunnel/recover-steps.ts';

/** What one dead process left. */
export interface RecoveredProcess {
  readonly pid: number;
  readonly profile: string;
  readonly changes: readonly Recovered[];
}

export interface Recovery {
  readonly processes: readonly RecoveredProcess[];
  /** Journals of other network namespaces: whoever recovers there finds them. */
  readonly elsewhere: number;
  /** What could not be read or locked, as sentences. */
  readonly problems: readonly string[];
}

const LOCK_WAIT_MS = 5000;
const DAMAGED = 'it is damaged, and goes; look at routes and name servers yourself';

/** Looks at what dead processes left, and undoes what is still theirs. Never rejects. */
export async function recoverHost(options: { readonly dryRun: boolean; readonly folder?: string }): Promise<Recovery> {
  const { dryRun, folder = JOURNAL_FOLDER } = options;
  const problems: string[] = [];
  try {
    const { journals, refused } = readLeftJournals(folder);
    if (journals.length === 0) return { processes: [], elsewhere: 0, problems: refused.map(refusal(folder)) };
    const unlock = await lockFolder(folder, LOCK_WAIT_MS);
    if (unlock === undefined) {
      return { processes: [], elsewhere: 0, problems: [`somebody else recovers in ${folder} right now`] };
    }
    try {
      // Whoever had the lock before may have dealt with some of them.
      const now = readLeftJournals(folder);
      problems.push(...now.refused.map(refusal(folder)));
      for (const { name, text } of now.journals) {
        if (text !== '' && parseJournal(text) === undefined) problems.push(refusal(folder)({ name, reason: DAMAGED }));
      }
      return { ...(await recoverAll(now.journals, dryRun)), problems };
    } finally {
      unlock();
    }
  } catch (error) {
    return { processes: [], elsewhere: 0, problems: [...problems, messageOf(error)] };
  }
}

const refusal =
  (folder: string) =>
  ({ name, reason }: { name: string; reason: string }): string =>
    `${folder}/${name.replace(/[^\x20-\x7e]/g, '?')} is not read: ${reason}`;

async function recoverAll(journals: readonly LeftJournal[], dryRun: boolean): Promise<Omit<Recovery, 'problems'>> {
  const processes: RecoveredProcess[] = [];
  let elsewhere = 0;
  const here = processIdentity();
  const network = createNetlinkPort();
  const dns = systemDns('auto');
  try {
    for (const left of journals) {
      const journal = parseJournal(left.text);
      const place = journal === undefined ? 'here' : placeOf(journal.owner, here);
      const where = { sameBoot: place !== 'earlier boot', sameNetwork: place === 'here' || place === 'earlier boot' };
      const changes = journal === undefined ? [] : await recoverSteps(journal, { network, dns, ...where, dryRun });
      if (journal !== undefined && changes.length > 0) {
        processes.push({ pid: journal.owner.pid, profile: journal.owner.profile, changes });
      }
      if (place === 'elsewhere') elsewhere++;
      // What the host refused may be had at the next try.
      else if (!dryRun && !changes.some(({ result }) => result === 'failed')) left.remove();
    }
  } finally {
    network.close();
  }
  return { processes, elsewhere };
}

/** Whose devices and routes a journal tells of. `gone`: nobody's any more, as of a container that has been started again. */
function placeOf(owner: JournalOwner, here: ProcessIdentity): 'here' | 'elsewhere' | 'gone' | 'earlier boot' {
  if (owner.boot !== here.boot) return 'earlier boot';
  if (owner.network === here.network) return 'here';
  return isNetworkGone(owner.network) ? 'gone' : 'elsewhere';
}

/** One change as a line for people. */
export function recoveredLine(change: Recovered): string {
  if (change.result === 'restored') return change.text;
  return change.result === 'left'
    ? `${change.text}: ${change.reason}`
    : `could not do this: ${change.text} (${change.reason})`;
}

/** The recovery before a start: in the log, where there was something to do. Only for who may change the host at all. */
export async function recoverBeforeStart(log: Log): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { processes, problems } = await recoverHost({ dryRun: false });
  for (const { pid, profile, changes } of processes) {
    for (const change of changes) {
      const level = change.result === 'failed' ? Level.warning : Level.info;
      log(level, `NOTE: after process ${pid} (${profile}), which was killed: ${recoveredLine(change)}`);
    }
  }
  for (const problem of problems) log(Level.warning, `WARNING: recovery: ${problem}`);
}
