// The lane of programs that clients cause: few at once, the others in order. Programs that follow from what the server
// itself does (client-disconnect, learn-address) don't stand in it.

import type { ClockPort } from '../ports.ts';
import type { ScriptPort } from '../tunnel/ports.ts';

type RunResult = Awaited<ReturnType<ScriptPort['run']>>;

/** A program without a place yet. */
interface Waiting {
  /** It has a place now, or is to have none any more. */
  settle(place: boolean): void;
}

/**
 * A handshake is all that it takes to start a program, so strangers would choose how many processes there are. The C
 * program runs one at a time; so many keep a machine busy where programs wait for a directory or a database, and are few
 * enough for a small one.
 */
export const PROGRAMS_AT_ONCE = 16;

export class ProgramLane {
  readonly #waiting = new Set<Waiting>();
  #running = 0;
  #stopper = new AbortController();

  /** Aborts when programs are stopped whose answer nobody waits for any more. */
  get signal(): AbortSignal {
    return this.#stopper.signal;
  }

  /**
   * Runs a program once there is a place; the wait is part of its time. undefined: it was not started, because it had no
   * time left, `gone` aborted or the lane was stopped before.
   */
  async run(
    program: (timeoutMs: number, signal: AbortSignal) => Promise<RunResult>,
    { timeoutMs, clock, gone }: { readonly timeoutMs: number; readonly clock: ClockPort; readonly gone?: AbortSignal },
  ): Promise<RunResult | undefined> {
    const endMs = clock.now().monoMs + timeoutMs;
    const { signal } = this.#stopper;
    if (gone?.aborted === true) return undefined;
    if (this.#running < PROGRAMS_AT_ONCE) this.#running++;
    else if (!(await this.#place(endMs, clock, gone))) return undefined;
    try {
      const leftMs = endMs - clock.now().monoMs;
      return leftMs <= 0 || signal.aborted ? undefined : await program(leftMs, signal);
    } finally {
      this.#release();
    }
  }

  /** Ends those that run and those that wait. What comes later is run again. */
  stop(): void {
    this.#stopper.abort();
    this.#stopper = new AbortController();
    for (const each of [...this.#waiting]) each.settle(false);
  }

  #place(endMs: number, clock: ClockPort, gone: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (): void => waiting.settle(false);
      const waiting: Waiting = {
        settle: (place) => {
          this.#waiting.delete(waiting);
          gone?.removeEventListener('abort', leave);
          cancel();
          resolve(place);
        },
      };
      this.#waiting.add(waiting);
      gone?.addEventListener('abort', leave, { once: true });
      const cancel = clock.at(endMs, leave);
    });
  }

  /** A place goes on to the one that has waited longest. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#running--;
    else next.settle(true);
  }
}
