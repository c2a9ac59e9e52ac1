// Peers by link and source address, looked up with addresses in packet memory and without allocation.

import { hashPackedAddress, samePackedAddress } from '../ip/packed-address.ts';
import type { Peer } from './plane-state.ts';

/** Open addressing with linear probes; rebuilt on every change, which is as rare as peers come, go and move. */
export class AddressTable {
  #slots: (Peer | undefined)[] = [undefined];
  #slotMask = 0;

  /** Holds these peers from now on, each under its link and address; of two with the same the later one is found. */
  rebuild(view: DataView, peers: Iterable<Peer>): void {
    const reachable = [...peers].filter((peer) => peer.hasAddress).reverse();
    const size = 2 ** Math.ceil(Math.log2(reachable.length * 2 + 1));
    this.#slots = Array.from({ length: size }, () => undefined);
    this.#slotMask = size - 1;
    for (const peer of reachable) {
      let slot = hashPackedAddress(view, peer.address) & this.#slotMask;
      while (this.#slots[slot] !== undefined) slot = (slot + 1) & this.#slotMask;
      this.#slots[slot] = peer;
    }
  }

  /** The peer on `link` whose address stands at `source`. */
  find(view: DataView, link: number, source: number): Peer | undefined {
    let slot = hashPackedAddress(view, source) & this.#slotMask;
    for (;;) {
      const peer = this.#slots[slot];
      if (peer === undefined) return undefined;
      if (peer.link === link && samePackedAddress(view, peer.address, source)) return peer;
      slot = (slot + 1) & this.#slotMask;
    }
  }
}
