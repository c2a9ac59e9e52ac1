// Packets for peers of the same device: from one to another (`--client-to-client`), and multicast to all of them. They
// are sealed anew for each receiver and never touch the device.

import type { InnerPacket } from '../ip/packet.ts';
import { PeerCounter } from './counters.ts';
import { Handover } from './handover.ts';
import { clampToPeer, handOver, sendPayload } from './packet-out.ts';
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
  state.counters[sender.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
  if (receiver.sealsAt !== state.engine) {
    handOver(state, receiver.sealsAt, Handover.peerToPeer, receiver.handle, 0, 0, span.offset, span.length);
    return true;
  }
  clampToPeer(view, inner, receiver);
  if (!fitsInPlace(state, receiver)) {
    state.arena.bytes.copyWithin(state.copy, span.offset, span.offset + span.length);
    span.offset = state.copy;
  }
  sendPayload(state, receiver, span);
  return true;
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

/**
 * Sends a copy to every peer of the device that has a key, but for one; other engines get one for theirs. The packet itself
 * stays as it is.
 */
export function sendToAll(
  state: PlaneState,
  device: Device,
  except: Peer | undefined,
  offset: number,
  length: number,
): Verdict {
  const { peers } = device;
  let others = 0;
  for (let index = 0; index < peers.length; index++) {
    const { sealsAt } = peers[index]!;
    if (sealsAt === state.engine || (others & (1 << sealsAt)) !== 0) continue;
    others |= 1 << sealsAt;
    if (except === undefined) handOver(state, sealsAt, Handover.deviceToAll, device.id, 0, 0, offset, length);
    else handOver(state, sealsAt, Handover.peerToAll, device.id, except.handle, 0, offset, length);
  }
  const receivers = sendToOwn(state, device, except, offset, length);
  return receivers > 0 || others !== 0 || except !== undefined ? PASS : state.drop(NO_PEER, undefined, 0, undefined);
}

/** Sends a copy to the peers that this engine seals for, and says how many they were. */
export function sendToOwn(
  state: PlaneState,
  device: Device,
  except: Peer | undefined,
  offset: number,
  length: number,
): number {
  const { peers } = device;
  let receivers = 0;
  for (let index = 0; index < peers.length; index++) {
    const peer = peers[index]!;
    if (peer === except || peer.sendKey === undefined || !peer.hasAddress || peer.sealsAt !== state.engine) continue;
    receivers++;
    state.arena.bytes.copyWithin(state.copy, offset, offset + length);
    state.span.offset = state.copy;
    state.span.length = length;
    if (sendPayload(state, peer, state.span) !== PASS || except !== undefined) continue;
    state.counters[peer.counterBase + PeerCounter.deviceReadBytes]! += length;
    state.counters[peer.counterBase + PeerCounter.deviceReadPackets]!++;
    state.counters[peer.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
  }
  return receivers;
}
