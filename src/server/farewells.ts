// Work for clients that nobody waits for while they are there: programs told of their end, connections closed. A server
// that ends waits for it, in bounds.

import { messageOf } from '../error.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';

/** The longest that is waited for it. */
const PATIENCE_MS = 10_000;

export class Farewells {
  readonly #clock: ClockPort;
  readonly #log: Log;
  readonly #works = new Set<Promise<unknown>>();
  readonly #named = new Map<string, Promise<unknown>>();

  constructor(clock: ClockPort, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** What goes wrong in it is written down. `name`: of the client, who waits for it when it comes again. */
  add(work: Promise<unknown>, name?: string): void {
    const noted = work
      .catch((error: unknown) => this.#log(Level.error, messageOf(error)))
      .finally(() => this.#works.delete(noted));
    this.#works.add(noted);
    if (name === undefined) return;
    const all = Promise.all([this.#named.get(name), noted]).then(() => {
      if (this.#named.get(name) === all) this.#named.delete(name);
    });
    this.#named.set(name, all);
  }

  /** Settles when programs have heard of the end of those who had this name. */
  async of(name: string | undefined): Promise<void> {
    if (name !== undefined) await this.#named.get(name);
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
