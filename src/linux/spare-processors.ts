// How much of this machine's processors nobody uses, of those that the process could run on at the start. /proc/stat stays open,
// so that it can be read in a changed root and without privileges. What a control group allows is not in it.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** The unit of /proc/stat on every architecture that Node runs on. */
const TICK_MS = 10;
const STAT_BYTES_MAX = 65_536;
/** Between two looks that are to be compared. */
const SHORTEST_MS = 200;
const LONGEST_MS = 2_000;

/** Idle milliseconds since the start of the machine, of the processors that `allowed` has (all when undefined), as /proc/stat says. */
export function idleMs(stat: string, allowed: ReadonlySet<number> | undefined): number {
  let ticks = 0;
  for (const [, cpu, times] of stat.matchAll(/^cpu(\d+) (.*)$/gm)) {
    // user, nice, system, idle, iowait …
    const [, , , idle = 0, iowait = 0] = times!.split(' ').map(Number);
    if (allowed?.has(Number(cpu)) !== false) ticks += idle + iowait;
  }
  return ticks * TICK_MS;
}

/** The processors that /proc/self/status says this process may run on ("0-3,8"); undefined where it does not say. */
export function allowedProcessors(status: string): ReadonlySet<number> | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
  if (list === undefined) return undefined;
  return new Set(
    list.split(',').flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    }),
  );
}

export interface SpareProcessors {
  /**
   * How many processors' worth of time nobody has used since the last look; undefined at the first one, after a long pause, and so
   * soon after the last that the ticks which the system counts in say nothing.
   */
  look(nowMs: number): number | undefined;
  close(): void;
}

/** Looks at this machine's; undefined where it does not tell. */
export function openSpareProcessors(): SpareProcessors | undefined {
  const bytes = Buffer.alloc(STAT_BYTES_MAX);
  let fd: number;
  let allowed: ReadonlySet<number> | undefined;
  try {
    allowed = allowedProcessors(readFileSync('/proc/self/status', 'utf8'));
    fd = openSync('/proc/stat', 'r');
  } catch {
    return undefined;
  }
  const readIdle = (): number | undefined => {
    try {
      return idleMs(bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)), allowed);
    } catch {
      return undefined;
    }
  };
  return { look: looker(readIdle), close: () => closeSync(fd) };
}

/** The `look` of what reads the idle time; undefined is what it can't read. */
export function looker(readIdle: () => number | undefined): SpareProcessors['look'] {
  let last: { readonly nowMs: number; readonly idleMs: number } | undefined;
  return (nowMs) => {
    const passedMs = nowMs - (last?.nowMs ?? Number.NEGATIVE_INFINITY);
    if (passedMs < SHORTEST_MS) return undefined;
    const before = last;
    const idle = readIdle();
    last = idle === undefined ? undefined : { nowMs, idleMs: idle };
    if (before === undefined || idle === undefined || passedMs > LONGEST_MS) return undefined;
    return (idle - before.idleMs) / passedMs;
  };
}
