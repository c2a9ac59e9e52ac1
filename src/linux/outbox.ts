import type { PacketMemory } from './packet-memory.ts';

/** A link or device that holds packets which are to go out together. */
export interface Holder {
  /** Whether it holds copies, so that the memory that packets were read to is free. */
  readonly holdsCopies: boolean;
  flush(): void;
}

const ALIGNMENT = 64;

/**
 * What is on its way out: the links that hold packets, and memory for copies of packets which cannot stay where they are.
 * Whoever hands packets on flushes at the end of what it has read, before it uses the memory of these packets again, so
 * that nothing is held back longer than one read of a device or link.
 */
export class Outbox {
  readonly #memory: PacketMemory;
  readonly #places: Holder[] = [];
  readonly #copies: Holder[] = [];
  #next: number;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
    this.#next = memory.outbox.start;
  }

  /** To be called with the first packet that a link holds. */
  add(holder: Holder): void {
    if (holder.holdsCopies) this.#copies.push(holder);
    else this.#places.push(holder);
  }

  flush(): void {
    this.flushPlaces();
    const holders = this.#copies;
    if (holders.length === 0) return;
    for (let index = 0; index < holders.length; index++) holders[index]!.flush();
    holders.length = 0;
  }

  /** Sends what lies where it was read to, and keeps what is only being joined: more of it may be there already. */
  flushPlaces(): void {
    const holders = this.#places;
    if (holders.length > 0) {
      for (let index = 0; index < holders.length; index++) holders[index]!.flush();
      holders.length = 0;
    }
    this.#next = this.#memory.outbox.start;
  }

  /** Room for so many bytes, the caller's until the next flush. */
  room(length: number): number {
    const { start, length: size } = this.#memory.outbox;
    if (this.#next + length > start + size) this.flushPlaces();
    const at = this.#next;
    this.#next += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    return at;
  }

  /** A packet's offset if it may stay there until the next flush, or else that of its copy. */
  keep(offset: number, length: number): number {
    if (offset < this.#memory.scratch.start) return offset;
    const at = this.room(length);
    this.#memory.arena.bytes.copyWithin(at, offset, offset + length);
    return at;
  }
}
