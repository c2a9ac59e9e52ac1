// Packet in, top to bottom: read from a link, split by opcode; data opened and written to the device, control passed up.

import { copyPackedAddress, readPackedAddress, samePackedAddress } from '../ip/packed-address.ts';
import { ETHERNET_BYTES, ethernetHeaderLength } from '../ip/packet.ts';
import { DEVICE_HEADER_BYTES, HEADROOM_BYTES } from './arena.ts';
import { unframe } from './compression.ts';
import { handleControl, isControl } from './control-in.ts';
import { PeerCounter, PlaneCounter } from './counters.ts';
import { forwardToPeers } from './forward.ts';
import { INCOMPLETE, Reassembly } from './fragment.ts';
import { Handover } from './handover.ts';
import { isOcc, isPing } from './in-band.ts';
import { openPacket } from './open.ts';
import { clampToPeer, handOver, reportUsedUp } from './packet-out.ts';
import type { LinkId } from './plane.ts';
import type { Device, Link, Peer, PlaneState } from './plane-state.ts';
import { DATA_V1, DATA_V2, V1_HEADER_BYTES, V2_HEADER_BYTES } from './seal.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** The peer-id that means none. */
const NO_PEER_ID = 0xffffff;
/** Peers may have a larger MTU than ours; the C program takes as much more. */
const RECEIVE_SLACK_BYTES = 100;
const RECEIVE_MTU_BYTES = 1500;
/** How long a refused address is not asked about again. */
const FLOAT_REFUSED_MS = 10_000;

const SHORT = dropCode('short');
const BAD_OPCODE = dropCode('bad-opcode');
const TOO_BIG = dropCode('too-big');
const UNKNOWN_PEER = dropCode('unknown-peer');
const LINK_ERROR = dropCode('link-error');
const UNKNOWN_KEY = dropCode('unknown-key');
const WRONG_SOURCE = dropCode('wrong-source');
const FLOAT_REFUSED = dropCode('float-refused');
const BAD_TAG = dropCode('bad-tag');
const BAD_MAC = dropCode('bad-mac');
const BAD_PADDING = dropCode('bad-padding');
const BAD_INNER_PACKET = dropCode('bad-inner-packet');
const BAD_SOURCE = dropCode('bad-source');
const DEVICE_ERROR = dropCode('device-error');

/** One packet from a link; `source`: offset of its packed address, 0 for the link's own remote. Drops are counted here. */
export function handleLinkPacket(
  state: PlaneState,
  id: LinkId,
  source: number,
  offset: number,
  length: number,
): Verdict {
  const link = state.links.get(id);
  if (link === undefined) return LINK_ERROR;
  const from = source === 0 ? link.remote : source;
  state.counters[PlaneCounter.linkReadBytes]! += length;
  state.counters[PlaneCounter.linkReadPackets]!++;
  if (length < 1) return state.drop(SHORT, undefined, from, undefined);
  if (from === 0) return state.drop(UNKNOWN_PEER, undefined, 0, undefined);

  const opcode = state.arena.view.getUint8(offset) >> 3;
  if (opcode === DATA_V2 || opcode === DATA_V1) return handleData(state, link, from, opcode, offset, length);
  if (isControl(opcode)) return handleControl(state, link, from, offset, length);
  return state.drop(BAD_OPCODE, state.addresses.find(state.arena.view, link.id, from), from, undefined);
}

/** A data packet that came to another engine, which has counted it. */
export function handleHandedLinkPacket(
  state: PlaneState,
  id: LinkId,
  source: number,
  offset: number,
  length: number,
): void {
  const link = state.links.get(id);
  if (link === undefined) state.countDrop(LINK_ERROR);
  else handleData(state, link, source, state.arena.view.getUint8(offset) >> 3, offset, length);
}

function handleData(
  state: PlaneState,
  link: Link,
  from: number,
  opcode: number,
  offset: number,
  length: number,
): Verdict {
  const headerBytes = opcode === DATA_V2 ? V2_HEADER_BYTES : V1_HEADER_BYTES;
  if (length <= headerBytes) return state.drop(SHORT, undefined, from, undefined);
  const peer = findPeer(state, link, from, opcode, offset);
  if (peer === undefined) return state.drop(UNKNOWN_PEER, undefined, from, undefined);
  if (peer.opensAt !== state.engine) {
    return handOver(state, peer.opensAt, Handover.linkPacket, link.id, 0, from, offset, length);
  }
  const moved = !peer.hasAddress || !samePackedAddress(state.arena.view, peer.address, from);
  if (peer.link !== link.id || (moved && !peer.mayFloat)) return state.drop(WRONG_SOURCE, peer, from, undefined);

  const { span } = state;
  span.offset = offset;
  span.length = length;
  state.packetStart = offset;
  const opened = openWithKeys(state, peer, headerBytes);
  if (opened === UNKNOWN_KEY && !moved && holdForKey(state, peer, offset, length)) return PASS;
  if (opened !== PASS) return state.drop(opened, peer, from, state.openedKey?.openedId);
  const key = state.openedKey!;
  if (moved) return requestFloat(state, peer, from);

  state.countLinkRead(peer, length);
  state.counters[peer.counterBase + PeerCounter.lastReceivedMs] = state.nowMs;
  const reason = key.usage.handleOpened(span.length, key.openedId);
  if (reason !== undefined) reportUsedUp(state, peer, key, reason);

  const device = state.devices.get(peer.device);
  if (device === undefined) return state.drop(DEVICE_ERROR, peer, from, undefined);
  const unpacked = unpackPayload(state, peer, device);
  if (unpacked === INCOMPLETE) return PASS;
  if (unpacked !== PASS) return state.drop(unpacked, peer, from, undefined);
  if (span.length === 0) return PASS;

  if (isPing(state.arena.bytes, span)) return PASS;
  if (isOcc(state.arena.bytes, span)) return passInBand(state, peer, from);
  return deliver(state, peer, device, from);
}

/** By peer-id; else by link and address; else a link's only peer, whose packets name no id of ours. */
function findPeer(state: PlaneState, link: Link, from: number, opcode: number, offset: number): Peer | undefined {
  const { view } = state.arena;
  if (opcode === DATA_V2) {
    const peerId = view.getUint32(offset) & 0xffffff;
    const named = state.peersById.get(peerId);
    if (named !== undefined) return named;
    if (peerId !== NO_PEER_ID) return onlyPeer(link);
  }
  return state.addresses.find(view, link.id, from) ?? onlyPeer(link);
}

/** A client's peer. Where a link serves many, nobody is meant by a packet from elsewhere without an id. */
function onlyPeer(link: Link): Peer | undefined {
  const { unnamed } = link;
  return unnamed.length === 1 || link.remote !== 0 ? unnamed[unnamed.length - 1] : undefined;
}

/** Opens with the peer's keys of the packet's key-id. It is not unique over a peer's life: newest first, then the others. */
function openWithKeys(state: PlaneState, peer: Peer, headerBytes: number): Verdict {
  const { span } = state;
  const { bytes, view } = state.arena;
  const { offset, length } = span;
  const keyId = view.getUint8(offset) & 7;
  state.openedKey = undefined;
  let candidates = 0;
  for (let index = 0; index < peer.keys.length; index++) if (peer.keys[index]!.keyId === keyId) candidates++;
  if (candidates === 0) return UNKNOWN_KEY;
  if (candidates > 1) bytes.copyWithin(state.spare, offset, offset + length);

  let verdict = UNKNOWN_KEY;
  for (let index = 0; index < peer.keys.length; index++) {
    const key = peer.keys[index]!;
    if (key.keyId !== keyId) continue;
    verdict = openPacket(state.crypto, key, headerBytes, span, state.nonce, state.nowMs);
    const authentic = verdict !== BAD_TAG && verdict !== BAD_MAC && verdict !== BAD_PADDING && verdict !== SHORT;
    if (authentic) state.openedKey = key;
    if (authentic || --candidates === 0) break;
    bytes.copyWithin(offset, state.spare, state.spare + length);
    span.offset = offset;
    span.length = length;
  }
  return verdict;
}

/** The key may be on its way: the packet waits for it, if there is room. */
function holdForKey(state: PlaneState, peer: Peer, offset: number, length: number): boolean {
  const { bytes, view } = state.arena;
  const keyId = view.getUint8(offset) & 7;
  const held = state.early.hold(peer.handle, peer.link, keyId, bytes, offset, length, state.nowMs);
  countLate(state, peer);
  return held;
}

/** Hands on what waited for a key that is here now. */
export function releaseEarly(state: PlaneState, peer: Peer, keyId: number): void {
  const { bytes, view } = state.arena;
  state.early.release(peer.handle, keyId, state.nowMs, (id, held, offset, length) => {
    const link = state.links.get(id);
    if (link === undefined) return;
    bytes.set(held.subarray(offset, offset + length), state.waited);
    handleData(state, link, peer.address, view.getUint8(state.waited) >> 3, state.waited, length);
  });
  countLate(state, peer);
}

/** Forgets what waited for a peer that goes. */
export function discardEarly(state: PlaneState, peer: Peer): void {
  state.early.forget(peer.handle);
  countLate(state, peer);
}

function countLate(state: PlaneState, peer: Peer): void {
  for (let late = state.early.takeLost(); late > 0; late--) state.drop(UNKNOWN_KEY, peer, 0, undefined);
}

/** The packet is authentic and new, and its source is not the peer's: the control plane decides, nothing is delivered. */
function requestFloat(state: PlaneState, peer: Peer, from: number): Verdict {
  const { view } = state.arena;
  const refused = peer.floatState === 'refused' && state.nowMs - peer.floatSinceMs < FLOAT_REFUSED_MS;
  if (refused && samePackedAddress(view, peer.floatAddress, from)) {
    return state.drop(FLOAT_REFUSED, peer, from, undefined);
  }
  state.countDrop(WRONG_SOURCE);
  if (peer.floatState === 'pending') return WRONG_SOURCE;
  copyPackedAddress(view, from, peer.floatAddress);
  peer.floatState = 'pending';
  peer.floatSinceMs = state.nowMs;
  state.lanes.pushNotice({ type: 'float-request', peer: peer.handle, address: readPackedAddress(view, from) });
  return WRONG_SOURCE;
}

/** Fragments, then compression framing: the reverse of what the sender did. */
function unpackPayload(state: PlaneState, peer: Peer, device: Device): Verdict {
  const { span } = state;
  const { bytes, view } = state.arena;
  const largest = receiveLimit(device);
  if (peer.fragmentBytes > 0) {
    peer.reassembly ??= new Reassembly(largest);
    const joined = peer.reassembly.accept(bytes, view, span, state.assembled, state.nowMs);
    if (joined !== PASS) return joined;
  }
  return unframe(bytes, peer.compression, peer.decompress, span, state.spare, largest);
}

function receiveLimit(device: Device): number {
  return Math.max(device.mtuBytes, RECEIVE_MTU_BYTES) + RECEIVE_SLACK_BYTES;
}

function passInBand(state: PlaneState, peer: Peer, from: number): Verdict {
  const room = state.lanes.roomForKnown(peer);
  if (room !== PASS) return state.drop(room, peer, from, undefined);
  const { offset, length } = state.span;
  const bytes = state.arena.bytes.slice(offset, offset + length);
  state.lanes.pushKnown({ type: 'in-band', peer: peer.handle, bytes }, peer);
  return PASS;
}

/** Inner packets must come from the peer's own networks; what passes goes into the device. */
function deliver(state: PlaneState, peer: Peer, device: Device, from: number): Verdict {
  const { inner } = state;
  const { bytes, view } = state.arena;
  const { length } = state.span;
  let { offset } = state.span;
  if (device.layer === 'null') return PASS;
  if (length > receiveLimit(device)) return state.drop(TOO_BIG, peer, from, undefined);

  if (offset - state.packetStart < DEVICE_HEADER_BYTES) {
    // Without cipher and HMAC hardly anything was taken off; what lies before may be another packet.
    bytes.copyWithin(state.copy, offset, offset + length);
    state.span.offset = offset = state.copy;
    state.packetStart = offset - HEADROOM_BYTES;
  }

  if (device.layer === 'tun') {
    if (!inner.parse(view, offset, length)) return state.drop(BAD_INNER_PACKET, peer, from, undefined);
    const owner = device.prefixes.lookup(view, inner.source, inner.version);
    if (owner !== peer.handle) return dropSource(state, peer, from);
    clampToPeer(view, inner, peer);
    if (device.clientToClient && forwardToPeers(state, device, peer)) return PASS;
  } else {
    if (length < ETHERNET_BYTES) return state.drop(BAD_INNER_PACKET, peer, from, undefined);
    const frameHeader = ethernetHeaderLength(view, offset, length);
    const isIp = frameHeader > 0 && inner.parse(view, offset + frameHeader, length - frameHeader);
    if (isIp) clampToPeer(view, inner, peer);
  }

  const written = state.io.writeDevice(device.id, offset, length, device.layer === 'tun' ? inner : undefined);
  if (written !== PASS) return state.drop(written, peer, 0, undefined);
  state.counters[PlaneCounter.deviceWriteBytes]! += length;
  state.counters[PlaneCounter.deviceWritePackets]!++;
  state.counters[peer.counterBase + PeerCounter.deviceWriteBytes]! += length;
  state.counters[peer.counterBase + PeerCounter.deviceWritePackets]!++;
  state.counters[peer.counterBase + PeerCounter.lastPayloadMs] = state.nowMs;
  return PASS;
}

/** A link-local source is every IPv6 host's small talk with its router: counted, and nobody is told of it. */
function dropSource(state: PlaneState, peer: Peer, from: number): Verdict {
  const { inner } = state;
  const isLinkLocal = inner.version === 6 && (state.arena.view.getUint16(inner.source) & 0xffc0) === 0xfe80;
  if (!isLinkLocal) return state.drop(BAD_SOURCE, peer, from, undefined, inner.source);
  state.countDrop(BAD_SOURCE);
  return BAD_SOURCE;
}
