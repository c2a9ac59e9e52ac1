// The life of one attempt, whatever it attempts: work on the host that has to be waited for, the exit notice, and the one
// signal that it ends with.

import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import { endOfFailedWork } from './attempt-end.ts';
import { type ClientSignal, softExit } from './signal.ts';

const NOTICE_INTERVAL_MS = 1000;

/** How a peer is told that this side goes. */
export interface ExitNotice {
  /** How many seconds it is told for, `explicit-exit-notify`; 0: not at all. */
  readonly times: number;
  /** Whether once is enough: the control channel carries it reliably, the data channel does not. */
  readonly reliable: boolean;
  send(): void;
}

export class AttemptLife {
  /** Settles once, with the signal that ends the attempt. Never rejects. */
  readonly ended: Promise<ClientSignal>;
  readonly #clock: ClockPort;
  readonly #log: Log;
  readonly #aborter = new AbortController();
  readonly #hostWork = new Set<Promise<void>>();
  #settle: (signal: ClientSignal) => void = () => {};
  #over = false;
  /** The exit notice is being said. */
  #leaving = false;
  /** The end that is coming. */
  #cancel = (): void => {};

  constructor(clock: ClockPort, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Aborts when the attempt is over: what has not been begun need not be. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Work on the host, scripts among it: it can't be stopped half-way, so whoever closes waits for `hostSettled`. Its failure ends the attempt. */
  onHost(work: Promise<void>): void {
    this.#hostWork.add(work);
    const done = (): boolean => this.#hostWork.delete(work);
    work.then(done, done);
    this.background(work);
  }

  /** Work that goes on while the session is driven; its failure ends the attempt. */
  background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#over) this.end(endOfFailedWork(error, this.#log));
    });
  }

  /** Ends on a signal from outside: at once, or after the notice where there is one to give. A second exit does not wait. */
  stop(signal: ClientSignal, notice: ExitNotice): void {
    if (this.#over) return;
    const exits = signal.name === 'SIGTERM' || signal.name === 'SIGINT';
    if (!exits || notice.times === 0 || this.#leaving) {
      this.end(signal);
      return;
    }
    this.#leaving = true;
    this.#log(Level.info, 'SIGTERM received, sending exit notification to peer');
    notice.send();
    this.#leave(notice, notice.times - 1);
  }

  /** Ends after this time: what is said until then still goes out. */
  endAfter(ms: number, signal: ClientSignal): void {
    this.#after(ms, () => this.end(signal));
  }

  end(signal: ClientSignal): void {
    if (this.#over) return;
    this.abandon();
    if (this.#leaving && signal.name === 'SIGUSR1') {
      this.#log(Level.info, 'Converting soft SIGUSR1 received during exit notification to SIGTERM');
      this.#settle(softExit('exit-with-notification'));
      return;
    }
    this.#settle(signal);
  }

  /** Over without a signal, where it was not over yet: the connection that it belongs to is closed. */
  abandon(): void {
    this.#over = true;
    this.#cancel();
    this.#aborter.abort();
  }

  /** Resolves when nothing is being done to the host any more. */
  async hostSettled(): Promise<void> {
    await Promise.allSettled(this.#hostWork);
  }

  #leave(notice: ExitNotice, left: number): void {
    this.#after(NOTICE_INTERVAL_MS, () => {
      if (left === 0) {
        this.end(softExit('exit-with-notification'));
        return;
      }
      if (!notice.reliable) notice.send();
      this.#leave(notice, left - 1);
    });
  }

  #after(ms: number, then: () => void): void {
    if (this.#over) return;
    this.#cancel = this.#clock.at(this.#clock.now().monoMs + ms, then);
  }
}
