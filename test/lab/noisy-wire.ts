// A wire that loses, repeats, reorders and corrupts packets, all from one printed seed.

export interface Noise {
  /** Shares of packets, 0 to 1. */
  readonly lose: number;
  readonly repeat: number;
  readonly corrupt: number;
  /** Packets take from `delayMs` to `delayMs + jitterMs`; jitter reorders. */
  readonly delayMs: number;
  readonly jitterMs: number;
}

export const QUIET: Noise = { lose: 0, repeat: 0, corrupt: 0, delayMs: 10, jitterMs: 0 };
export const NOISY: Noise = { lose: 0.3, repeat: 0.15, corrupt: 0.05, delayMs: 10, jitterMs: 40 };

/** A small generator of good enough randomness (mulberry32), the same everywhere for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

interface Flight<T> {
  readonly atMs: number;
  readonly order: number;
  readonly bytes: Uint8Array;
  readonly to: T;
}

/** Carries packets between ends named by T. */
export class NoisyWire<T> {
  readonly #random: () => number;
  #noise: Noise;
  #flights: Flight<T>[] = [];
  #order = 0;
  /** Every packet that was sent, before noise. */
  readonly sent: { readonly to: T; readonly bytes: Uint8Array; readonly atMs: number }[] = [];

  constructor(seed: number, noise: Noise) {
    this.#random = seededRandom(seed);
    this.#noise = noise;
  }

  setNoise(noise: Noise): void {
    this.#noise = noise;
  }

  send(to: T, bytes: Uint8Array, nowMs: number): void {
    this.sent.push({ to, bytes: bytes.slice(), atMs: nowMs });
    const noise = this.#noise;
    const copies = this.#random() < noise.repeat ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random() < noise.lose) continue;
      const carried = bytes.slice();
      if (carried.length > 0 && this.#random() < noise.corrupt) {
        const at = Math.floor(this.#random() * carried.length);
        carried[at] = (carried[at] ?? 0) ^ (1 << Math.floor(this.#random() * 8));
      }
      const atMs = nowMs + noise.delayMs + this.#random() * noise.jitterMs;
      this.#flights.push({ atMs, order: this.#order++, bytes: carried, to });
    }
  }

  /** The packet that has arrived by now, first come first. */
  poll(nowMs: number): { readonly to: T; readonly bytes: Uint8Array } | undefined {
    let best = -1;
    for (let i = 0; i < this.#flights.length; i++) {
      const flight = this.#flights[i];
      const first = this.#flights[best];
      if (flight === undefined || flight.atMs > nowMs) continue;
      if (first === undefined || flight.atMs < first.atMs || (flight.atMs === first.atMs && flight.order < first.order))
        best = i;
    }
    return best < 0 ? undefined : this.#flights.splice(best, 1)[0];
  }

  nextMs(): number | undefined {
    return this.#flights.reduce<number | undefined>(
      (first, flight) => (first === undefined || flight.atMs < first ? flight.atMs : first),
      undefined,
    );
  }
}
