import type { ArenaRegion } from '../data/arena.ts';
import type { PacketMemory } from './packet-memory.ts';

/** A link or device that holds packets which are to go out together. */
export interface Holder {
  /** Whether it holds copies, so that the memory that packets were read to is free. */
  readonly holdsCopies: boolean;
  flush(): void;
  /**
   * As `flush`, but for packets that those which come next may go out with, if the first of them lies in the region from `start`
   * to before `end`, which the newest ones were written to; whether there are such.
   */
  flushButLast?(start: number, end: number): boolean;
}

const ALIGNMENT = 64;

/**
 * What is on its way out: the links that hold packets, and memory for copies of packets which cannot stay where they are.
 * Whoever hands packets on flushes before it uses the memory of these packets again, and when there is no more to read, so
 * that nothing is held back for what has not come.
 */
export class Outbox {
  readonly #memory: PacketMemory;
  readonly #places = new Holders();
  readonly #copies = new Holders();
  #next: number;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
    this.#next = memory.outbox.start;
  }

  /** To be called with the first packet that a link holds. */
  add(holder: Holder): void {
    (holder.holdsCopies ? this.#copies : this.#places).add(holder);
  }

  flush(): void {
    this.flushPlaces();
    this.#copies.flush();
  }

  /** Sends what lies where it was read to, and keeps what is only being joined: more of it may be there already. */
  flushPlaces(): void {
    this.#places.flush();
    this.#next = this.#memory.outbox.start;
  }

  /**
   * As `flushPlaces`, but what begins in this region may wait for more: the packets there, and copies that are to follow them,
   * are not free before another region was given, or all is flushed.
   */
  flushPlacesButLast({ start, length }: ArenaRegion): void {
    if (!this.#places.flushButLast(start, start + length)) this.#next = this.#memory.outbox.start;
  }

  /** Room for so many bytes, the caller's for as long as what lies there is held. */
  room(length: number): number {
    const { start, length: size } = this.#memory.outbox;
    if (this.#next + length > start + size) this.flushPlaces();
    const at = this.#next;
    this.#next += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    return at;
  }

  /** A packet's offset if it may stay there while it is held, or else that of its copy. */
  keep(offset: number, length: number): number {
    if (offset < this.#memory.scratch.start) return offset;
    const at = this.room(length);
    this.#memory.arena.bytes.copyWithin(at, offset, offset + length);
    return at;
  }
}

/** Those that are to be flushed. Emptied by its count: to set an array's length is a call out of the code that V8 makes. */
class Holders {
  readonly #members: (Holder | undefined)[] = [];
  #count = 0;

  add(holder: Holder): void {
    this.#members[this.#count++] = holder;
  }

  flush(): void {
    for (let index = 0; index < this.#count; index++) {
      const holder = this.#members[index];
      this.#members[index] = undefined;
      holder?.flush();
    }
    this.#count = 0;
  }

  /** Whether any hold something still. */
  flushButLast(start: number, end: number): boolean {
    let kept = 0;
    for (let index = 0; index < this.#count; index++) {
      const holder = this.#members[index];
      this.#members[index] = undefined;
      if (holder?.flushButLast === undefined) holder?.flush();
      else if (holder.flushButLast(start, end)) this.#members[kept++] = holder;
    }
    this.#count = kept;
    return kept > 0;
  }
}
