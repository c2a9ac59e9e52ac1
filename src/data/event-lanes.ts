// What goes up to the control plane, in order of urgency: notices (few by their nature), what known peers sent, what
// strangers sent. The two lanes are bounded, counting what the consumer has been given and not yet worked off, so that a
// flood of strangers can neither grow memory nor delay a live session.

import type { PlaneEvent } from './plane.ts';

/** Strangers' packets that the consumer may hold at once; more would stand before a known peer's packet. */
const UNKNOWN_IN_FLIGHT = 16;

export interface LaneCapacity {
  readonly known: number;
  readonly unknown: number;
}

/** The queue between the packet path and its consumer. */
export class EventLanes {
  readonly #capacity: LaneCapacity;
  readonly #notices: PlaneEvent[] = [];
  readonly #known: PlaneEvent[] = [];
  readonly #unknown: PlaneEvent[] = [];
  #knownInFlight = 0;
  #unknownInFlight = 0;

  constructor(capacity: LaneCapacity) {
    this.#capacity = capacity;
  }

  pushNotice(event: PlaneEvent): void {
    this.#notices.push(event);
  }

  hasRoomForKnown(): boolean {
    return this.#known.length + this.#knownInFlight < this.#capacity.known;
  }

  pushKnown(event: PlaneEvent): void {
    this.#known.push(event);
  }

  hasRoomForUnknown(): boolean {
    return this.#unknown.length + this.#unknownInFlight < this.#capacity.unknown;
  }

  pushUnknown(event: PlaneEvent): void {
    this.#unknown.push(event);
  }

  poll(): PlaneEvent | undefined {
    const notice = this.#notices.shift();
    if (notice !== undefined) return notice;
    const known = this.#known.shift();
    if (known !== undefined) {
      this.#knownInFlight++;
      return known;
    }
    if (this.#unknownInFlight >= UNKNOWN_IN_FLIGHT) return undefined;
    const unknown = this.#unknown.shift();
    if (unknown !== undefined) this.#unknownInFlight++;
    return unknown;
  }

  handleTaken(known: number, unknown: number): void {
    this.#knownInFlight = Math.max(0, this.#knownInFlight - known);
    this.#unknownInFlight = Math.max(0, this.#unknownInFlight - unknown);
  }

  clear(): void {
    this.#notices.length = 0;
    this.#known.length = 0;
    this.#unknown.length = 0;
  }
}

/** Which lane's room an event takes up while the consumer has it; what `handleTaken` is told. */
export function laneOf(event: PlaneEvent): 'known' | 'unknown' | 'none' {
  if (event.type === 'in-band') return 'known';
  if (event.type === 'control') return event.known ? 'known' : 'unknown';
  return 'none';
}
