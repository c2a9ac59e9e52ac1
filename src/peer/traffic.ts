// What the plane has seen of a peer, as a session judges silence by it.

import type { DataPlane, PeerHandle } from '../data/plane.ts';
import type { Traffic } from '../session/session.ts';

const NO_TRAFFIC: Traffic = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };

/** `peer`: one that lives; undefined where the plane has none yet, or no longer. */
export function trafficOf(plane: Pick<DataPlane, 'peerStatistics'>, peer: PeerHandle | undefined): Traffic {
  if (peer === undefined) return NO_TRAFFIC;
  const { lastReceivedMs, lastPayloadMs, deviceReadBytes, deviceWriteBytes } = plane.peerStatistics(peer);
  return { lastReceivedMs, lastPayloadMs, payloadBytes: deviceReadBytes + deviceWriteBytes };
}
