// The two clocks. Monotonic time comes from process.hrtime, which stands still while the machine sleeps; the kernel's
// uptime does not, and the difference is added.

import { uptime } from 'node:os';
import type { ClockPort } from '../client/ports.ts';

/** A timer never sleeps longer than this in one piece: after a suspend it finds out, and setTimeout ends at 2^31 ms. */
const LONGEST_SLEEP_MS = 30_000;
/** How often the uptime is looked at, and how much it must be ahead to count as a suspend (its steps are 10 ms). */
const UPTIME_CHECK_MS = 1_000;
const SUSPEND_MS = 500;

export interface ClockSources {
  readonly monotonicMs: () => number;
  readonly uptimeMs: () => number;
  readonly unixMs: () => number;
}

const systemSources: ClockSources = {
  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  uptimeMs: () => uptime() * 1000,
  unixMs: () => Date.now(),
};

/** The clock of a client. `sources` are for tests. */
export function createNodeClock(sources: ClockSources = systemSources): ClockPort {
  const startGap = sources.uptimeMs() - sources.monotonicMs();
  let suspendedMs = 0;
  let checkedAt = sources.monotonicMs();

  const monoMs = (): number => {
    const running = sources.monotonicMs();
    if (running - checkedAt >= UPTIME_CHECK_MS) {
      checkedAt = running;
      const slept = sources.uptimeMs() - running - startGap;
      if (slept > suspendedMs + SUSPEND_MS) suspendedMs = slept;
    }
    return running + suspendedMs;
  };

  return {
    now: () => ({ monoMs: monoMs(), unixSeconds: Math.floor(sources.unixMs() / 1000) }),
    at(atMs, callback) {
      let timer: NodeJS.Timeout | undefined;
      const wait = (): void => {
        const remaining = atMs - monoMs();
        timer = setTimeout(wake, Math.max(0, Math.min(Math.ceil(remaining), LONGEST_SLEEP_MS)));
      };
      const wake = (): void => {
        if (monoMs() < atMs) wait();
        else callback();
      };
      wait();
      return () => clearTimeout(timer);
    },
  };
}
