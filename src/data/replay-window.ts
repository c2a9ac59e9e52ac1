// Which packet-ids a key has seen. An id newer than all before is taken; an older one once, if it is less than the
// window's size behind and no id newer than it came more than the time limit ago. A window of 0 takes only the next id.
//
// The seconds of arrival of the last `size` ids lie in a ring, so that a packet costs one store; only a packet out of
// order looks at its newer neighbours.

import { dropCode, PASS, type Verdict } from './verdict.ts';

const PACKET_ID_ZERO = dropCode('packet-id-zero');
const REPLAY = dropCode('replay');
const TOO_OLD = dropCode('too-old');

const UNSEEN = -1;

/** The replay window of one key. Defaults on the wire are 64 ids and 15 seconds; 0 seconds is no time limit. */
export class ReplayWindow {
  readonly #sizePackets: number;
  readonly #limitSeconds: number;
  /** Second of arrival of id `n` at `n % size`, UNSEEN for none. */
  readonly #arrivals: Int32Array;
  #highest = 0;

  constructor(sizePackets: number, limitSeconds: number) {
    this.#sizePackets = sizePackets;
    this.#limitSeconds = limitSeconds;
    this.#arrivals = new Int32Array(sizePackets).fill(UNSEEN);
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
      if (this.#arrivals[packetId % this.#sizePackets] !== UNSEEN) return REPLAY;
      if (this.#limitSeconds > 0 && this.#newerCameBefore(packetId, second - this.#limitSeconds)) return TOO_OLD;
    }
    this.#arrivals[packetId % this.#sizePackets] = second;
    return PASS;
  }

  /** Strict order; the first id may be any. */
  #acceptNext(packetId: number): Verdict {
    if (this.#highest !== 0 && packetId !== this.#highest + 1) return REPLAY;
    this.#highest = packetId;
    return PASS;
  }

  #moveTo(packetId: number): void {
    if (packetId - this.#highest >= this.#sizePackets) {
      this.#arrivals.fill(UNSEEN);
    } else {
      for (let skipped = this.#highest + 1; skipped < packetId; skipped++) {
        this.#arrivals[skipped % this.#sizePackets] = UNSEEN;
      }
    }
    this.#highest = packetId;
  }

  #newerCameBefore(packetId: number, second: number): boolean {
    for (let newer = packetId + 1; newer <= this.#highest; newer++) {
      const arrival = this.#arrivals[newer % this.#sizePackets]!;
      if (arrival !== UNSEEN && arrival < second) return true;
    }
    return false;
  }
}
