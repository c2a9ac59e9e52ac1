// Waiting on the clock.

import type { ClockPort } from '../ports.ts';

/** Waits on the clock; ends early, without an error, when the signal comes. */
export function wait(clock: ClockPort, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const stop = (): void => {
      cancel();
      resolve();
    };
    const cancel = clock.at(clock.now().monoMs + milliseconds, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}
