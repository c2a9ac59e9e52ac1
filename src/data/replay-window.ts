// Which packet-ids a key has seen. An id newer than all before is taken; an older one once, if it is less than the
// window's size behind and no id newer than it came more than the time limit ago. A window of 0 takes only the next id.
//
// The seconds of arrival of the last `size` ids and a few more lie in a ring, so that a packet costs one store; only a
// packet out of order looks at its newer neighbours. The ring's length is a power of two: where an id lies is a matter of
// its last bits, which a number of 48 bits shows as fast as one of 32.

import { dropCode, PASS, type Verdict } from './verdict.ts';

const PACKET_ID_ZERO = dropCode('packet-id-zero');
const REPLAY = dropCode('replay');
const TOO_OLD = dropCode('too-old');

const UNSEEN = -1;

/** What a window has seen: the newest id, and when it and those before it came. */
export interface WindowContent {
  readonly highest: number;
  readonly arrivals: Int32Array;
}

/** The replay window of one key, for ids of up to 48 bits. Defaults on the wire are 64 ids and 15 seconds; 0 seconds is no time limit. */
export class ReplayWindow {
  readonly #sizePackets: number;
  readonly #limitSeconds: number;
  /** Second of arrival of id `n` at `n & mask`, UNSEEN for none. */
  readonly #arrivals: Int32Array;
  readonly #mask: number;
  #highest = 0;

  constructor(sizePackets: number, limitSeconds: number) {
    this.#sizePackets = sizePackets;
    this.#limitSeconds = limitSeconds;
    const length = sizePackets <= 1 ? sizePackets : 2 ** Math.ceil(Math.log2(sizePackets));
    this.#arrivals = new Int32Array(length).fill(UNSEEN);
    this.#mask = length - 1;
  }

  /** The newest id that was taken, 0 for none. */
  get highest(): number {
    return this.#highest;
  }

  get content(): WindowContent {
    return { highest: this.#highest, arrivals: this.#arrivals.slice() };
  }

  /** Has seen what another window of the same size had. */
  resume({ highest, arrivals }: WindowContent): void {
    this.#highest = highest;
    this.#arrivals.set(arrivals);
  }

  /** Forgets every id: packet-ids begin anew. */
  restart(): void {
    this.#highest = 0;
    this.#arrivals.fill(UNSEEN);
  }

  /** Takes an authenticated packet's id, or says why not. */
  accept(packetId: number, nowMs: number): Verdict {
    if (packetId === 0) return PACKET_ID_ZERO;
    if (this.#sizePackets === 0) return this.#acceptNext(packetId);
    const second = Math.floor(nowMs / 1000);
    if (packetId > this.#highest) {
      this.#moveTo(packetId);
    } else {
      if (this.#highest - packetId >= this.#sizePackets) return TOO_OLD;
      if (this.#arrivals[packetId & this.#mask] !== UNSEEN) return REPLAY;
      if (this.#limitSeconds > 0 && this.#newerCameBefore(packetId, second - this.#limitSeconds)) return TOO_OLD;
    }
    this.#arrivals[packetId & this.#mask] = second;
    return PASS;
  }

  /** Strict order; the first id may be any. */
  #acceptNext(packetId: number): Verdict {
    if (this.#highest !== 0 && packetId !== this.#highest + 1) return REPLAY;
    this.#highest = packetId;
    return PASS;
  }

  #moveTo(packetId: number): void {
    if (packetId - this.#highest > this.#mask) {
      this.#arrivals.fill(UNSEEN);
    } else {
      for (let skipped = this.#highest + 1; skipped < packetId; skipped++) {
        this.#arrivals[skipped & this.#mask] = UNSEEN;
      }
    }
    this.#highest = packetId;
  }

  #newerCameBefore(packetId: number, second: number): boolean {
    for (let newer = packetId + 1; newer <= this.#highest; newer++) {
      const arrival = this.#arrivals[newer & this.#mask]!;
      if (arrival !== UNSEEN && arrival < second) return true;
    }
    return false;
  }
}
