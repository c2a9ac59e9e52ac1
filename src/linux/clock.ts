// The monotonic clock of the process. CLOCK_BOOTTIME, because the clocks that Node offers (performance.now, hrtime) stop
// while the machine sleeps: after an hour of suspend a tunnel must know that its peer has been silent for an hour. One
// reading costs 0.1 µs. Both threads of the worker plane read the same clock.

import type { ClockPort } from '../ports.ts';
import { libc, nativeBytes } from './libc.ts';

const CLOCK_BOOTTIME = 7;
// Timers stop in suspend too, so no sleep is longer than this; a deadline that passed meanwhile is met that late at most.
const LONGEST_SLEEP_MS = 60_000;

let timespec: ReturnType<typeof nativeBytes> | undefined;

/** Milliseconds since boot, suspend included, with fractions. */
export function bootMs(): number {
  timespec ??= nativeBytes(64);
  libc.clockGettime(CLOCK_BOOTTIME, timespec.address);
  // tv_sec i64 | tv_nsec i64, little-endian; seconds since boot fit 32 bits for 136 years
  return timespec.view.getUint32(0, true) * 1000 + timespec.view.getUint32(8, true) / 1e6;
}

/** The clock port on CLOCK_BOOTTIME. A timer that is set keeps the process alive, as a session under way should. */
export function createBootClock(): ClockPort {
  return {
    now: () => ({ monoMs: bootMs(), unixSeconds: Math.floor(Date.now() / 1000) }),
    at(atMs, callback) {
      let timer: NodeJS.Timeout;
      const sleep = () => {
        const leftMs = atMs - bootMs();
        timer = setTimeout(leftMs > LONGEST_SLEEP_MS ? sleep : fire, Math.max(0, Math.min(leftMs, LONGEST_SLEEP_MS)));
      };
      const fire = () => (bootMs() < atMs ? sleep() : callback());
      sleep();
      return () => clearTimeout(timer);
    },
  };
}
