// Packet-ids of wrapped control packets that we send.

/** Counts up from `first`; the time is that of the first packet and moves on only when the 32 bits are used up. */
export class SendCounter {
  #next: number;
  #time = 0;

  constructor(first = 1) {
    this.#next = first;
  }

  take(unixSeconds: number): { readonly packetId: number; readonly time: number } {
    if (this.#time === 0) this.#time = Math.max(1, Math.floor(unixSeconds));
    if (this.#next > 0xffffffff) {
      this.#time = Math.max(this.#time + 1, Math.floor(unixSeconds));
      this.#next = 1;
    }
    return { packetId: this.#next++, time: this.#time };
  }
}
