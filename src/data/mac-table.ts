// Ethernet addresses and the peers behind which they are, as a switch remembers them. Looking up takes one probe of a hash
// table and allocates nothing; learning and forgetting touch the address in hand only. How many one peer may have is the
// control plane's to say.

import type { PeerHandle } from './plane.ts';

/** Bytes of an Ethernet address. */
export const MAC_BYTES = 6;

const SLOTS_MIN = 16;
const WORD = 2 ** 32;

/** The address at `at` as a number of 48 bits. */
export function readMac(view: DataView, at: number): number {
  return view.getUint16(at) * WORD + view.getUint32(at + 2);
}

/** The six bytes of an address that `readMac` gave. */
export function macBytes(mac: number): Uint8Array {
  const bytes = new Uint8Array(MAC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(mac / WORD));
  view.setUint32(2, mac % WORD);
  return bytes;
}

/** Open addressing with linear probes, half full at most. An owner is a peer's handle, never 0. */
export class MacTable {
  #high = new Uint16Array(SLOTS_MIN);
  #low = new Uint32Array(SLOTS_MIN);
  #owners = new Int32Array(SLOTS_MIN);
  #usedMs = new Float64Array(SLOTS_MIN);
  #count = 0;
  readonly #owned = new Map<PeerHandle, Set<number>>();

  get count(): number {
    return this.#count;
  }

  /** Whose the address at `at` is, 0 for nobody's. It counts as used. */
  owner(view: DataView, at: number, nowMs: number): PeerHandle {
    const slot = this.#find(view.getUint16(at), view.getUint32(at + 2));
    this.#usedMs[slot] = nowMs;
    return this.#owners[slot]!;
  }

  /** Gives an address to a peer, whoever had it before. */
  learn(mac: number, owner: PeerHandle, nowMs: number): void {
    if ((this.#count + 1) * 2 > this.#owners.length) this.#grow();
    const high = Math.floor(mac / WORD);
    const slot = this.#find(high, mac % WORD);
    const before = this.#owners[slot]!;
    if (before === 0) this.#count++;
    else this.#disown(before, mac);
    this.#high[slot] = high;
    this.#low[slot] = mac % WORD;
    this.#owners[slot] = owner;
    this.#usedMs[slot] = nowMs;
    const owned = this.#owned.get(owner);
    if (owned === undefined) this.#owned.set(owner, new Set([mac]));
    else owned.add(mac);
  }

  /** Forgets every address of a peer. */
  forgetOwner(owner: PeerHandle): void {
    for (const mac of this.#owned.get(owner) ?? []) this.#empty(this.#find(Math.floor(mac / WORD), mac % WORD));
    this.#owned.delete(owner);
  }

  /** Forgets the addresses that were not used for so long, and returns them. */
  forgetIdle(idleMs: number, nowMs: number): number[] {
    const idle: number[] = [];
    for (const macs of this.#owned.values()) {
      for (const mac of macs) {
        const slot = this.#find(Math.floor(mac / WORD), mac % WORD);
        if (nowMs - this.#usedMs[slot]! >= idleMs) idle.push(mac);
      }
    }
    for (const mac of idle) {
      const slot = this.#find(Math.floor(mac / WORD), mac % WORD);
      this.#disown(this.#owners[slot]!, mac);
      this.#empty(slot);
    }
    return idle;
  }

  #disown(owner: PeerHandle, mac: number): void {
    const owned = this.#owned.get(owner);
    owned?.delete(mac);
    if (owned?.size === 0) this.#owned.delete(owner);
  }

  /** The slot that holds the address, or the free one where it would be. */
  #find(high: number, low: number): number {
    const mask = this.#owners.length - 1;
    let slot = hash(high, low) & mask;
    while (this.#owners[slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high)) slot = (slot + 1) & mask;
    return slot;
  }

  /** Frees a slot; whoever stands behind it and could stand in it moves up, so that no probe ends too early. */
  #empty(slot: number): void {
    const mask = this.#owners.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; this.#owners[next] !== 0; next = (next + 1) & mask) {
      const home = hash(this.#high[next]!, this.#low[next]!) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#high[hole] = this.#high[next]!;
      this.#low[hole] = this.#low[next]!;
      this.#owners[hole] = this.#owners[next]!;
      this.#usedMs[hole] = this.#usedMs[next]!;
      hole = next;
    }
    this.#owners[hole] = 0;
    this.#count--;
  }

  #grow(): void {
    const [high, low, owners, usedMs] = [this.#high, this.#low, this.#owners, this.#usedMs];
    const slots = owners.length * 2;
    this.#high = new Uint16Array(slots);
    this.#low = new Uint32Array(slots);
    this.#owners = new Int32Array(slots);
    this.#usedMs = new Float64Array(slots);
    for (let from = 0; from < owners.length; from++) {
      if (owners[from] === 0) continue;
      const to = this.#find(high[from]!, low[from]!);
      this.#high[to] = high[from]!;
      this.#low[to] = low[from]!;
      this.#owners[to] = owners[from]!;
      this.#usedMs[to] = usedMs[from]!;
    }
  }
}

function hash(high: number, low: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
