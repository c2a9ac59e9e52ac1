// What goes up to the control plane, in order of urgency: notices (few by their nature), what known peers sent, what
// strangers sent. Strangers have two lanes: packets that can prove an address (they carry the cookie of our answer back),
// and first packets, which anybody can make by the million. Every lane is bounded, counting what the consumer has been
// given and not yet worked off; so is each peer's share of the known lane. A flood of strangers can neither grow memory
// nor delay a live session nor shut out a client that is proving its address, and a known peer can not shut out another.

import type { PlaneEvent } from './plane.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Strangers' packets of each kind that the consumer may hold at once; more would stand before a known peer's packet. */
const STRANGERS_IN_FLIGHT = 16;
/** No handshake has more packets under way than that. */
const PEER_SHARE_MIN = 16;

const LANE_KNOWN_FULL = dropCode('lane-known-full');
const LANE_PEER_FULL = dropCode('lane-peer-full');
const LANE_PROOFS_FULL = dropCode('lane-proofs-full');
const LANE_RESETS_FULL = dropCode('lane-resets-full');

export interface LaneCapacity {
  readonly known: number;
  /** Of each of the two kinds. */
  readonly unknown: number;
  /** What one peer may take up of the known lane. A quarter of it when absent, but 16 at least. */
  readonly perPeer?: number | undefined;
}

/** Whoever has a share of the known lane. */
export interface LaneSharer {
  /** Events that wait for the consumer, or are with it. */
  inLane: number;
}

/** The queue between the packet path and its consumer. */
export class EventLanes {
  readonly #capacity: LaneCapacity;
  readonly #peerShare: number;
  readonly #notices: PlaneEvent[] = [];
  readonly #known: PlaneEvent[] = [];
  readonly #proofs: PlaneEvent[] = [];
  readonly #resets: PlaneEvent[] = [];
  /** Whose the waiting events of known peers are, in the same order. */
  readonly #owners: LaneSharer[] = [];
  /** Whose the events are that the consumer has, in the order in which it got them. */
  readonly #handedOut: LaneSharer[] = [];
  readonly #proofSharer: LaneSharer = { inLane: 0 };
  readonly #resetSharer: LaneSharer = { inLane: 0 };
  #knownCount = 0;

  constructor(capacity: LaneCapacity) {
    this.#capacity = capacity;
    this.#peerShare = capacity.perPeer ?? Math.max(PEER_SHARE_MIN, capacity.known >> 2);
  }

  pushNotice(event: PlaneEvent): void {
    this.#notices.push(event);
  }

  /** Whether there is room for an event of this peer; else why not. */
  roomForKnown(sharer: LaneSharer): Verdict {
    if (this.#knownCount >= this.#capacity.known) return LANE_KNOWN_FULL;
    return sharer.inLane < this.#peerShare ? PASS : LANE_PEER_FULL;
  }

  pushKnown(event: PlaneEvent, sharer: LaneSharer): void {
    sharer.inLane++;
    this.#knownCount++;
    this.#owners.push(sharer);
    this.#known.push(event);
  }

  roomForProof(): Verdict {
    return this.#proofSharer.inLane < this.#capacity.unknown ? PASS : LANE_PROOFS_FULL;
  }

  pushProof(event: PlaneEvent): void {
    this.#proofSharer.inLane++;
    this.#proofs.push(event);
  }

  roomForReset(): Verdict {
    return this.#resetSharer.inLane < this.#capacity.unknown ? PASS : LANE_RESETS_FULL;
  }

  pushReset(event: PlaneEvent): void {
    this.#resetSharer.inLane++;
    this.#resets.push(event);
  }

  /** Whether no event waits, not even one of a stranger's that has to. */
  get isEmpty(): boolean {
    return (
      this.#notices.length === 0 && this.#known.length === 0 && this.#proofs.length === 0 && this.#resets.length === 0
    );
  }

  poll(): PlaneEvent | undefined {
    const notice = this.#notices.shift();
    if (notice !== undefined) return notice;
    const known = this.#known.shift();
    if (known !== undefined) {
      this.#handedOut.push(this.#owners.shift()!);
      return known;
    }
    return this.#pollStrangers(this.#proofs, this.#proofSharer) ?? this.#pollStrangers(this.#resets, this.#resetSharer);
  }

  /** The consumer has worked off so many more of the events for which `takesRoom` holds. */
  handleTaken(count: number): void {
    for (let left = count; left > 0; left--) {
      const sharer = this.#handedOut.shift();
      if (sharer === undefined) return;
      sharer.inLane--;
      if (sharer !== this.#proofSharer && sharer !== this.#resetSharer) this.#knownCount--;
    }
  }

  clear(): void {
    for (const queue of [this.#notices, this.#known, this.#proofs, this.#resets, this.#owners]) queue.length = 0;
  }

  #pollStrangers(waiting: PlaneEvent[], sharer: LaneSharer): PlaneEvent | undefined {
    if (waiting.length === 0 || sharer.inLane - waiting.length >= STRANGERS_IN_FLIGHT) return undefined;
    this.#handedOut.push(sharer);
    return waiting.shift();
  }
}

/** Whether an event takes up room in a lane while the consumer has it; what `handleTaken` counts. */
export function takesRoom(event: PlaneEvent): boolean {
  return event.type === 'control' || event.type === 'in-band';
}
