// A ring in shared memory through which one worker hands packets to another: one writes, one reads, nobody waits.
//
//   0    write position u32, in bytes since the start; wraps around
//   64   read position
//   128  RING_BYTES of messages, each on a multiple of 64:
//          0   what u32 (0: nothing up to the end of the ring) | id u32 | about u32 | length u32
//          16  packed source address, 24 bytes
//          64  the packet

import type { Handover } from '../data/handover.ts';
import { addressOf, libc } from './libc.ts';

/** Some hundred packets of a usual size, or a dozen super-packets. More would only be delay. A power of 2. */
const RING_BYTES = 1_048_576;
const WRITTEN = 0;
const READ = 16;
const MESSAGES = 128;
const HEADER_BYTES = 64;
const SOURCE = 16;
const ALIGNMENT = 64;

/** Shared memory for a ring; touched only where packets have been. */
export function createRingMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(MESSAGES + RING_BYTES);
}

class Ring {
  protected readonly positions: Int32Array;
  protected readonly view: DataView;
  protected readonly address: number;
  /** This side's position, which may be ahead of what the other side knows. */
  protected position = 0;

  constructor(memory: SharedArrayBuffer) {
    this.positions = new Int32Array(memory, 0, MESSAGES / 4);
    this.view = new DataView(memory, MESSAGES);
    this.address = addressOf(new Uint8Array(memory)) + MESSAGES;
  }
}

/** The side of the worker that hands over. */
export class RingWriter extends Ring {
  /** Copies a packet of the arena, `source` (a packed address, or 0) with it; false when the ring is full. */
  push(
    what: Handover,
    id: number,
    about: number,
    arena: { readonly view: DataView; readonly address: number },
    source: number,
    offset: number,
    length: number,
  ): boolean {
    const size = align(HEADER_BYTES + length);
    let at = this.position & (RING_BYTES - 1);
    const skipped = at + size > RING_BYTES ? RING_BYTES - at : 0;
    const used = (this.position - Atomics.load(this.positions, READ)) | 0;
    if (used + skipped + size > RING_BYTES) return false;
    const { view } = this;
    if (skipped > 0) {
      view.setUint32(at, 0);
      at = 0;
    }
    view.setUint32(at, what);
    view.setUint32(at + 4, id);
    view.setUint32(at + 8, about);
    view.setUint32(at + 12, length);
    if (source !== 0)
      for (let word = 0; word < 24; word += 4) view.setInt32(at + SOURCE + word, arena.view.getInt32(source + word));
    libc.memcpy(this.address + at + HEADER_BYTES, arena.address + offset, length);
    this.position = (this.position + skipped + size) | 0;
    return true;
  }

  /** Lets the other side see all that was pushed. */
  publish(): void {
    Atomics.store(this.positions, WRITTEN, this.position);
  }
}

/** The side of the worker that is handed packets: it gives what was there at the last look. What `next` found is good until `take`. */
export class RingReader extends Ring {
  #seen = 0;
  #size = 0;
  what = 0;
  id = 0;
  about = 0;
  length = 0;

  get isEmpty(): boolean {
    return Atomics.load(this.positions, WRITTEN) === this.position;
  }

  /** From here on `next` gives all that was published until now, and nothing that comes later. */
  look(): void {
    this.#seen = Atomics.load(this.positions, WRITTEN);
  }

  /** Whether there is a packet; what it is stands in the fields. */
  next(): boolean {
    if (this.position === this.#seen) return false;
    const { view } = this;
    let at = this.position & (RING_BYTES - 1);
    if (view.getUint32(at) === 0) {
      this.position = (this.position + RING_BYTES - at) | 0;
      at = 0;
    }
    this.what = view.getUint32(at);
    this.id = view.getUint32(at + 4);
    this.about = view.getUint32(at + 8);
    this.length = view.getUint32(at + 12);
    this.#size = align(HEADER_BYTES + this.length);
    return true;
  }

  /** Copies the packet to `offset` of the arena, and its source to `source`, and gives its room in the ring back. */
  take(arena: { readonly view: DataView; readonly address: number }, source: number, offset: number): void {
    const at = this.position & (RING_BYTES - 1);
    for (let word = 0; word < 24; word += 4) arena.view.setInt32(source + word, this.view.getInt32(at + SOURCE + word));
    libc.memcpy(arena.address + offset, this.address + at + HEADER_BYTES, this.length);
    this.position = (this.position + this.#size) | 0;
    Atomics.store(this.positions, READ, this.position);
  }
}

function align(bytes: number): number {
  return (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}
