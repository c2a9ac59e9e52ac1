// Replay protection of wrapped control packets: a packet-id and the sender's start time, as the C program's long form.

const UNSEEN = 0;

/**
 * A sliding window over (time, packet-id). A later time starts afresh; an earlier one is a replay. Within a time, ids
 * below the window, ids seen, and ids overtaken more than `windowSeconds` ago are replays. A window of 0 demands
 * strict order (the first id of a time may be any: early negotiation and the stateless handshake do not start at 1).
 */
export class ReplayWindow {
  readonly #windowPackets: number;
  readonly #windowSeconds: number;
  /** Arrival in Unix seconds of id `highest - i` at (`#head` - i) mod size; UNSEEN where it has not come. */
  readonly #arrivals: Float64Array;
  #head = 0;
  #time = 0;
  #highest = 0;

  constructor(windowPackets: number, windowSeconds: number) {
    this.#windowPackets = windowPackets;
    this.#windowSeconds = windowSeconds;
    this.#arrivals = new Float64Array(windowPackets);
  }

  /** Whether the packet is fresh; a fresh one is remembered. Call only for authenticated packets. */
  accept(packetId: number, time: number, unixSeconds: number): boolean {
    if (packetId === 0 || time < this.#time) return false;
    const now = Math.max(1, unixSeconds);
    if (time > this.#time) {
      this.#time = time;
      this.#highest = packetId;
      this.#arrivals.fill(UNSEEN);
      this.#head = 0;
      if (this.#windowPackets > 0) this.#arrivals[0] = now;
      return true;
    }
    if (this.#windowPackets === 0) {
      if (packetId !== this.#highest + 1) return false;
      this.#highest = packetId;
      return true;
    }
    if (packetId > this.#highest) {
      this.#advance(packetId - this.#highest);
      this.#highest = packetId;
      this.#arrivals[this.#head] = now;
      return true;
    }
    const age = this.#highest - packetId;
    if (age >= this.#windowPackets || this.#arrivals[this.#slot(age)] !== UNSEEN) return false;
    for (let newer = 0; newer < age; newer++) {
      const arrival = this.#arrivals[this.#slot(newer)] ?? UNSEEN;
      if (arrival !== UNSEEN && arrival + this.#windowSeconds < now) return false;
    }
    this.#arrivals[this.#slot(age)] = now;
    return true;
  }

  #slot(age: number): number {
    return (this.#head - age + this.#windowPackets) % this.#windowPackets;
  }

  #advance(steps: number): void {
    if (steps >= this.#windowPackets) {
      this.#arrivals.fill(UNSEEN);
      this.#head = 0;
      return;
    }
    for (let i = 0; i < steps; i++) {
      this.#head = (this.#head + 1) % this.#windowPackets;
      this.#arrivals[this.#head] = UNSEEN;
    }
  }
}
