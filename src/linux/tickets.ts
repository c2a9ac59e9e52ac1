// Calls that end when all workers which were asked have let go of an fd or of counters: each has a number, and comes back
// once from every worker.

export class Tickets {
  readonly #open = new Map<number, { left: number; readonly resolve: () => void }>();

  get size(): number {
    return this.#open.size;
  }

  /** `workers`: how many times it has to come back before the promise resolves. */
  issue(ticket: number, workers: number): Promise<void> {
    return new Promise((resolve) => this.#open.set(ticket, { left: workers, resolve }));
  }

  handleReturned(ticket: number): void {
    const waiting = this.#open.get(ticket);
    if (waiting === undefined || --waiting.left > 0) return;
    this.#open.delete(ticket);
    waiting.resolve();
  }

  /** There are no workers any more: nothing is held. */
  returnAll(): void {
    for (const { resolve } of this.#open.values()) resolve();
    this.#open.clear();
  }
}
