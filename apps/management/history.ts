// The most recent entries of the log, of `echo` and of the states. Pure.

export class History<T> {
  readonly #entries: T[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(entry: T): void {
    this.#entries.push(entry);
    if (this.#entries.length > this.#capacity) this.#entries.shift();
  }

  /** The newest `count`, oldest of them first. */
  last(count: number): readonly T[] {
    return count <= 0 ? [] : this.#entries.slice(-count);
  }

  get all(): readonly T[] {
    return this.#entries;
  }
}
