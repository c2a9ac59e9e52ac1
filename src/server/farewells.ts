// Work for clients that nobody waits for while they are there: programs told of their end, connections closed. A server
// that ends waits for it, in bounds.

import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';

/** The longest that is waited for it. */
const PATIENCE_MS = 10_000;

export class Farewells {
  readonly #clock: ClockPort;
  readonly #log: Log;
  readonly #works = new Set<Promise<unknown>>();

  constructor(clock: ClockPort, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** What goes wrong in it is written down. */
  add(work: Promise<unknown>): void {
    const noted = work
      .catch((error: unknown) => this.#log(Level.error, error instanceof Error ? error.message : String(error)))
      .finally(() => this.#works.delete(noted));
    this.#works.add(noted);
  }

  /** Settles when all of it is done, or has taken too long. */
  async wait(): Promise<void> {
    let cancel = (): void => {};
    const patience = new Promise<void>((resolve) => {
      cancel = this.#clock.at(this.#clock.now().monoMs + PATIENCE_MS, resolve);
    });
    await Promise.race([Promise.allSettled(this.#works), patience]);
    cancel();
  }
}
