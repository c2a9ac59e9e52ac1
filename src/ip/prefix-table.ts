// Longest-prefix lookup: whose network an address is in. Giving and taking a prefix touches that prefix only, however
// many others there are; looking up takes one probe for each prefix length in use and allocates nothing.

import type { Prefix } from './prefix.ts';

/** Prefixes with an owner, a positive 32-bit integer. Of two owners of one prefix the later one has it. */
export class PrefixTable {
  readonly #owned = new Map<number, readonly Prefix[]>();
  /** The longest of the lengths in use, which knows the next shorter one. */
  #longest4: LengthTable | undefined;
  #longest6: LengthTable | undefined;

  /** Gives an owner these prefixes in place of those it had, at one stroke. */
  replace(owner: number, prefixes: readonly Prefix[]): void {
    for (const prefix of this.#owned.get(owner) ?? []) this.#take(prefix, owner);
    this.#owned.delete(owner);
    if (prefixes.length === 0) return;
    this.#owned.set(owner, prefixes);
    for (const prefix of prefixes) this.#give(prefix, owner);
  }

  /** The owner of the longest prefix that holds the address at `at`, 0 for none. */
  lookup(view: DataView, at: number, version: 4 | 6): number {
    for (let table = version === 4 ? this.#longest4 : this.#longest6; table !== undefined; table = table.shorter) {
      const owner = table.lookup(view, at);
      if (owner !== 0) return owner;
    }
    return 0;
  }

  #give(prefix: Prefix, owner: number): void {
    const longer = this.#longerThan(prefix);
    let table = this.#after(longer, prefix);
    if (table?.length !== prefix.length) {
      table = new LengthTable(prefix.address.length / 4, prefix.length, table);
      this.#putAfter(longer, prefix, table);
    }
    table.give(prefix, owner);
  }

  #take(prefix: Prefix, owner: number): void {
    const longer = this.#longerThan(prefix);
    const table = this.#after(longer, prefix);
    if (table?.length !== prefix.length) return;
    table.take(prefix, owner);
    if (table.count === 0) this.#putAfter(longer, prefix, table.shorter);
  }

  /** The shortest length in use that is longer than this prefix, undefined for none. */
  #longerThan(prefix: Prefix): LengthTable | undefined {
    let longer: LengthTable | undefined;
    for (let next = this.#after(longer, prefix); next !== undefined && next.length > prefix.length; next = next.shorter)
      longer = next;
    return longer;
  }

  /** The next shorter length in use; the longest one for undefined. */
  #after(longer: LengthTable | undefined, { address }: Prefix): LengthTable | undefined {
    if (longer !== undefined) return longer.shorter;
    return address.length === 4 ? this.#longest4 : this.#longest6;
  }

  #putAfter(longer: LengthTable | undefined, { address }: Prefix, table: LengthTable | undefined): void {
    if (longer !== undefined) longer.shorter = table;
    else if (address.length === 4) this.#longest4 = table;
    else this.#longest6 = table;
  }
}

const SLOTS_MIN = 4;

/** All prefixes of one length: an open-addressing table of masked address words and owners, half full at most. */
class LengthTable {
  readonly length: number;
  shorter: LengthTable | undefined;
  count = 0;
  readonly #words: number;
  readonly #masks: Int32Array;
  #keys: Int32Array;
  #owners = new Int32Array(SLOTS_MIN);
  #slotMask = SLOTS_MIN - 1;
  /** Owners that wait behind the one in the table, newest last; there are hardly ever any. */
  readonly #waiting = new Map<string, number[]>();

  constructor(words: number, length: number, shorter: LengthTable | undefined) {
    this.length = length;
    this.shorter = shorter;
    this.#words = words;
    this.#masks = Int32Array.from({ length: words }, (_, word) => maskWord(length - 32 * word));
    this.#keys = new Int32Array(SLOTS_MIN * words);
  }

  lookup(view: DataView, at: number): number {
    // The prefix of all addresses is alone in its table, and the hash of nothing is 0.
    return this.#owners[this.length === 0 ? 0 : this.#find(view, at)]!;
  }

  give(prefix: Prefix, owner: number): void {
    if ((this.count + 1) * 2 > this.#owners.length) this.#grow();
    const view = viewOf(prefix.address);
    const slot = this.#find(view, 0);
    const before = this.#owners[slot]!;
    if (before === owner) return;
    if (before === 0) {
      this.count++;
      for (let word = 0; word < this.#words; word++) {
        this.#keys[slot * this.#words + word] = view.getInt32(4 * word) & this.#masks[word]!;
      }
    } else {
      const waiting = (this.#waiting.get(nameOf(prefix)) ?? []).filter((one) => one !== owner);
      this.#waiting.set(nameOf(prefix), [...waiting, before]);
    }
    this.#owners[slot] = owner;
  }

  take(prefix: Prefix, owner: number): void {
    const slot = this.#find(viewOf(prefix.address), 0);
    const holder = this.#owners[slot]!;
    if (holder === 0) return;
    const waiting = (this.#waiting.get(nameOf(prefix)) ?? []).filter((one) => one !== owner);
    if (holder === owner) {
      const heir = waiting.pop();
      if (heir === undefined) this.#empty(slot);
      else this.#owners[slot] = heir;
    }
    if (waiting.length === 0) this.#waiting.delete(nameOf(prefix));
    else this.#waiting.set(nameOf(prefix), waiting);
  }

  /** Frees a slot; whoever stands behind it and could stand in it moves up, so that no probe ends too early. */
  #empty(slot: number): void {
    const mask = this.#slotMask;
    let hole = slot;
    for (let next = (hole + 1) & mask; this.#owners[next] !== 0; next = (next + 1) & mask) {
      const home = this.#hashOfSlot(next) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#copySlot(next, hole, this.#keys, this.#owners);
      hole = next;
    }
    this.#owners[hole] = 0;
    this.count--;
  }

  #grow(): void {
    const [keys, owners] = [this.#keys, this.#owners];
    this.#owners = new Int32Array(owners.length * 2);
    this.#keys = new Int32Array(keys.length * 2);
    this.#slotMask = this.#owners.length - 1;
    const mask = this.#slotMask;
    for (let slot = 0; slot < owners.length; slot++) {
      if (owners[slot] === 0) continue;
      let to = this.#hashOfSlot(slot, keys) & mask;
      while (this.#owners[to] !== 0) to = (to + 1) & mask;
      this.#copySlot(slot, to, keys, owners);
    }
  }

  #copySlot(from: number, to: number, keys: Int32Array, owners: Int32Array): void {
    for (let word = 0; word < this.#words; word++) {
      this.#keys[to * this.#words + word] = keys[from * this.#words + word]!;
    }
    this.#owners[to] = owners[from]!;
  }

  #hashOfSlot(slot: number, keys = this.#keys): number {
    let hash = 0;
    for (let word = 0; word < this.#words; word++) hash = mix(hash, keys[slot * this.#words + word]!);
    return hash;
  }

  /** The slot that holds the address's network, or the free one where it would be. */
  #find(view: DataView, at: number): number {
    let hash = 0;
    for (let word = 0; word < this.#words; word++) {
      hash = mix(hash, view.getInt32(at + 4 * word) & this.#masks[word]!);
    }
    let slot = hash & this.#slotMask;
    while (this.#owners[slot] !== 0 && !this.#holds(slot, view, at)) slot = (slot + 1) & this.#slotMask;
    return slot;
  }

  #holds(slot: number, view: DataView, at: number): boolean {
    for (let word = 0; word < this.#words; word++) {
      if (this.#keys[slot * this.#words + word] !== (view.getInt32(at + 4 * word) & this.#masks[word]!)) return false;
    }
    return true;
  }
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function viewOf(address: Uint8Array): DataView {
  return new DataView(address.buffer, address.byteOffset, address.byteLength);
}

function nameOf(prefix: Prefix): string {
  return prefix.address.join('.');
}

function maskWord(bits: number): number {
  if (bits >= 32) return -1;
  return bits <= 0 ? 0 : -1 << (32 - bits);
}
