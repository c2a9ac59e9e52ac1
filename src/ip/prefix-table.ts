// Longest-prefix lookup: whose network an address is in. Changing it rebuilds the tables, which takes as long as there
// are prefixes; looking up takes one probe for each prefix length in use and allocates nothing.

import type { Prefix } from './prefix.ts';

/** Prefixes with an owner, a positive 32-bit integer. Of two owners of one prefix the later one has it. */
export class PrefixTable {
  readonly #owned = new Map<number, readonly Prefix[]>();
  #lengths4: readonly LengthTable[] = [];
  #lengths6: readonly LengthTable[] = [];

  /** Gives an owner these prefixes in place of those it had, at one stroke. */
  replace(owner: number, prefixes: readonly Prefix[]): void {
    this.#owned.delete(owner);
    if (prefixes.length > 0) this.#owned.set(owner, prefixes);
    this.#lengths4 = this.#build(4);
    this.#lengths6 = this.#build(16);
  }

  /** The owner of the longest prefix that holds the address at `at`, 0 for none. */
  lookup(view: DataView, at: number, version: 4 | 6): number {
    const lengths = version === 4 ? this.#lengths4 : this.#lengths6;
    for (let index = 0; index < lengths.length; index++) {
      const owner = lengths[index]!.lookup(view, at);
      if (owner !== 0) return owner;
    }
    return 0;
  }

  #build(addressBytes: number): LengthTable[] {
    const byLength = new Map<number, { prefix: Prefix; owner: number }[]>();
    for (const [owner, prefixes] of this.#owned) {
      for (const prefix of prefixes) {
        if (prefix.address.length !== addressBytes) continue;
        const entries = byLength.get(prefix.length);
        if (entries === undefined) byLength.set(prefix.length, [{ prefix, owner }]);
        else entries.push({ prefix, owner });
      }
    }
    const lengths = [...byLength.keys()].sort((a, b) => b - a);
    return lengths.map((length) => new LengthTable(addressBytes / 4, length, byLength.get(length)!));
  }
}

/** All prefixes of one length: an open-addressing table of masked address words and owners. */
class LengthTable {
  readonly #words: number;
  readonly #masks: Int32Array;
  readonly #keys: Int32Array;
  readonly #owners: Int32Array;
  readonly #slotMask: number;

  constructor(words: number, length: number, entries: readonly { prefix: Prefix; owner: number }[]) {
    this.#words = words;
    this.#masks = Int32Array.from({ length: words }, (_, word) => maskWord(length - 32 * word));
    const slots = 2 ** Math.ceil(Math.log2(entries.length * 2 + 1));
    this.#slotMask = slots - 1;
    this.#keys = new Int32Array(slots * words);
    this.#owners = new Int32Array(slots);
    for (const { prefix, owner } of entries) {
      const view = new DataView(prefix.address.buffer, prefix.address.byteOffset, prefix.address.byteLength);
      const slot = this.#find(view, 0);
      for (let word = 0; word < words; word++) {
        this.#keys[slot * words + word] = view.getInt32(4 * word) & this.#masks[word]!;
      }
      this.#owners[slot] = owner;
    }
  }

  lookup(view: DataView, at: number): number {
    return this.#owners[this.#find(view, at)]!;
  }

  /** The slot that holds the address's network, or the free one where it would be. */
  #find(view: DataView, at: number): number {
    let hash = 0;
    for (let word = 0; word < this.#words; word++) {
      hash = Math.imul(hash ^ (view.getInt32(at + 4 * word) & this.#masks[word]!), 0x9e3779b1);
      hash ^= hash >>> 15;
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

function maskWord(bits: number): number {
  if (bits >= 32) return -1;
  return bits <= 0 ? 0 : -1 << (32 - bits);
}
