// Packets that another engine of the plane has handed over, from where it stopped; those of links go on in packet-in.ts.

import { ethernetHeaderLength } from '../ip/packet.ts';
import { sendToOwn } from './forward.ts';
import { Handover } from './handover.ts';
import { clampToPeer, sendFromDevice, sendPayload } from './packet-out.ts';
import type { Peer, PlaneState } from './plane-state.ts';
import { dropCode } from './verdict.ts';

const NO_PEER = dropCode('no-peer');
const DEVICE_ERROR = dropCode('device-error');

/** Sends a packet of a device or of a peer to the peer, or the peers, that this engine seals for. */
export function handleHandedPacket(
  state: PlaneState,
  what: Exclude<Handover, typeof Handover.linkPacket>,
  id: number,
  about: number,
  offset: number,
  length: number,
): void {
  switch (what) {
    case Handover.deviceToPeer:
    case Handover.peerToPeer:
      sendToOne(state, what, state.peers.get(id), offset, length);
      return;
    case Handover.deviceToAll:
    case Handover.peerToAll:
      sendToMany(state, what, id, about, offset, length);
      return;
    default:
      what satisfies never;
  }
}

/** The peer may be gone meanwhile. */
function sendToOne(state: PlaneState, what: Handover, peer: Peer | undefined, offset: number, length: number): void {
  if (peer === undefined) {
    state.drop(NO_PEER, undefined, 0, undefined);
    return;
  }
  const isIp = parseInner(state, peer, offset, length);
  if (what === Handover.deviceToPeer) {
    sendFromDevice(state, peer, isIp, offset, length);
    return;
  }
  if (isIp) clampToPeer(state.arena.view, state.inner, peer);
  state.span.offset = offset;
  state.span.length = length;
  sendPayload(state, peer, state.span);
}

function sendToMany(
  state: PlaneState,
  what: Handover,
  device: number,
  sender: number,
  offset: number,
  length: number,
): void {
  const known = state.devices.get(device);
  const except = what === Handover.peerToAll ? state.peers.get(sender) : undefined;
  if (known === undefined) state.countDrop(DEVICE_ERROR);
  else if (what === Handover.peerToAll && except === undefined) state.countDrop(NO_PEER);
  else sendToOwn(state, known, except, offset, length);
}

function parseInner(state: PlaneState, peer: Peer, offset: number, length: number): boolean {
  const { view } = state.arena;
  const isTap = state.devices.get(peer.device)?.layer === 'tap';
  const frameHeader = isTap ? ethernetHeaderLength(view, offset, length) : 0;
  return frameHeader >= 0 && state.inner.parse(view, offset + frameHeader, length - frameHeader);
}
