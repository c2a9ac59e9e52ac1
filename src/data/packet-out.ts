// Packet out, top to bottom: read from a device, sealed, sent over a link.

import { translate } from '../ip/client-nat.ts';
import { writeIcmp6Unreachable } from '../ip/icmp6-unreachable.ts';
import { clampMss } from '../ip/mss-clamp.ts';
import { ETHERNET_BYTES, ethernetHeaderLength, type InnerPacket } from '../ip/packet.ts';
import type { PacketSpan } from './arena.ts';
import { frameUncompressed } from './compression.ts';
import { PeerCounter, PlaneCounter } from './counters.ts';
import { type DataKey, payloadCapacity } from './data-key.ts';
import { isMulticast, sendToAll } from './forward.ts';
import { FRAGMENT_HEADER_BYTES, fragmentSize, writePartHeader, writeWholeHeader } from './fragment.ts';
import { isGroupFrame } from './frame-switch.ts';
import { Handover } from './handover.ts';
import { mayTakeMore, pace } from './pacing.ts';
import type { DeviceId, PeerHandle } from './plane.ts';
import type { Device, Peer, PlaneState } from './plane-state.ts';
import { sealPacket, V1_HEADER_BYTES, V2_HEADER_BYTES } from './seal.ts';
import type { UsageReason } from './usage-limits.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

const BAD_INNER_PACKET = dropCode('bad-inner-packet');
const TOO_BIG = dropCode('too-big');
const IPV6_BLOCKED = dropCode('ipv6-blocked');
const DEVICE_ERROR = dropCode('device-error');
const NO_PEER = dropCode('no-peer');
const NO_KEY = dropCode('no-key');
const RECURSIVE = dropCode('recursive');
const WORKER_FULL = dropCode('worker-full');
const LINK_FULL = dropCode('link-full');

/** What a frame may have beside the MTU: its header, and tags of whatever kind in the room that tun-mtu-extra leaves to TAP. */
const TAP_HEADER_BYTES = ETHERNET_BYTES + 32;

/** One packet (tun) or frame (tap) from a device. Drops are counted here; the verdict says what became of it. */
export function handleDevicePacket(state: PlaneState, id: DeviceId, offset: number, length: number): Verdict {
  const device = state.devices.get(id);
  if (device === undefined) return DEVICE_ERROR;
  if (device.layer === 'null' || length === 0) return PASS;
  state.counters[PlaneCounter.deviceReadBytes]! += length;
  state.counters[PlaneCounter.deviceReadPackets]!++;

  const { inner } = state;
  const view = state.arena.view;
  const tap = device.layer === 'tap';
  const frameHeader = tap ? ethernetHeaderLength(view, offset, length) : 0;
  const isIp = frameHeader >= 0 && inner.parse(view, offset + frameHeader, length - frameHeader);
  if (!isIp && !tap) return state.drop(BAD_INNER_PACKET, undefined, 0, undefined);
  if (length > device.mtuBytes + (tap ? TAP_HEADER_BYTES : 0)) return state.drop(TOO_BIG, undefined, 0, undefined);
  if (isIp && inner.version === 6 && device.blockIpv6) return answerUnreachable(state, device, offset, frameHeader);

  const toGroup = tap ? device.frames !== undefined && isGroupFrame(view, offset) : isMulticast(view, inner);
  if (toGroup && device.peers.length > 1) {
    state.trafficClass = isIp ? inner.trafficClass(view) : 0;
    return sendToAll(state, device, undefined, offset, length);
  }
  const toOnly = toGroup || (tap && device.frames === undefined);
  const peer = toOnly ? device.peers.at(-1) : state.peers.get(ownerOf(state, device, offset));
  if (peer === undefined) return state.drop(NO_PEER, undefined, 0, undefined);
  if (peer.sealsAt !== state.engine) {
    return handOver(state, peer.sealsAt, Handover.deviceToPeer, peer.handle, 0, 0, offset, length);
  }
  return sendFromDevice(state, peer, isIp, offset, length);
}

/** Sends a packet that a device gave to the peer that it is for. `isIp`: its header is in hand. */
export function sendFromDevice(state: PlaneState, peer: Peer, isIp: boolean, offset: number, length: number): Verdict {
  const { inner } = state;
  const { view } = state.arena;
  if (isIp && peer.dropRecursive && isRecursive(state, peer, inner)) {
    return state.drop(RECURSIVE, peer, peer.address, undefined, inner.source);
  }
  if (peer.bytesPerSecond > 0 && isEarly(state, peer)) return refuse(state, peer, LINK_FULL);
  state.trafficClass = isIp && peer.copyTrafficClass ? inner.trafficClass(view) : 0;
  if (isIp) {
    clampToPeer(view, inner, peer);
    if (peer.natRules.length > 0) translate(view, inner, peer.natRules, 'out');
  }

  state.span.offset = offset;
  state.span.length = length;
  const sent = sendPayload(state, peer, state.span);
  if (sent !== PASS) return sent;
  state.counters[peer.counterBase + PeerCounter.deviceReadBytes]! += length;
  state.counters[peer.counterBase + PeerCounter.deviceReadPackets]!++;
  state.counters[peer.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
  return PASS;
}

function isEarly(state: PlaneState, peer: Peer): boolean {
  const device = state.devices.get(peer.device);
  return device !== undefined && !mayTakeMore(device, state.nowMs);
}

/** Behind which peer the destination of the packet or frame in hand is; 0 for none. */
function ownerOf({ arena, inner, nowMs }: PlaneState, { frames, prefixes }: Device, frame: number): PeerHandle {
  if (frames === undefined) return prefixes.lookup(arena.view, inner.destination, inner.version);
  return frames.macs.owner(arena.view, frame, nowMs);
}

/** Leaves a packet to another engine of the plane. */
export function handOver(
  state: PlaneState,
  engine: number,
  what: Handover,
  id: number,
  about: number,
  source: number,
  offset: number,
  length: number,
): Verdict {
  const taken = state.io.handOver?.(engine, what, id, about, source, offset, length) ?? WORKER_FULL;
  return taken === PASS ? PASS : state.drop(taken, undefined, 0, undefined);
}

/** Lowers the MSS of a TCP SYN to what the peer's settings say, for either direction. */
export function clampToPeer(view: DataView, inner: InnerPacket, peer: Peer): void {
  const mssBytes = inner.version === 4 ? peer.mssBytes4 : peer.mssBytes6;
  if (mssBytes > 0) clampMss(view, inner, mssBytes);
}

/** Sends a payload through compression framing, fragments and cipher. */
export function sendPayload(state: PlaneState, peer: Peer, span: PacketSpan): Verdict {
  const key = peer.sendKey;
  if (key === undefined) return refuse(state, peer, NO_KEY);
  if (!peer.hasAddress) return refuse(state, peer, NO_PEER);
  if (peer.compression !== 'none') frameUncompressed(state.arena.bytes, peer.compression, span);
  if (peer.fragmentBytes === 0) return sealAndSend(state, peer, key, span);

  const headerBytes = peer.sendPeerId === undefined ? V1_HEADER_BYTES : V2_HEADER_BYTES;
  const partBytes = payloadCapacity(key, headerBytes, peer.fragmentBytes) - FRAGMENT_HEADER_BYTES;
  if (span.length > partBytes) return sendParts(state, peer, key, span, partBytes);
  writeWholeHeader(state.arena.view, span);
  return sealAndSend(state, peer, key, span);
}

/** Each part is copied beside the packet, because sealing it would write over the end of the part before. */
function sendParts(state: PlaneState, peer: Peer, key: DataKey, packet: PacketSpan, partBytes: number): Verdict {
  const size = fragmentSize(packet.length, partBytes);
  if (size === 0) return refuse(state, peer, TOO_BIG);
  const { offset, length } = packet;
  peer.fragmentSequence = (peer.fragmentSequence + 1) & 0xff;
  for (let index = 0; index * size < length; index++) {
    const start = offset + index * size;
    const partLength = Math.min(size, length - index * size);
    const last = index * size + partLength === length;
    state.arena.bytes.copyWithin(state.staging, start, start + partLength);
    packet.offset = state.staging - FRAGMENT_HEADER_BYTES;
    packet.length = FRAGMENT_HEADER_BYTES + partLength;
    writePartHeader(state.arena.view, packet.offset, peer.fragmentSequence, index, size, last);
    const sent = sealAndSend(state, peer, key, packet);
    if (sent !== PASS) return sent;
  }
  return PASS;
}

function sealAndSend(state: PlaneState, peer: Peer, key: DataKey, span: PacketSpan): Verdict {
  const payloadBytes = span.length;
  const sealed = sealPacket(state.crypto, key, peer.sendPeerId, span, state.nonce);
  if (sealed !== PASS) return refuse(state, peer, sealed);
  const reason = key.usage.handleSealed(payloadBytes, key.sealedId);
  if (reason !== undefined) reportUsedUp(state, peer, key, reason);

  const trafficClass = peer.copyTrafficClass ? state.trafficClass : 0;
  const sent = state.io.sendLink(peer.link, peer.address, span.offset, span.length, trafficClass);
  if (sent !== PASS) return refuse(state, peer, sent);
  if (peer.bytesPerSecond > 0) pace(state, peer, span.length);
  peer.quietSinceMs = state.nowMs;
  state.counters[peer.counterBase + PeerCounter.lastSentMs] = state.nowMs;
  state.countLinkWrite(peer, span.length);
  return PASS;
}

/** Tells the control plane that a key should be replaced. */
export function reportUsedUp(state: PlaneState, peer: Peer, key: DataKey, reason: UsageReason): void {
  state.lanes.pushNotice({ type: 'key-used-up', peer: peer.handle, key: key.handle, reason });
}

function refuse(state: PlaneState, peer: Peer, code: Verdict): Verdict {
  return state.drop(code, peer, peer.hasAddress ? peer.address : 0, undefined);
}

/** Whether an inner packet is one of the tunnel's own: same protocol, and to the peer's outer address and port. */
function isRecursive(state: PlaneState, peer: Peer, inner: InnerPacket): boolean {
  const view = state.arena.view;
  const at = peer.address;
  // First what hardly any packet has in common with them.
  if (view.getInt32(at + 8) !== view.getInt32(inner.destination) || view.getUint8(at) !== inner.version) return false;
  const addressBytes = inner.version === 4 ? 4 : 16;
  for (let index = 4; index < addressBytes; index += 4) {
    if (view.getInt32(at + 8 + index) !== view.getInt32(inner.destination + index)) return false;
  }
  if (inner.protocol !== state.links.get(peer.link)?.protocol || inner.transportLength < 4) return false;
  return view.getUint16(inner.transport + 2) === view.getUint16(at + 2);
}

/** `--block-ipv6`: the answer goes back into the device, for a frame with its addresses swapped. */
function answerUnreachable(state: PlaneState, device: Device, offset: number, frameHeader: number): Verdict {
  state.countDrop(IPV6_BLOCKED);
  const { bytes, view } = state.arena;
  const length = writeIcmp6Unreachable(bytes, view, state.inner, state.staging, device.unreachableFrom);
  if (length === 0) return IPV6_BLOCKED;
  const start = state.staging - frameHeader;
  if (frameHeader > 0) {
    bytes.copyWithin(start, offset + 6, offset + 12);
    bytes.copyWithin(start + 6, offset, offset + 6);
    bytes.copyWithin(start + 12, offset + 12, offset + frameHeader);
  }
  const written = state.io.writeDevice(device.id, start, frameHeader + length, undefined);
  return written === PASS ? IPV6_BLOCKED : state.drop(written, undefined, 0, undefined);
}
