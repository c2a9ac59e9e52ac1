const NONE = -1;

/** A map by integers from 0 that has its last answer at hand: packets come in rows of one device, one link and one peer. */
export class IdMap<V> {
  readonly #members = new Map<number, V>();
  #lastId = NONE;
  #last: V | undefined;

  get(id: number): V | undefined {
    return id === this.#lastId ? this.#last : this.#find(id);
  }

  #find(id: number): V | undefined {
    const found = this.#members.get(id);
    if (found === undefined) return undefined;
    this.#lastId = id;
    this.#last = found;
    return found;
  }

  set(id: number, member: V): void {
    this.#members.set(id, member);
    this.#forget();
  }

  delete(id: number): void {
    this.#members.delete(id);
    this.#forget();
  }

  clear(): void {
    this.#members.clear();
    this.#forget();
  }

  values(): IterableIterator<V> {
    return this.#members.values();
  }

  #forget(): void {
    this.#lastId = NONE;
    this.#last = undefined;
  }
}
