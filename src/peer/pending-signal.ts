// A signal from outside that nobody has acted on yet. It interrupts whatever is waited for, and is taken where the client
// can act on it: between two steps of an attempt, or after its end.

import { type ClientSignal, isStronger } from './signal.ts';

export class PendingSignal {
  #signal: ClientSignal | undefined;
  #interrupt = new AbortController();

  /** Aborts when a signal comes; once that is taken, there is another one. */
  get interrupt(): AbortSignal {
    return this.#interrupt.signal;
  }

  get isSet(): boolean {
    return this.#signal !== undefined;
  }

  /** False when a stronger one waits already. */
  offer(signal: ClientSignal): boolean {
    if (this.#signal !== undefined && isStronger(this.#signal, signal)) return false;
    this.put(signal);
    return true;
  }

  /** In the place of whatever waits. */
  put(signal: ClientSignal): void {
    this.#signal = signal;
    this.#interrupt.abort();
  }

  take(): ClientSignal | undefined {
    const signal = this.#signal;
    this.#signal = undefined;
    if (this.#interrupt.signal.aborted) this.#interrupt = new AbortController();
    return signal;
  }

  /** Takes what waits; it counts where it asks for more than `signal`: SIGTERM after SIGHUP ends. */
  takeOver(signal: ClientSignal): ClientSignal {
    const waiting = this.take();
    return waiting !== undefined && isStronger(waiting, signal) ? waiting : signal;
  }

  /** A restart asked for while a restart is waited for means: now. */
  dropRestart(): void {
    if (this.#signal?.name === 'SIGUSR1') this.take();
  }
}
