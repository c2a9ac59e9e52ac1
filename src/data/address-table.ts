// Peers by link and source address, looked up with addresses in packet memory and without allocation. Several peers may
// have one address: a client that connects anew from its old port is a second peer there until it has proven who it is.

import { hashPackedAddress, samePackedAddress } from '../ip/packed-address.ts';
import type { Peer } from './plane-state.ts';

const SLOTS_MIN = 16;

/** Open addressing with linear probes, half full at most. A peer's address must not change while it is in here. */
export class AddressTable {
  #slots: (Peer | undefined)[] = emptySlots(SLOTS_MIN);
  #count = 0;

  add(view: DataView, peer: Peer): void {
    if ((this.#count + 1) * 2 > this.#slots.length) this.#grow(view);
    this.#count++;
    this.#put(view, peer);
  }

  /** Takes the peer out; one that is not in here stays out. */
  remove(view: DataView, peer: Peer): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = hashPackedAddress(view, peer.address) & mask;
    while (slots[hole] !== peer) {
      if (slots[hole] === undefined) return;
      hole = (hole + 1) & mask;
    }
    // Whoever stands behind the hole and could stand in it moves up, so that no probe ends too early.
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const next = slots[slot];
      if (next === undefined) break;
      const home = hashPackedAddress(view, next.address) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = next;
      hole = slot;
    }
    slots[hole] = undefined;
    this.#count--;
  }

  /** The peer on `link` whose address stands at `source`: one with keys before one without, the later one of two such. */
  find(view: DataView, link: number, source: number): Peer | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let found: Peer | undefined;
    for (let slot = hashPackedAddress(view, source) & mask; ; slot = (slot + 1) & mask) {
      const peer = slots[slot];
      if (peer === undefined) return found;
      if (peer.link !== link || !samePackedAddress(view, peer.address, source)) continue;
      if (found === undefined || goesBefore(peer, found)) found = peer;
    }
  }

  #put(view: DataView, peer: Peer): void {
    const mask = this.#slots.length - 1;
    let slot = hashPackedAddress(view, peer.address) & mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
    this.#slots[slot] = peer;
  }

  #grow(view: DataView): void {
    const before = this.#slots;
    this.#slots = emptySlots(before.length * 2);
    for (const peer of before) if (peer !== undefined) this.#put(view, peer);
  }
}

function emptySlots(count: number): (Peer | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}

function goesBefore(peer: Peer, other: Peer): boolean {
  const hasKeys = peer.keys.length > 0;
  return hasKeys === other.keys.length > 0 ? peer.handle > other.handle : hasKeys;
}
