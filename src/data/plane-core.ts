// The engine inside every plane that moves packets in this process: memory and worker. It is sans-I/O: whoever owns the
// file descriptors reads packets into the arena, calls `handleLinkPacket` and `handleDevicePacket`, and is called back
// through `PlaneIo`. Ids of devices, links, peers and keys are chosen by the caller (a worker plane's main thread hands
// them out before the worker knows), small positive integers, never used twice.
//
// Packet out reads in packet-out.ts, packet in in packet-in.ts. No call of the packet path allocates. What a packet meets (peer,
// device, key) is written out field by field where it is made: spread from another object, the first one would have another
// hidden class than those after it, and V8 would make its code anew.

import type { Arena, PacketCrypto } from '../crypto/provider.ts';
import { type AddressBytes, parseAddress } from '../ip/address.ts';
import { samePackedAddress, writePackedAddress } from '../ip/packed-address.ts';
import { type InnerPacket, IpProtocol } from '../ip/packet.ts';
import { type Prefix, parsePrefix } from '../ip/prefix.ts';
import { PrefixTable } from '../ip/prefix-table.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { PING } from '../wire/in-band.ts';
import { type ArenaRegion, MAX_PACKET_BYTES } from './arena.ts';
import { clearPeerCounters, PeerCounter, peerCounterBase } from './counters.ts';
import { closeDataKey, createDataKey, type DataKey } from './data-key.ts';
import type { LaneCapacity } from './event-lanes.ts';
import { FrameSwitch } from './frame-switch.ts';
import { type HandOver, Handover, type PeerOwners } from './handover.ts';
import { handleHandedPacket } from './handover-in.ts';
import { MAC_BYTES, macBytes, readMac } from './mac-table.ts';
import { type Opening, openingOf, resumeOpening } from './opening.ts';
import { restUntilMs } from './pacing.ts';
import { answerAddress, discardEarly, handleHandedLinkPacket, handleLinkPacket, releaseEarly } from './packet-in.ts';
import { handleDevicePacket, sendPayload } from './packet-out.ts';
import type {
  DeviceChange,
  DeviceId,
  DeviceOptions,
  DropCause,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  PeerHandle,
  PeerOptions,
  PeerSettings,
  PlaneEvent,
} from './plane.ts';
import { type Device, type Link, type Peer, PlaneState } from './plane-state.ts';
import type { SharedUsage } from './usage-limits.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** What the engine asks of whoever owns the file descriptors. Both return PASS or a drop code, which the engine counts. */
export interface PlaneIo {
  /**
   * Sends one packet, without the stream or SOCKS framing of the link: there are 24 free bytes before it for that.
   * `address` is the offset of a packed address (ip/packed-address.ts), or 0 for the link's own remote.
   * `trafficClass` is what the outer header's TOS byte or traffic class should be.
   * A packet inside a buffer that was passed to `handleDevicePacket` may be kept there and sent with others later;
   * one inside the engine's scratch region must be sent or copied before the call returns.
   */
  sendLink(link: LinkId, address: number, offset: number, length: number, trafficClass: number): Verdict;
  /**
   * Writes one packet to the device; the same rule for buffers passed to `handleLinkPacket`. `inner` is its header where it
   * was looked at: good during the call. The DEVICE_HEADER_BYTES before the packet are free for a header of the device's.
   */
  writeDevice(device: DeviceId, offset: number, length: number, inner: InnerPacket | undefined): Verdict;
  /** Gives a packet to another engine of the plane. A plane with one engine has none. */
  readonly handOver?: HandOver | undefined;
}

export interface PlaneCoreOptions {
  readonly packetCrypto: PacketCrypto;
  readonly io: PlaneIo;
  /** A region of the arena that is the engine's alone, at least `scratchByteLength(peers, links)`; not at offset 0. */
  readonly scratch: ArenaRegion;
  /** `countersByteLength(peerSlots)` bytes; may be shared with other threads. */
  readonly counters: Float64Array;
  /** Control packets held for the consumer at most, in each lane. */
  readonly laneCapacity: LaneCapacity;
  /** Monotonic milliseconds at the start. */
  readonly nowMs: number;
  /** Which of the plane's engines this is; 0 when absent. */
  readonly engine?: number | undefined;
}

export interface PlaneCore {
  readonly arena: Arena;

  /** The clock of all packets that follow; called once for each batch. */
  setNow(nowMs: number): void;
  /** The time that was set last is over by now, and what was noted with it is of `nowMs`: the machine has slept meanwhile. */
  handleSlept(setMs: number, nowMs: number): void;
  /**
   * One packet from a link, without stream or SOCKS framing. `source` is the offset of its packed source address, or 0
   * for the link's own remote. The bytes may be changed; those around them are not, so packets may lie side by side.
   */
  handleLinkPacket(link: LinkId, source: number, offset: number, length: number): void;
  /** One packet (or frame) from a device. HEADROOM_BYTES before and TAILROOM_BYTES after belong to it. */
  handleDevicePacket(device: DeviceId, offset: number, length: number): void;
  /** One packet that another engine handed over, with the same room around it; the arguments are those of `HandOver`. */
  handleHandover(what: Handover, id: number, about: number, source: number, offset: number, length: number): void;
  /** Sends the pings that are due. */
  handleTick(nowMs: number): void;
  /** When `handleTick` wants to be called next; Infinity for never. */
  nextDeadlineMs(): number;
  /** Whether any peer has, or had, a rate that it may have: otherwise no device ever has to rest. */
  readonly paces: boolean;
  /** Until when a device should not be read, so that its peer gets no more than it may have (`--shaper`); 0 for no wait. */
  deviceRestMs(device: DeviceId): number;

  /** Whether events wait for the control plane. */
  readonly hasEvents: boolean;
  /** The next event for the control plane: notices, then what known peers sent, then proofs and first packets of strangers. */
  pollEvent(): PlaneEvent | undefined;
  /** The consumer has worked off so many more polled events that take up room (`takesRoom`), in their order. */
  handleTaken(count: number): void;
  /** Puts an event of the plane's own (`link-closed` …) in the queue before all packets. */
  report(event: PlaneEvent): void;
  /** Counts a packet that was lost outside the engine, for instance in a batch that the kernel refused. */
  countDrop(cause: DropCause): void;

  addDevice(id: DeviceId, options: CoreDeviceOptions): void;
  setDevice(id: DeviceId, change: DeviceChange): void;
  removeDevice(id: DeviceId): void;
  addLink(id: LinkId, options: CoreLinkOptions): void;
  removeLink(id: LinkId): void;
  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void;
  /** `counterSlot` is the peer's place in the counters; they are cleared. Without `owners` it is all this engine's. */
  addPeer(id: PeerHandle, counterSlot: number, options: PeerOptions, owners?: PeerOwners): void;
  setPeer(id: PeerHandle, change: Partial<PeerSettings>): void;
  removePeer(id: PeerHandle): void;
  /** `usage`: where another engine has the other direction of the peer. */
  addKey(peer: PeerHandle, id: KeyHandle, options: KeyOptions, usage?: SharedUsage): void;
  useKey(peer: PeerHandle, id: KeyHandle): void;
  removeKey(peer: PeerHandle, id: KeyHandle): void;
  /** Another engine opens the packets of this link's peers from now on, and goes on from where this one stood. */
  giveOpening(link: LinkId, engine: number): readonly Opening[];
  /** This engine does, with the keys that it has of them. */
  takeOpening(link: LinkId, openings: readonly Opening[]): void;
  sendInBand(peer: PeerHandle, bytes: Uint8Array): void;
  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void;
  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void;
  forgetIdleAddresses(device: DeviceId, idleMs: number): void;
  /** The longest packet that a stream may announce now: a stranger's may be held to less, one that is gone announces none. */
  packetLimit(link: LinkId): number;
  /** Wipes all keys. */
  close(): void;
}

type CoreLinkOptions = Pick<LinkOptions, 'framing' | 'remote' | 'handshakePacketBytes'>;
type CoreDeviceOptions = Omit<DeviceOptions, 'endpoint'>;

/** Of a peer's counters, the times. */
const STAMPS = [PeerCounter.lastReceivedMs, PeerCounter.lastSentMs, PeerCounter.lastPayloadMs];
/** Keys that a peer may hold at once: two of the session, two of the one before it. */
const KEYS_MAX = 4;

/** Makes the engine; everything it needs is an argument. */
export function createPlaneCore(options: PlaneCoreOptions): PlaneCore {
  return new Core(options);
}

class Core implements PlaneCore {
  readonly arena: Arena;
  readonly #state: PlaneState;
  paces = false;

  constructor(options: PlaneCoreOptions) {
    this.#state = new PlaneState(options);
    this.arena = this.#state.arena;
  }

  setNow(nowMs: number): void {
    this.#state.nowMs = nowMs;
  }

  handleSlept(setMs: number, nowMs: number): void {
    const { counters, peers } = this.#state;
    for (const peer of peers.values()) {
      if (peer.quietSinceMs === setMs) peer.quietSinceMs = nowMs;
      for (const stamp of STAMPS) {
        if (counters[peer.counterBase + stamp] === setMs) counters[peer.counterBase + stamp] = nowMs;
      }
    }
    this.#state.nowMs = nowMs;
  }

  handleLinkPacket(link: LinkId, source: number, offset: number, length: number): void {
    handleLinkPacket(this.#state, link, source, offset, length);
  }

  handleDevicePacket(device: DeviceId, offset: number, length: number): void {
    handleDevicePacket(this.#state, device, offset, length);
  }

  handleHandover(what: Handover, id: number, about: number, source: number, offset: number, length: number): void {
    const state = this.#state;
    if (what === Handover.linkPacket) handleHandedLinkPacket(state, id, source, offset, length);
    else handleHandedPacket(state, what, id, about, offset, length);
  }

  handleTick(nowMs: number): void {
    const state = this.#state;
    state.nowMs = nowMs;
    for (let peer = state.pings.first; peer !== undefined && peer.dueMs <= nowMs; peer = state.pings.first) {
      if (!mayPing(peer)) {
        state.pings.remove(peer);
        continue;
      }
      if (nowMs - peer.quietSinceMs >= peer.pingIntervalMs) {
        this.sendInBand(peer.handle, PING);
        // A ping that could not be sent is not tried again before the next is due.
        peer.quietSinceMs = nowMs;
      }
      // It has sent something meanwhile, or just now: only here its place is brought up to date, not for every packet.
      const dueMs = peer.quietSinceMs + peer.pingIntervalMs;
      state.pings.set(peer, dueMs > nowMs ? dueMs : nowMs + 1);
    }
  }

  nextDeadlineMs(): number {
    return this.#state.pings.firstMs;
  }

  deviceRestMs(id: DeviceId): number {
    const device = this.#state.devices.get(id);
    return device === undefined ? 0 : restUntilMs(device, this.#state.nowMs);
  }

  get hasEvents(): boolean {
    return !this.#state.lanes.isEmpty;
  }

  pollEvent(): PlaneEvent | undefined {
    return this.#state.lanes.poll();
  }

  handleTaken(count: number): void {
    this.#state.lanes.handleTaken(count);
  }

  report(event: PlaneEvent): void {
    this.#state.lanes.pushNotice(event);
  }

  countDrop(cause: DropCause): void {
    this.#state.drop(dropCode(cause), undefined, 0, undefined);
  }

  addDevice(id: DeviceId, options: CoreDeviceOptions): void {
    const { layer, mtuBytes, blockIpv6, clientToClient = false } = options;
    const prefixes = new PrefixTable();
    const frames = layer === 'tap' && options.learnsAddresses === true ? new FrameSwitch() : undefined;
    const peers: Peer[] = [];
    const unreachableFrom = answering(options.unreachableFrom);
    const device: Device = {
      id,
      layer,
      mtuBytes,
      blockIpv6,
      unreachableFrom,
      clientToClient,
      prefixes,
      peers,
      frames,
      paidMs: 0,
    };
    this.#state.devices.set(id, device);
  }

  setDevice(id: DeviceId, change: DeviceChange): void {
    const device = this.#device(id);
    const { unreachableFrom, ...rest } = change;
    Object.assign(device, rest);
    if ('unreachableFrom' in change) device.unreachableFrom = answering(unreachableFrom);
    // What is in reassembly was bounded by the old MTU.
    for (const peer of device.peers) peer.reassembly = undefined;
  }

  removeDevice(id: DeviceId): void {
    this.#state.devices.delete(this.#device(id).id);
  }

  addLink(id: LinkId, options: CoreLinkOptions): void {
    const state = this.#state;
    let remote = 0;
    if (options.remote !== undefined) {
      remote = state.addressSlots.take();
      writePackedAddress(state.arena.view, remote, options.remote);
    }
    const protocol = options.framing === 'tcp' ? IpProtocol.tcp : IpProtocol.udp;
    const handshakePacketBytes = Math.min(options.handshakePacketBytes ?? MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    state.links.set(id, { id, protocol, remote, unnamed: [], hadKey: false, handshakePacketBytes });
  }

  removeLink(id: LinkId): void {
    const link = this.#link(id);
    this.#state.links.delete(id);
    if (link.remote !== 0) this.#state.addressSlots.give(link.remote);
  }

  sendControl(id: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void {
    const state = this.#state;
    const link = this.#link(id);
    if (bytes.length > MAX_PACKET_BYTES) throw new RangeError(`a control packet of ${bytes.length} bytes`);
    let to = link.remote;
    if (address !== undefined) {
      to = state.assembled;
      writePackedAddress(state.arena.view, to, address);
    }
    if (to === 0) throw new RangeError('a link that serves many needs the address of a control packet');
    state.arena.bytes.set(bytes, state.staging);
    const isRemote = link.remote !== 0 && samePackedAddress(state.arena.view, to, link.remote);
    const sent = state.io.sendLink(id, isRemote ? 0 : to, state.staging, bytes.length, 0);
    if (sent === PASS) state.countLinkWrite(state.addresses.find(state.arena.view, id, to), bytes.length);
    else state.drop(sent, undefined, to, undefined);
  }

  addPeer(id: PeerHandle, counterSlot: number, options: PeerOptions, owners?: PeerOwners): void {
    const state = this.#state;
    this.#device(options.device);
    this.#link(options.link);
    options.prefixes.forEach(expectPrefix);
    const address = state.addressSlots.take();
    const floatAddress = state.addressSlots.take();
    state.crypto.random(state.staging, 1);
    clearPeerCounters(state.counters, counterSlot);
    const peer: Peer = {
      handle: id,
      device: options.device,
      link: options.link,
      receivePeerId: options.receivePeerId,
      sendPeerId: options.sendPeerId,
      compression: options.compression,
      decompress: options.decompress,
      fragmentBytes: options.fragmentBytes,
      windowPackets: options.replayWindowPackets,
      windowSeconds: options.replayWindowSeconds,
      opensAt: owners?.opens ?? state.engine,
      sealsAt: owners?.seals ?? state.engine,
      counterBase: peerCounterBase(counterSlot),
      address,
      hasAddress: false,
      devicePlace: 0,
      sameId: undefined,
      inLane: 0,
      dueMs: 0,
      duePlace: -1,
      mssBytes4: options.mssBytes4,
      mssBytes6: options.mssBytes6,
      pingIntervalMs: options.pingIntervalMs,
      dropRecursive: options.dropRecursive,
      mayFloat: options.mayFloat,
      natRules: options.natRules ?? [],
      copyTrafficClass: options.copyTrafficClass ?? false,
      bytesPerSecond: options.bytesPerSecond ?? 0,
      keys: [],
      sendKey: undefined,
      quietSinceMs: state.nowMs,
      reassembly: undefined,
      fragmentSequence: state.arena.bytes[state.staging]!,
      floatAddress,
      floatState: 'none',
      floatSinceMs: 0,
    };
    state.join(peer);
    this.setPeer(id, options);
  }

  setPeer(id: PeerHandle, change: Partial<PeerSettings>): void {
    const state = this.#state;
    const peer = this.#peer(id);
    const { address, prefixes, ...settings } = change;
    if (prefixes !== undefined) this.#replacePrefixes(peer, prefixes);
    copySettings(peer, settings);
    if (settings.fragmentBytes === 0) peer.reassembly = undefined;
    if (peer.bytesPerSecond > 0) this.paces = true;
    if ('address' in change) state.moveTo(peer, address);
    this.#expectPing(peer);
  }

  removePeer(id: PeerHandle): void {
    const state = this.#state;
    const peer = this.#peer(id);
    discardEarly(state, peer);
    for (const key of peer.keys) closeDataKey(key);
    state.openedKey = undefined;
    state.leave(peer);
    state.addressSlots.give(peer.address);
    state.addressSlots.give(peer.floatAddress);
  }

  addKey(id: PeerHandle, handle: KeyHandle, options: KeyOptions, usage?: SharedUsage): void {
    const peer = this.#peer(id);
    if (peer.keys.length >= KEYS_MAX) throw new RangeError(`peer ${id} holds ${KEYS_MAX} keys already`);
    const { windowPackets, windowSeconds } = peer;
    const { crypto, nonce } = this.#state;
    peer.keys.unshift(createDataKey(crypto, handle, options, windowPackets, windowSeconds, nonce, usage));
    const link = this.#state.links.get(peer.link);
    if (link !== undefined) link.hadKey = true;
    releaseEarly(this.#state, peer, options.keyId);
  }

  useKey(id: PeerHandle, handle: KeyHandle): void {
    const peer = this.#peer(id);
    peer.sendKey = this.#key(peer, handle);
    this.#expectPing(peer);
  }

  removeKey(id: PeerHandle, handle: KeyHandle): void {
    const peer = this.#peer(id);
    const key = this.#key(peer, handle);
    peer.keys.splice(peer.keys.indexOf(key), 1);
    if (peer.sendKey === key) peer.sendKey = undefined;
    this.#state.openedKey = undefined;
    closeDataKey(key);
  }

  giveOpening(link: LinkId, engine: number): readonly Opening[] {
    const openings: Opening[] = [];
    for (const peer of this.#state.peers.values()) {
      if (peer.link !== link || peer.opensAt !== this.#state.engine) continue;
      peer.opensAt = engine;
      peer.reassembly = undefined;
      discardEarly(this.#state, peer);
      openings.push(...peer.keys.map(openingOf));
    }
    return openings;
  }

  takeOpening(link: LinkId, openings: readonly Opening[]): void {
    for (const peer of this.#state.peers.values()) {
      if (peer.link !== link) continue;
      peer.opensAt = this.#state.engine;
      for (const key of peer.keys) {
        const opening = openings.find((given) => given.key === key.handle);
        if (opening !== undefined) resumeOpening(key, opening);
      }
    }
  }

  sendInBand(id: PeerHandle, bytes: Uint8Array): void {
    const state = this.#state;
    const peer = this.#peer(id);
    if (bytes.length > MAX_PACKET_BYTES) throw new RangeError(`an in-band message of ${bytes.length} bytes`);
    state.arena.bytes.set(bytes, state.assembled);
    state.span.offset = state.assembled;
    state.span.length = bytes.length;
    state.trafficClass = 0;
    sendPayload(state, peer, state.span);
  }

  answerFloat(id: PeerHandle, address: SocketAddress, accept: boolean): void {
    const state = this.#state;
    const peer = this.#peer(id);
    if (accept) {
      state.moveTo(peer, address);
      return;
    }
    writePackedAddress(state.arena.view, peer.floatAddress, address);
    peer.floatState = 'refused';
    peer.floatSinceMs = state.nowMs;
  }

  answerAddress(id: PeerHandle, address: Uint8Array, accept: boolean): void {
    if (address.length !== MAC_BYTES) throw new RangeError(`an Ethernet address of ${address.length} bytes`);
    const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
    answerAddress(this.#state, this.#peer(id), readMac(view, 0), accept);
  }

  forgetIdleAddresses(id: DeviceId, idleMs: number): void {
    const { nowMs, lanes } = this.#state;
    const forgotten = this.#device(id).frames?.macs.forgetIdle(idleMs, nowMs) ?? [];
    if (forgotten.length === 0) return;
    lanes.pushNotice({ type: 'addresses-forgotten', device: id, addresses: forgotten.map(macBytes) });
  }

  packetLimit(id: LinkId): number {
    const link = this.#state.links.get(id);
    if (link === undefined) return 0;
    return link.hadKey ? MAX_PACKET_BYTES : link.handshakePacketBytes;
  }

  close(): void {
    for (const peer of this.#state.peers.values()) for (const key of peer.keys) closeDataKey(key);
    this.#state.openedKey = undefined;
    this.#state.peers.clear();
    this.#state.pings.clear();
    this.#state.links.clear();
    this.#state.devices.clear();
    this.#state.lanes.clear();
  }

  #replacePrefixes(peer: Peer, texts: readonly string[]): void {
    this.#state.devices.get(peer.device)?.prefixes.replace(peer.handle, texts.map(expectPrefix));
  }

  #expectPing(peer: Peer): void {
    const { pings } = this.#state;
    if (mayPing(peer)) pings.set(peer, peer.quietSinceMs + peer.pingIntervalMs);
    else pings.remove(peer);
  }

  #device(id: DeviceId): Device {
    return expectKnown(this.#state.devices.get(id), 'device', id);
  }

  #link(id: LinkId): Link {
    return expectKnown(this.#state.links.get(id), 'link', id);
  }

  #peer(id: PeerHandle): Peer {
    return expectKnown(this.#state.peers.get(id), 'peer', id);
  }

  #key(peer: Peer, handle: KeyHandle): DataKey {
    return expectKnown(
      peer.keys.find((key) => key.handle === handle),
      'key',
      handle,
    );
  }
}

function mayPing(peer: Peer): boolean {
  return peer.pingIntervalMs > 0 && peer.sendKey !== undefined && peer.hasAddress;
}

function copySettings(peer: Peer, settings: Omit<Partial<PeerSettings>, 'address' | 'prefixes'>): void {
  if ('sendPeerId' in settings) peer.sendPeerId = settings.sendPeerId;
  peer.compression = settings.compression ?? peer.compression;
  peer.decompress = settings.decompress ?? peer.decompress;
  peer.fragmentBytes = settings.fragmentBytes ?? peer.fragmentBytes;
  peer.mssBytes4 = settings.mssBytes4 ?? peer.mssBytes4;
  peer.mssBytes6 = settings.mssBytes6 ?? peer.mssBytes6;
  peer.pingIntervalMs = settings.pingIntervalMs ?? peer.pingIntervalMs;
  peer.dropRecursive = settings.dropRecursive ?? peer.dropRecursive;
  peer.mayFloat = settings.mayFloat ?? peer.mayFloat;
  peer.natRules = settings.natRules ?? peer.natRules;
  peer.copyTrafficClass = settings.copyTrafficClass ?? peer.copyTrafficClass;
  peer.bytesPerSecond = settings.bytesPerSecond ?? peer.bytesPerSecond;
}

function expectPrefix(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new RangeError(`"${text}" is no network prefix`);
  return prefix;
}

/** A call about something that is not there is misuse of the port. */
function expectKnown<T>(value: T | undefined, kind: string, id: number): T {
  if (value === undefined) throw new RangeError(`the plane has no ${kind} ${id}`);
  return value;
}

/** The bytes of an IPv6 address; undefined for what is none. */
function answering(address: string | undefined): AddressBytes | undefined {
  const bytes = address === undefined ? undefined : parseAddress(address);
  return bytes?.length === 16 ? bytes : undefined;
}
