// The memory that packets live in, and the one place that fixes how much room a packet has around it.
//
// A packet is an offset and a length in one arena. Everything that is put before or after it on its way out is written
// in place, so whoever reads a packet into the arena leaves HEADROOM_BYTES before it and TAILROOM_BYTES after it.
//
//   before, from the outside in:  SOCKS UDP header 22 | TCP length 2 | opcode and peer-id 4 | HMAC 64 | IV 16 |
//                                 packet-id 4 | fragment 4 | compression 2            = 118
//   before, AEAD:                 22 | 2 | 4 | packet-id 4 | tag 16 | 4 | 2           = 54
//   before, epoch:                22 | 2 | 4 | epoch and counter 8 | 4 | 2            = 42
//   after:                        compression swap 1 | CBC padding or epoch tag 16    = 17

import type { Arena } from '../crypto/provider.ts';
import { VIRTIO_HEADER_BYTES } from '../ip/virtio-header.ts';

/** Free bytes before a packet that is to be sealed. */
export const HEADROOM_BYTES = 128;

/** Free bytes after a packet that is to be sealed. */
export const TAILROOM_BYTES = 64;

/** Free bytes before a packet that goes into a device, for a virtio header. */
export const DEVICE_HEADER_BYTES = VIRTIO_HEADER_BYTES;

/** The longest packet that any buffer must hold: a UDP datagram or a TCP frame. */
export const MAX_PACKET_BYTES = 65_535;

/** Distance between packet buffers that can hold any packet with its room around it; a multiple of 64. */
export const BUFFER_BYTES = 65_536 + HEADROOM_BYTES + TAILROOM_BYTES;

/** Makes an arena of plain memory, for planes and tests that share it with nobody. */
export function createArena(lengthBytes: number): Arena {
  const bytes = new Uint8Array(lengthBytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

/** A packet on its way through the plane: where it is now. One object is used again for every packet. */
export interface PacketSpan {
  offset: number;
  length: number;
}

/** A part of an arena that its holder manages. */
export interface ArenaRegion {
  readonly start: number;
  readonly length: number;
}

/** Equal slots in a region of an arena, taken and given back by whoever adds and removes peers. */
export class ArenaSlots {
  readonly #region: ArenaRegion;
  readonly #slotBytes: number;
  readonly #free: number[] = [];
  #next: number;

  constructor(region: ArenaRegion, slotBytes: number) {
    this.#region = region;
    this.#slotBytes = slotBytes;
    this.#next = region.start;
  }

  /** The offset of a free slot; throws when the region is used up. */
  take(): number {
    const slot = this.tryTake();
    if (slot === undefined) throw new RangeError('the plane has no room for another peer or link');
    return slot;
  }

  /** The offset of a free slot, if there is one. */
  tryTake(): number | undefined {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const slot = this.#next;
    if (slot + this.#slotBytes > this.#region.start + this.#region.length) return undefined;
    this.#next += this.#slotBytes;
    return slot;
  }

  give(slot: number): void {
    this.#free.push(slot);
  }
}
