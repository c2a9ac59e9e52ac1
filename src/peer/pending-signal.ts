// A signal from outside that nobody has acted on yet, of a client or a server. It interrupts whatever is waited for, and is
// taken where it can be acted on: between two steps, or after the end of what was going on.

export type SignalName = 'SIGUSR1' | 'SIGHUP' | 'SIGTERM' | 'SIGINT';

/** An end outweighs a new reading of the configuration, and that a restart. */
const STRENGTH = { SIGUSR1: 0, SIGHUP: 1, SIGTERM: 2, SIGINT: 2 } as const;

/** An AbortController. */
interface Interrupt {
  readonly signal: AbortSignal;
  abort(): void;
}

export class PendingSignal<S> {
  readonly #nameOf: (signal: S) => SignalName;
  readonly #createInterrupt: () => Interrupt;
  #signal: S | undefined;
  #interrupt: Interrupt;

  constructor(nameOf: (signal: S) => SignalName, createInterrupt: () => Interrupt) {
    this.#nameOf = nameOf;
    this.#createInterrupt = createInterrupt;
    this.#interrupt = createInterrupt();
  }

  /** Aborts when a signal comes; once that is taken, there is another one. */
  get interrupt(): AbortSignal {
    return this.#interrupt.signal;
  }

  get isSet(): boolean {
    return this.#signal !== undefined;
  }

  /** False when a stronger one waits already. */
  offer(signal: S): boolean {
    if (this.#signal !== undefined && this.#isStronger(this.#signal, signal)) return false;
    this.put(signal);
    return true;
  }

  /** In the place of whatever waits. */
  put(signal: S): void {
    this.#signal = signal;
    this.#interrupt.abort();
  }

  /** Interrupts without a signal: something else has ended what is going on. */
  break(): void {
    this.#interrupt.abort();
  }

  take(): S | undefined {
    const signal = this.#signal;
    this.#signal = undefined;
    if (this.#interrupt.signal.aborted) this.#interrupt = this.#createInterrupt();
    return signal;
  }

  /** Takes what waits; it counts where it asks for more than `signal`: SIGTERM after SIGHUP ends. */
  takeOver(signal: S): S {
    const waiting = this.take();
    return waiting !== undefined && this.#isStronger(waiting, signal) ? waiting : signal;
  }

  /** A restart asked for while a restart is waited for means: now. */
  dropRestart(): void {
    if (this.#signal !== undefined && this.#nameOf(this.#signal) === 'SIGUSR1') this.take();
  }

  #isStronger(signal: S, than: S): boolean {
    return STRENGTH[this.#nameOf(signal)] > STRENGTH[this.#nameOf(than)];
  }
}
