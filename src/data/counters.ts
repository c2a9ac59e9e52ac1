// Counters of a plane and its peers in one Float64Array, which may lie in a SharedArrayBuffer: the thread that moves
// packets writes, any thread reads at once. Each number is aligned to 8 bytes and written by one thread only; x64 and
// arm64 store such a number whole, so a reader sees an old or a new value and nothing between.
//
//   0..63             the plane: drops by cause (drop code 1 at 0), then the link and device totals from PLANE_TOTALS
//   64 + 16 * slot    a peer's counters, in the order of PeerCounter

import { DROP_CAUSES, type DropCause, type PeerStatistics, type PlaneStatistics } from './plane.ts';

const PLANE_TOTALS = 48;
const PLANE_COUNTERS = 64;
const PEER_COUNTERS = 16;

/** Places of the plane's totals. */
export const PlaneCounter = {
  linkReadBytes: PLANE_TOTALS,
  linkWriteBytes: PLANE_TOTALS + 1,
  deviceReadBytes: PLANE_TOTALS + 2,
  deviceWriteBytes: PLANE_TOTALS + 3,
  linkReadPackets: PLANE_TOTALS + 4,
  linkWritePackets: PLANE_TOTALS + 5,
  deviceReadPackets: PLANE_TOTALS + 6,
  deviceWritePackets: PLANE_TOTALS + 7,
  /** Packets for which the way into a device in memory had no room; written by the thread at its other end. */
  deviceEndDrops: PLANE_TOTALS + 8,
  linkReadCalls: PLANE_TOTALS + 9,
  linkWriteCalls: PLANE_TOTALS + 10,
  deviceReadCalls: PLANE_TOTALS + 11,
  deviceWriteCalls: PLANE_TOTALS + 12,
} as const;

/** Places of a peer's counters, from its base. */
export const PeerCounter = {
  deviceReadBytes: 0,
  deviceWriteBytes: 1,
  deviceReadPackets: 2,
  deviceWritePackets: 3,
  linkReadBytes: 4,
  linkWriteBytes: 5,
  linkReadPackets: 6,
  linkWritePackets: 7,
  lastReceivedMs: 8,
  lastSentMs: 9,
  lastPayloadMs: 10,
} as const;

/** Bytes that the counters of a plane with so many peer slots take. */
export function countersByteLength(peerSlots: number): number {
  return (PLANE_COUNTERS + PEER_COUNTERS * peerSlots) * 8;
}

/** The index of a peer slot's first counter. */
export function peerCounterBase(slot: number): number {
  return PLANE_COUNTERS + PEER_COUNTERS * slot;
}

/** Sets a peer slot's counters to zero before it is used again. */
export function clearPeerCounters(counters: Float64Array, slot: number): void {
  const base = peerCounterBase(slot);
  counters.fill(0, base, base + PEER_COUNTERS);
}

/** A peer's counters as they are now. */
export function readPeerStatistics(counters: Float64Array, slot: number): PeerStatistics {
  const base = peerCounterBase(slot);
  const at = (counter: number): number => counters[base + counter] ?? 0;
  return {
    deviceReadBytes: at(PeerCounter.deviceReadBytes),
    deviceWriteBytes: at(PeerCounter.deviceWriteBytes),
    deviceReadPackets: at(PeerCounter.deviceReadPackets),
    deviceWritePackets: at(PeerCounter.deviceWritePackets),
    linkReadBytes: at(PeerCounter.linkReadBytes),
    linkWriteBytes: at(PeerCounter.linkWriteBytes),
    linkReadPackets: at(PeerCounter.linkReadPackets),
    linkWritePackets: at(PeerCounter.linkWritePackets),
    lastReceivedMs: at(PeerCounter.lastReceivedMs),
    lastSentMs: at(PeerCounter.lastSentMs),
    lastPayloadMs: at(PeerCounter.lastPayloadMs),
  };
}

/** The plane's counters as they are now. */
export function readPlaneStatistics(counters: Float64Array): PlaneStatistics {
  const drops = Object.fromEntries(DROP_CAUSES.map((cause, index) => [cause, counters[index] ?? 0])) as Record<
    DropCause,
    number
  >;
  drops['device-full'] += counters[PlaneCounter.deviceEndDrops] ?? 0;
  return {
    drops,
    linkReadBytes: counters[PlaneCounter.linkReadBytes] ?? 0,
    linkWriteBytes: counters[PlaneCounter.linkWriteBytes] ?? 0,
    deviceReadBytes: counters[PlaneCounter.deviceReadBytes] ?? 0,
    deviceWriteBytes: counters[PlaneCounter.deviceWriteBytes] ?? 0,
    linkReadPackets: counters[PlaneCounter.linkReadPackets] ?? 0,
    linkWritePackets: counters[PlaneCounter.linkWritePackets] ?? 0,
    deviceReadPackets: counters[PlaneCounter.deviceReadPackets] ?? 0,
    deviceWritePackets: counters[PlaneCounter.deviceWritePackets] ?? 0,
    linkReadCalls: counters[PlaneCounter.linkReadCalls] ?? 0,
    linkWriteCalls: counters[PlaneCounter.linkWriteCalls] ?? 0,
    deviceReadCalls: counters[PlaneCounter.deviceReadCalls] ?? 0,
    deviceWriteCalls: counters[PlaneCounter.deviceWriteCalls] ?? 0,
  };
}

/** What one peer's counters are together, where several threads each have some of its own. */
export function sumPeerStatistics(parts: readonly PeerStatistics[]): PeerStatistics {
  return parts.reduce((sum, part) => ({
    deviceReadBytes: sum.deviceReadBytes + part.deviceReadBytes,
    deviceWriteBytes: sum.deviceWriteBytes + part.deviceWriteBytes,
    deviceReadPackets: sum.deviceReadPackets + part.deviceReadPackets,
    deviceWritePackets: sum.deviceWritePackets + part.deviceWritePackets,
    linkReadBytes: sum.linkReadBytes + part.linkReadBytes,
    linkWriteBytes: sum.linkWriteBytes + part.linkWriteBytes,
    linkReadPackets: sum.linkReadPackets + part.linkReadPackets,
    linkWritePackets: sum.linkWritePackets + part.linkWritePackets,
    lastReceivedMs: Math.max(sum.lastReceivedMs, part.lastReceivedMs),
    lastSentMs: Math.max(sum.lastSentMs, part.lastSentMs),
    lastPayloadMs: Math.max(sum.lastPayloadMs, part.lastPayloadMs),
  }));
}

/** A plane's counters together, and those of each of its threads where there are several. */
export function sumPlaneStatistics(parts: readonly PlaneStatistics[]): PlaneStatistics {
  const sum = parts.reduce((sum, part) => ({
    drops: Object.fromEntries(DROP_CAUSES.map((cause) => [cause, sum.drops[cause] + part.drops[cause]])) as Record<
      DropCause,
      number
    >,
    linkReadBytes: sum.linkReadBytes + part.linkReadBytes,
    linkWriteBytes: sum.linkWriteBytes + part.linkWriteBytes,
    linkReadPackets: sum.linkReadPackets + part.linkReadPackets,
    linkWritePackets: sum.linkWritePackets + part.linkWritePackets,
    deviceReadBytes: sum.deviceReadBytes + part.deviceReadBytes,
    deviceWriteBytes: sum.deviceWriteBytes + part.deviceWriteBytes,
    deviceReadPackets: sum.deviceReadPackets + part.deviceReadPackets,
    deviceWritePackets: sum.deviceWritePackets + part.deviceWritePackets,
    linkReadCalls: sum.linkReadCalls + part.linkReadCalls,
    linkWriteCalls: sum.linkWriteCalls + part.linkWriteCalls,
    deviceReadCalls: sum.deviceReadCalls + part.deviceReadCalls,
    deviceWriteCalls: sum.deviceWriteCalls + part.deviceWriteCalls,
  }));
  return parts.length > 1 ? { ...sum, workers: parts } : sum;
}

/** Peer slots, handed out by whoever chooses the peers' handles. */
export class CounterSlots {
  readonly #free: number[];

  constructor(peerSlots: number) {
    this.#free = Array.from({ length: peerSlots }, (_, index) => peerSlots - 1 - index);
  }

  /** A free slot; throws when every one is in use. */
  take(): number {
    const slot = this.#free.pop();
    if (slot === undefined) throw new RangeError('the plane holds no more peers');
    return slot;
  }

  give(slot: number): void {
    this.#free.push(slot);
  }
}
