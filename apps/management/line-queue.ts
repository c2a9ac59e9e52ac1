// Lines of a management client, one after another: while an answer is made that takes time, those behind it wait. Pure.

import type { ReadLine } from './line-reader.ts';

/** Lines that may wait; who sends more does not read answers. */
const MOST_LINES = 4096;

export class LineQueue {
  readonly #take: (line: ReadLine) => Promise<unknown> | undefined;
  #waiting: ReadLine[] = [];
  #busy: Promise<unknown> | undefined;

  /** `take` gives what is to be waited for, if anything. */
  constructor(take: (line: ReadLine) => Promise<unknown> | undefined) {
    this.#take = take;
  }

  /** False: too many wait. */
  push(line: ReadLine): boolean {
    if (this.#waiting.length >= MOST_LINES) return false;
    this.#waiting.push(line);
    this.#run();
    return true;
  }

  /** The client is gone: nobody hears answers to what it said. */
  clear(): void {
    this.#waiting = [];
    this.#busy = undefined;
  }

  #run(): void {
    while (this.#busy === undefined) {
      const line = this.#waiting.shift();
      if (line === undefined) return;
      const busy = this.#take(line);
      if (busy === undefined) continue;
      this.#busy = busy;
      const next = (): void => {
        if (this.#busy !== busy) return;
        this.#busy = undefined;
        this.#run();
      };
      busy.then(next, next);
    }
  }
}
