// Typed events of what an embedding program holds: functions that are called back, an async iterator, and waiting for
// the first event of a kind.

interface Event {
  readonly type: string;
}

type EventOf<E extends Event, T extends E['type']> = Extract<E, { type: T }>;

/** Events of one object until its `end` event, which is the last. */
export class EventFeed<E extends Event> {
  readonly #listeners = new Set<(event: E) => void>();
  readonly #queueLimit: number;
  #end: EventOf<E, 'end'> | undefined;

  /** `queueLimit`: events kept for a reader of `events()` that does not keep up; the oldest are dropped beyond this. */
  constructor(queueLimit: number) {
    this.#queueLimit = queueLimit;
  }

  /** The `end` event, when it is over. */
  get end(): EventOf<E, 'end'> | undefined {
    return this.#end;
  }

  emit(event: E): void {
    if (event.type === 'end') this.#end = event as EventOf<E, 'end'>;
    for (const listener of [...this.#listeners]) guarded(() => listener(event));
    if (event.type === 'end') this.#listeners.clear();
  }

  /** Calls back for each event of a type; returns the function that stops it. */
  on<T extends E['type']>(type: T, listener: (event: EventOf<E, T>) => void): () => void {
    const wrapped = (event: E): void => {
      if (event.type === type) listener(event as EventOf<E, T>);
    };
    this.#listeners.add(wrapped);
    return () => this.#listeners.delete(wrapped);
  }

  /** All events from now on, until the end or until `signal` aborts. */
  async *events({ signal }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<E, void, undefined> {
    const queue: E[] = [];
    let wake = (): void => {};
    const listener = (event: E): void => {
      queue.push(event);
      if (queue.length > this.#queueLimit) queue.shift();
      wake();
    };
    const stop = (): void => wake();
    this.#listeners.add(listener);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      while (signal?.aborted !== true) {
        const event = queue.shift();
        if (event !== undefined) {
          yield event;
          if (event.type === 'end') return;
          continue;
        }
        if (this.#end !== undefined) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#listeners.delete(listener);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Resolves at the next event of a type; rejects with `errorOf` the end, or the abort reason. */
  async until(type: E['type'], errorOf: (end: EventOf<E, 'end'>) => Error, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#end !== undefined) throw errorOf(this.#end);
    await new Promise<void>((resolve, reject) => {
      const done = (act: () => void): void => {
        this.#listeners.delete(listener);
        signal?.removeEventListener('abort', abort);
        act();
      };
      const abort = (): void => done(() => reject(signal?.reason));
      const listener = (event: E): void => {
        if (event.type === type) done(resolve);
        else if (event.type === 'end') done(() => reject(errorOf(event as EventOf<E, 'end'>)));
      };
      this.#listeners.add(listener);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}

/** Calls a function of the embedding program. What it throws is thrown on, but on a turn of its own, as an EventTarget does. */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
