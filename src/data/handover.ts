// A plane may have several engines, each on a thread of its own. All of them know all devices, links and peers; each
// direction of a peer has one engine that owns it: one opens its packets (replay window, reassembly, floats), one seals
// them (packet-ids), often the same. Packets of one key from two threads would overtake each other past the 64 packet-ids
// that real peers accept.
//
// An engine that has a packet in hand which is another's business hands it over: the bytes are copied, and the other
// engine goes on where this one stopped.

import type { DeviceId, LinkId, PeerHandle } from './plane.ts';
import type { Verdict } from './verdict.ts';

/** Which engines own a peer, by number. */
export interface PeerOwners {
  readonly opens: number;
  readonly seals: number;
}

/** What is handed over, and what `id` and `about` of it are. */
export const Handover = {
  /** A packet that a device gave for a peer: its handle. */
  deviceToPeer: 1,
  /** A packet of one peer for another: the handle of the other. */
  peerToPeer: 2,
  /** A packet that a device gave for all peers: the device. */
  deviceToAll: 3,
  /** A packet of a peer for all others: the device, and the handle of the sender. */
  peerToAll: 4,
  /** A data packet as it came: the link; `source` is where from. */
  linkPacket: 5,
} as const;
export type Handover = (typeof Handover)[keyof typeof Handover];

/**
 * Copies a packet for another engine, `source` (the offset of a packed address) with it. The other engine's copy has the
 * usual room around it. A drop code when it could not be taken.
 */
export type HandOver = (
  engine: number,
  what: Handover,
  id: DeviceId | LinkId | PeerHandle,
  about: number,
  source: number,
  offset: number,
  length: number,
) => Verdict;
