// `--shaper`: what goes to a peer takes its time at the rate that it may have, and its device is not read again before that
// time is over, so that what comes too fast waits where it comes from. A device that can't be left alone (a program's)
// loses what it gives more than a second early.

import { IpProtocol } from '../ip/packet.ts';
import type { Device, Peer, PlaneState } from './plane-state.ts';

/** A packet counts as this much at least; the C program's figure. */
const PACKET_BYTES_MIN = 100;
/** The longest that one packet may hold the next one up; the C program's figure. */
const PACKET_MS_MAX = 10_000;
const EARLY_MS_MAX = 1_000;
/** What was not used lately counts still: a loop that wakes a little late must not lose its rate. */
const CREDIT_MS = 10;
/** Shorter rests are not worth a look at the clock. */
const REST_MS_MIN = 1;
const HEADERS_BYTES = { udp4: 20 + 8, udp6: 40 + 8, tcp4: 20 + 20, tcp6: 40 + 20 } as const;

/** Counts a packet of so many bytes that was sent to a peer with a limit. */
export function pace(state: PlaneState, peer: Peer, packetBytes: number): void {
  const device = state.devices.get(peer.device);
  if (device === undefined) return;
  const bytes = Math.max(packetBytes + headersOf(state, peer), PACKET_BYTES_MIN);
  const tookMs = Math.min((bytes * 1000) / peer.bytesPerSecond, PACKET_MS_MAX);
  device.paidMs = Math.max(device.paidMs, state.nowMs - CREDIT_MS) + tookMs;
}

/** Until when the device should rest; 0 for not at all. */
export function restUntilMs(device: Device, nowMs: number): number {
  return device.paidMs - nowMs < REST_MS_MIN ? 0 : device.paidMs;
}

/** Whether a packet of the device may follow those before it. */
export function mayTakeMore(device: Device, nowMs: number): boolean {
  return device.paidMs - nowMs <= EARLY_MS_MAX;
}

function headersOf(state: PlaneState, peer: Peer): number {
  const tcp = state.links.get(peer.link)?.protocol === IpProtocol.tcp;
  if (state.arena.view.getUint8(peer.address) === 4) return tcp ? HEADERS_BYTES.tcp4 : HEADERS_BYTES.udp4;
  return tcp ? HEADERS_BYTES.tcp6 : HEADERS_BYTES.udp6;
}
