// Packets for peers of the same device: from one to another (`--client-to-client`), and multicast to all of them. They
// are sealed anew for each receiver and never touch the device.

import type { InnerPacket } from '../ip/packet.ts';
import { PeerCounter } from './counters.ts';
import { isGroupFrame } from './frame-switch.ts';
import { clampToPeer, sendPayload } from './packet-out.ts';
import type { Device, Peer, PlaneState } from './plane-state.ts';
import { V1_HEADER_BYTES, V2_HEADER_BYTES } from './seal.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

const NO_PEER = dropCode('no-peer');

/** Whether the packet goes to a group: 224.0.0.0/4 or ff00::/8. */
export function isMulticast(view: DataView, inner: InnerPacket): boolean {
  const first = view.getUint8(inner.destination);
  return inner.version === 4 ? first >> 4 === 0xe : first === 0xff;
}

/**
 * Sends the packet in hand, whose sender is known, to the peers of the device that it is for. True when it has no business
 * in the device any more: its receiver is a peer. That may be the sender itself, as with the C program.
 */
export function forwardToPeers(state: PlaneState, device: Device, sender: Peer): boolean {
  const { inner, span } = state;
  const { view } = state.arena;
  if (isMulticast(view, inner)) {
    const { offset, length } = span;
    if (device.peers.length > 1) sendToAll(state, device, sender, offset, length);
    span.offset = offset;
    span.length = length;
    return false;
  }
  const receiver = state.peers.get(device.prefixes.lookup(view, inner.destination, inner.version));
  if (receiver === undefined) return false;
  clampToPeer(view, inner, receiver);
  sendOn(state, sender, receiver);
  return true;
}

/** As `forwardToPeers`, for the frame in hand; `isIp`: its inner packet is looked at. */
export function forwardFrame(state: PlaneState, device: Device, sender: Peer, isIp: boolean): boolean {
  const { span, inner } = state;
  const { view } = state.arena;
  const { offset, length } = span;
  if (isGroupFrame(view, offset)) {
    if (device.peers.length > 1) sendToAll(state, device, sender, offset, length);
    span.offset = offset;
    span.length = length;
    return false;
  }
  const receiver = state.peers.get(device.frames?.macs.owner(view, offset, state.nowMs) ?? 0);
  if (receiver === undefined) return false;
  if (isIp) clampToPeer(view, inner, receiver);
  sendOn(state, sender, receiver);
  return true;
}

/** Seals the packet in hand for its receiver, in its place or beside it. */
function sendOn(state: PlaneState, sender: Peer, receiver: Peer): void {
  const { span } = state;
  if (!fitsInPlace(state, receiver)) {
    state.arena.bytes.copyWithin(state.copy, span.offset, span.offset + span.length);
    span.offset = state.copy;
  }
  sendPayload(state, receiver, span);
  state.counters[sender.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
}

/**
 * Whether the packet in hand can be sealed where it lies: what was taken off at its front is room enough, and nothing
 * comes behind it. Around that are other packets of the batch.
 */
function fitsInPlace(
  { span, packetStart }: PlaneState,
  { sendKey, compression, fragmentBytes, sendPeerId }: Peer,
): boolean {
  if (sendKey?.kind !== 'aead' || compression !== 'none' || fragmentBytes !== 0) return false;
  const headerBytes = sendPeerId === undefined ? V1_HEADER_BYTES : V2_HEADER_BYTES;
  return span.offset - packetStart >= sendKey.overheadBytes + headerBytes;
}

/** Sends a copy to every peer of the device that has a key, but for one. The packet itself stays as it is. */
export function sendToAll(
  state: PlaneState,
  device: Device,
  except: Peer | undefined,
  offset: number,
  length: number,
): Verdict {
  const { peers } = device;
  let receivers = 0;
  for (let index = 0; index < peers.length; index++) {
    const peer = peers[index]!;
    if (peer === except || peer.sendKey === undefined || !peer.hasAddress) continue;
    receivers++;
    state.arena.bytes.copyWithin(state.copy, offset, offset + length);
    state.span.offset = state.copy;
    state.span.length = length;
    if (sendPayload(state, peer, state.span) !== PASS || except !== undefined) continue;
    state.counters[peer.counterBase + PeerCounter.deviceReadBytes]! += length;
    state.counters[peer.counterBase + PeerCounter.deviceReadPackets]!++;
    state.counters[peer.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
  }
  return receivers > 0 || except !== undefined ? PASS : state.drop(NO_PEER, undefined, 0, undefined);
}
