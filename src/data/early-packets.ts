// Data packets that came before their key. A peer may seal with a new key as soon as it has it, while here the last
// message of the key exchange is still on its way through TLS; a packet of an unknown key-id from a peer's own address
// waits a moment for the key. Bounded: a fixed number of packets for all peers together, each for a fixed time.

import type { LinkId, PeerHandle } from './plane.ts';

/** At a gigabit a second these cover two milliseconds; a key exchange on one machine takes one. */
const PACKETS_MAX = 256;
/** A tunnel packet of a usual MTU with everything around it. Longer ones are not held. */
const PACKET_BYTES = 2048;
const HOLD_MS = 3000;

interface Held {
  peer: PeerHandle;
  link: LinkId;
  keyId: number;
  length: number;
  sinceMs: number;
  arrival: number;
}

/** The waiting room. Its memory is taken when the first packet waits. */
export class EarlyPackets {
  #bytes: Uint8Array | undefined;
  readonly #held: (Held | undefined)[] = [];
  #count = 0;
  #lost = 0;
  #arrivals = 0;

  /** Takes a copy; false when there is no room, or the packet is too long. */
  hold(
    peer: PeerHandle,
    link: LinkId,
    keyId: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    nowMs: number,
  ): boolean {
    if (length > PACKET_BYTES) return false;
    if (this.#count === this.#held.length) this.#expire(nowMs);
    const slot = this.#free();
    if (slot < 0) return false;
    this.#bytes ??= new Uint8Array(PACKETS_MAX * PACKET_BYTES);
    this.#bytes.set(bytes.subarray(offset, offset + length), slot * PACKET_BYTES);
    this.#held[slot] = { peer, link, keyId, length, sinceMs: nowMs, arrival: this.#arrivals++ };
    this.#count++;
    return true;
  }

  /** Hands out what waited for this key, oldest first. `deliver` may be called with each packet's place once. */
  release(
    peer: PeerHandle,
    keyId: number,
    nowMs: number,
    deliver: (link: LinkId, bytes: Uint8Array, offset: number, length: number) => void,
  ): void {
    if (this.#count === 0 || this.#bytes === undefined) return;
    this.#expire(nowMs);
    const due = this.#held
      .map((held, slot) => ({ held, slot }))
      .filter(({ held }) => held !== undefined && held.peer === peer && held.keyId === keyId)
      .sort((a, b) => a.held!.arrival - b.held!.arrival);
    for (const { held, slot } of due) {
      this.#remove(slot);
      deliver(held!.link, this.#bytes, slot * PACKET_BYTES, held!.length);
    }
  }

  /** Forgets what waited for a peer that is gone. */
  forget(peer: PeerHandle): void {
    for (let slot = 0; slot < this.#held.length; slot++) {
      if (this.#held[slot]?.peer === peer) this.#lose(slot);
    }
  }

  /** How many packets waited in vain since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  #free(): number {
    if (this.#count < this.#held.length) return this.#held.indexOf(undefined);
    return this.#held.length < PACKETS_MAX ? this.#held.length : -1;
  }

  #expire(nowMs: number): void {
    for (let slot = 0; slot < this.#held.length; slot++) {
      const held = this.#held[slot];
      if (held !== undefined && nowMs - held.sinceMs > HOLD_MS) this.#lose(slot);
    }
  }

  #lose(slot: number): void {
    this.#remove(slot);
    this.#lost++;
  }

  #remove(slot: number): void {
    this.#held[slot] = undefined;
    this.#count--;
  }
}
