// How much of this machine's processors nobody uses, of those that the process may run on. Read from files that stay open, so
// that it goes on in a changed root and without privileges.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** The unit of /proc/stat on every architecture that Node runs on. */
const TICK_MS = 10;
const STAT_BYTES_MAX = 65_536;
/** An older look says nothing of now. */
const STALE_MS = 2_000;

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
  /** How many processors' worth of time nobody has used since the last look; undefined at the first one and after a long pause. */
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
  let last: { readonly nowMs: number; readonly idleMs: number } | undefined;
  return {
    look(nowMs) {
      const length = readSync(fd, bytes, 0, bytes.length, 0);
      const before = last;
      last = { nowMs, idleMs: idleMs(bytes.toString('latin1', 0, length), allowed) };
      const passedMs = nowMs - (before?.nowMs ?? Number.NEGATIVE_INFINITY);
      return before === undefined || passedMs > STALE_MS ? undefined : (last.idleMs - before.idleMs) / passedMs;
    },
    close: () => closeSync(fd),
  };
}
