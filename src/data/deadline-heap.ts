// Who is due next. A binary heap, so that one peer's ping costs nothing for a thousand others.

/** What an item of the heap carries for it; `duePlace` is -1 outside. */
export interface Due {
  dueMs: number;
  duePlace: number;
}

export class DeadlineHeap<T extends Due> {
  readonly #items: T[] = [];

  /** The item that is due first. */
  get first(): T | undefined {
    return this.#items.length > 0 ? this.#items[0] : undefined; // V8 makes slow code of a read behind the end
  }

  /** When that is; Infinity for nothing. */
  get firstMs(): number {
    return this.#items.length > 0 ? this.#items[0]!.dueMs : Number.POSITIVE_INFINITY;
  }

  /** Puts the item in, or gives it another time. */
  set(item: T, dueMs: number): void {
    if (item.duePlace < 0) {
      item.duePlace = this.#items.length;
      this.#items.push(item);
    }
    item.dueMs = dueMs;
    this.#settle(item);
  }

  /** Takes the item out, if it is in. */
  remove(item: T): void {
    if (item.duePlace < 0) return;
    const place = item.duePlace;
    item.duePlace = -1;
    const last = this.#items.pop()!;
    if (last === item) return;
    last.duePlace = place;
    this.#items[place] = last;
    this.#settle(last);
  }

  clear(): void {
    for (const item of this.#items) item.duePlace = -1;
    this.#items.length = 0;
  }

  #settle(item: T): void {
    this.#rise(item);
    this.#sink(item);
  }

  #rise(item: T): void {
    const items = this.#items;
    let place = item.duePlace;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above]!;
      if (parent.dueMs <= item.dueMs) break;
      items[place] = parent;
      parent.duePlace = place;
      place = above;
    }
    items[place] = item;
    item.duePlace = place;
  }

  #sink(item: T): void {
    const items = this.#items;
    let place = item.duePlace;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= items.length) break;
      const right = left + 1;
      const least = right < items.length && items[right]!.dueMs < items[left]!.dueMs ? right : left;
      const child = items[least]!;
      if (child.dueMs >= item.dueMs) break;
      items[place] = child;
      child.duePlace = place;
      place = least;
    }
    items[place] = item;
    item.duePlace = place;
  }
}
