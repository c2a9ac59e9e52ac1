// A clock that stands still until a test lets time pass, and knows who still waits on it.

import type { ClockPort, Instants } from '../../src/ports.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
  /** The program's own wait, not something that happens around it. */
  readonly own: boolean;
}

export class VirtualClock implements ClockPort {
  nowMs = 1_000_000;
  readonly #timers = new Set<Timer>();

  now(): Instants {
    return { monoMs: this.nowMs, unixSeconds: 1_800_000_000 + Math.floor(this.nowMs / 1000) };
  }

  at(atMs: number, callback: () => void): () => void {
    return this.#add({ atMs, callback, own: true });
  }

  /** Something that happens in the world around the program: a packet that arrives, another program's timer. */
  happens(atMs: number, callback: () => void): () => void {
    return this.#add({ atMs, callback, own: false });
  }

  /** How many calls back the program still waits for. */
  get waiting(): number {
    return [...this.#timers].filter(({ own }) => own).length;
  }

  nextMs(): number | undefined {
    return this.#first()?.atMs;
  }

  /** Calls back the one that is due first, at its time; false when none is due by `limitMs`. */
  step(limitMs: number): boolean {
    const first = this.#first();
    if (first === undefined || first.atMs > limitMs) return false;
    this.nowMs = Math.max(this.nowMs, first.atMs);
    this.#timers.delete(first);
    first.callback();
    return true;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.atMs < first.atMs) first = timer;
    return first;
  }
}
