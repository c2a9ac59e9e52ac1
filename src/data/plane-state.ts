// What a packet path knows: devices, links, peers with their keys, and the scratch memory. Changed by plane-core.ts,
// read by packet-in.ts and packet-out.ts.

import type { Arena, PacketCrypto } from '../crypto/provider.ts';
import type { AddressBytes } from '../ip/address.ts';
import type { NatRule } from '../ip/client-nat.ts';
import {
  copyPackedAddress,
  PACKED_ADDRESS_BYTES,
  readPackedAddress,
  writePackedAddress,
} from '../ip/packed-address.ts';
import { InnerPacket } from '../ip/packet.ts';
import type { PrefixTable } from '../ip/prefix-table.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { AddressTable } from './address-table.ts';
import { type ArenaRegion, ArenaSlots, BUFFER_BYTES, HEADROOM_BYTES, type PacketSpan } from './arena.ts';
import { PeerCounter, PlaneCounter } from './counters.ts';
import type { DataKey } from './data-key.ts';
import { DeadlineHeap } from './deadline-heap.ts';
import { EarlyPackets } from './early-packets.ts';
import { EPOCH_SCRATCH_BYTES } from './epoch-secret.ts';
import { EventLanes, type LaneCapacity } from './event-lanes.ts';
import type { Reassembly } from './fragment.ts';
import type { FrameSwitch } from './frame-switch.ts';
import { IdMap } from './id-map.ts';
import {
  type CompressionFraming,
  type DeviceId,
  type DeviceOptions,
  DROP_CAUSES,
  type LinkId,
  type PeerHandle,
  type PeerSettings,
} from './plane.ts';
import type { PlaneIo } from './plane-core.ts';
import { dropCause, type Verdict } from './verdict.ts';

export interface Device {
  readonly id: DeviceId;
  readonly layer: DeviceOptions['layer'];
  mtuBytes: number;
  blockIpv6: boolean;
  unreachableFrom: AddressBytes | undefined;
  readonly clientToClient: boolean;
  /** Inner addresses to peer handles. */
  readonly prefixes: PrefixTable;
  /** In no order; each knows its place. TAP without `frames`: the last one gets every frame. */
  readonly peers: Peer[];
  /** Under `--shaper`, when what was sent so far has had its time. */
  paidMs: number;
  /** TAP: which Ethernet address is behind which of several peers. */
  readonly frames: FrameSwitch | undefined;
}

export interface Link {
  readonly id: LinkId;
  /** 6 or 17: what the link is to the inner network, for the recursive-routing check. */
  readonly protocol: number;
  /** Packed address slot of its one remote; 0 for none. */
  readonly remote: number;
  /** Peers without a peer-id of ours, oldest first: found by link and address, or as a client's one peer. */
  readonly unnamed: Peer[];
  /** Whether a peer of the link has had a key: until then it may be anybody. */
  hadKey: boolean;
  /** The longest packet that it may announce until then. */
  readonly handshakePacketBytes: number;
}

export interface Peer {
  readonly handle: PeerHandle;
  readonly device: DeviceId;
  readonly link: LinkId;
  readonly receivePeerId: number | undefined;
  readonly windowPackets: number;
  readonly windowSeconds: number;
  /** The engines that open its packets, and seal those to it. */
  opensAt: number;
  readonly sealsAt: number;
  /** Index of its first counter. */
  readonly counterBase: number;
  /** Packed address slot; its content counts while `hasAddress`. */
  readonly address: number;
  hasAddress: boolean;
  /** Its place among the peers of its device. */
  devicePlace: number;
  /** An earlier peer with the same peer-id, which has it again when this one goes. */
  sameId: Peer | undefined;
  /** Its events that wait for the consumer, or are with it. */
  inLane: number;
  /** When the plane looks whether a ping is due, and its place in the heap of such times. */
  dueMs: number;
  duePlace: number;
  sendPeerId: number | undefined;
  compression: CompressionFraming;
  decompress: PeerSettings['decompress'];
  fragmentBytes: number;
  mssBytes4: number;
  mssBytes6: number;
  pingIntervalMs: number;
  dropRecursive: boolean;
  mayFloat: boolean;
  natRules: readonly NatRule[];
  copyTrafficClass: boolean;
  bytesPerSecond: number;
  /** Newest first. */
  readonly keys: DataKey[];
  sendKey: DataKey | undefined;
  /** When the last data packet was sent, or the peer came; pings count from here. */
  quietSinceMs: number;
  reassembly: Reassembly | undefined;
  fragmentSequence: number;
  /** The address it asked to move to, what became of that, and when. */
  readonly floatAddress: number;
  floatState: 'none' | 'pending' | 'refused';
  floatSinceMs: number;
}

export interface PlaneStateOptions {
  readonly packetCrypto: PacketCrypto;
  readonly io: PlaneIo;
  readonly scratch: ArenaRegion;
  readonly counters: Float64Array;
  readonly laneCapacity: LaneCapacity;
  readonly nowMs: number;
  readonly engine?: number | undefined;
}

const NOTICE_INTERVAL_MS = 1000;
const SCRATCH_BUFFERS = 5;
const NONCE_REGION_BYTES = EPOCH_SCRATCH_BYTES;

/** Bytes of scratch that an engine for so many peers and links needs. */
export function scratchByteLength(peers: number, links: number): number {
  return NONCE_REGION_BYTES + SCRATCH_BUFFERS * BUFFER_BYTES + (2 * peers + links) * PACKED_ADDRESS_BYTES;
}

export class PlaneState {
  readonly crypto: PacketCrypto;
  readonly arena: Arena;
  readonly io: PlaneIo;
  readonly counters: Float64Array;
  readonly lanes: EventLanes;
  /** Which of the plane's engines this is. */
  readonly engine: number;
  readonly early = new EarlyPackets();
  nowMs: number;

  readonly devices = new IdMap<Device>();
  readonly links = new IdMap<Link>();
  readonly peers = new IdMap<Peer>();
  readonly peersById = new IdMap<Peer>();
  readonly addresses = new AddressTable();
  readonly addressSlots: ArenaSlots;
  /** Peers that are to be pinged, by a time that is never too late. */
  readonly pings = new DeadlineHeap<Peer>();

  /** The packet in hand and its inner header; every packet uses them again. */
  readonly span: PacketSpan = { offset: 0, length: 0 };
  readonly inner = new InnerPacket();
  /** Where the link's packet in hand began: what lies between there and its payload is free. */
  packetStart = 0;
  /** The traffic class of the inner packet in hand, for peers that want it outside. */
  trafficClass = 0;
  /** The key that opened the packet in hand. */
  openedKey: DataKey | undefined;

  /**
   * Scratch: a nonce, which epoch keys are derived beside; then buffers with headroom for a packet put together, a spare copy, one part to send, a packet that
   * had waited for its key, and a copy for one of several receivers.
   */
  readonly nonce: number;
  readonly assembled: number;
  readonly spare: number;
  readonly staging: number;
  readonly waited: number;
  readonly copy: number;

  readonly #noticeMs = new Float64Array(DROP_CAUSES.length).fill(Number.NEGATIVE_INFINITY);
  readonly #unnoticed = new Float64Array(DROP_CAUSES.length);

  constructor(options: PlaneStateOptions) {
    this.crypto = options.packetCrypto;
    this.arena = options.packetCrypto.arena;
    this.io = options.io;
    this.counters = options.counters;
    this.lanes = new EventLanes(options.laneCapacity);
    this.nowMs = options.nowMs;
    this.engine = options.engine ?? 0;
    const { start, length } = options.scratch;
    const fixed = scratchByteLength(0, 0);
    if (length < fixed) throw new RangeError(`the engine needs ${fixed} bytes of scratch and more, not ${length}`);
    this.nonce = start;
    this.assembled = start + NONCE_REGION_BYTES + HEADROOM_BYTES;
    this.spare = this.assembled + BUFFER_BYTES;
    this.staging = this.spare + BUFFER_BYTES;
    this.waited = this.staging + BUFFER_BYTES;
    this.copy = this.waited + BUFFER_BYTES;
    this.addressSlots = new ArenaSlots({ start: start + fixed, length: length - fixed }, PACKED_ADDRESS_BYTES);
  }

  /** Counts a dropped packet, and tells of it when nothing was told of its cause for a second. */
  drop(
    code: Verdict,
    peer: Peer | undefined,
    source: number,
    packetId: number | undefined,
    innerSource?: number,
    innerSourceBytes = this.inner.version === 4 ? 4 : 16,
  ): Verdict {
    const cause = code - 1;
    this.counters[cause]!++;
    this.#unnoticed[cause]!++;
    if (this.nowMs - this.#noticeMs[cause]! < NOTICE_INTERVAL_MS) return code;
    this.lanes.pushNotice({
      type: 'drop-notice',
      peer: peer?.handle,
      address: source === 0 ? undefined : readPackedAddress(this.arena.view, source),
      cause: dropCause(code),
      count: this.#unnoticed[cause]!,
      packetId,
      innerSource:
        innerSource === undefined ? undefined : this.arena.bytes.slice(innerSource, innerSource + innerSourceBytes),
    });
    this.#noticeMs[cause] = this.nowMs;
    this.#unnoticed[cause] = 0;
    return code;
  }

  /** Counts a drop that nobody needs to be told of. */
  countDrop(code: Verdict): void {
    this.counters[code - 1]!++;
  }

  /** Counts a packet that was sent over a link, for its peer too where it has one. */
  countLinkWrite(peer: Peer | undefined, length: number): void {
    this.counters[PlaneCounter.linkWriteBytes]! += length;
    this.counters[PlaneCounter.linkWritePackets]!++;
    if (peer === undefined) return;
    this.counters[peer.counterBase + PeerCounter.linkWriteBytes]! += length;
    this.counters[peer.counterBase + PeerCounter.linkWritePackets]!++;
    const largest = peer.counterBase + PeerCounter.linkWriteLargest;
    if (length > this.counters[largest]!) this.counters[largest] = length;
  }

  /** Counts a packet of a peer that came over a link; strangers' bytes count for the plane only. */
  countLinkRead(peer: Peer, length: number): void {
    this.counters[peer.counterBase + PeerCounter.linkReadBytes]! += length;
    this.counters[peer.counterBase + PeerCounter.linkReadPackets]!++;
    const largest = peer.counterBase + PeerCounter.linkReadLargest;
    if (length > this.counters[largest]!) this.counters[largest] = length;
  }

  /** Makes a new peer findable. Its address comes by `moveTo`. */
  join(peer: Peer): void {
    this.peers.set(peer.handle, peer);
    const siblings = this.devices.get(peer.device)!.peers;
    peer.devicePlace = siblings.length;
    siblings.push(peer);
    if (peer.receivePeerId === undefined) this.links.get(peer.link)!.unnamed.push(peer);
    else {
      peer.sameId = this.peersById.get(peer.receivePeerId);
      this.peersById.set(peer.receivePeerId, peer);
    }
  }

  /** Takes a peer out of all tables. Its device and its link may be gone before it. */
  leave(peer: Peer): void {
    this.peers.delete(peer.handle);
    this.pings.remove(peer);
    if (peer.hasAddress) this.addresses.remove(this.arena.view, peer);
    const device = this.devices.get(peer.device);
    if (device !== undefined) {
      device.prefixes.replace(peer.handle, []);
      device.frames?.leave(peer.handle);
      const last = device.peers.pop()!;
      last.devicePlace = peer.devicePlace;
      if (last !== peer) device.peers[peer.devicePlace] = last;
    }
    if (peer.receivePeerId !== undefined) this.#leaveId(peer, peer.receivePeerId);
    else {
      const unnamed = this.links.get(peer.link)?.unnamed;
      unnamed?.splice(unnamed.indexOf(peer), 1);
    }
  }

  /** Gives the peer its address; without one it has its link's, if the link has one. */
  moveTo(peer: Peer, address: SocketAddress | undefined): void {
    const { view } = this.arena;
    if (peer.hasAddress) this.addresses.remove(view, peer);
    const remote = this.links.get(peer.link)?.remote ?? 0;
    peer.hasAddress = address !== undefined || remote !== 0;
    if (address !== undefined) writePackedAddress(view, peer.address, address);
    else if (remote !== 0) copyPackedAddress(view, remote, peer.address);
    if (peer.hasAddress) this.addresses.add(view, peer);
    peer.floatState = 'none';
  }

  #leaveId(peer: Peer, peerId: number): void {
    let later = this.peersById.get(peerId);
    if (later === peer) {
      if (peer.sameId === undefined) this.peersById.delete(peerId);
      else this.peersById.set(peerId, peer.sameId);
      return;
    }
    while (later !== undefined && later.sameId !== peer) later = later.sameId;
    if (later !== undefined) later.sameId = peer.sameId;
  }
}
