// The data plane in this process's own memory: no file descriptor, no thread. For tests, and for machines without tun.
// Links and devices are the engine's; their other ends are functions and queues here. A memory link carries whole
// packets whatever its framing; cutting streams is the business of planes with real ones.

import type { PacketCrypto } from '../crypto/provider.ts';
import { PACKED_ADDRESS_BYTES, readPackedAddress, writePackedAddress } from '../ip/packed-address.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { BUFFER_BYTES, HEADROOM_BYTES, MAX_PACKET_BYTES } from './arena.ts';
import { ENGINE_CAPABILITIES } from './capabilities.ts';
import { CounterSlots, countersByteLength, readPeerStatistics, readPlaneStatistics } from './counters.ts';
import { DeviceQueue } from './device-queue.ts';
import { type LaneCapacity, takesRoom } from './event-lanes.ts';
import type {
  DataPlane,
  DeviceChange,
  DeviceId,
  DeviceOptions,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  ListenerOptions,
  MemoryDeviceEnd,
  PeerHandle,
  PeerOptions,
  PeerSettings,
  PeerStatistics,
  PlaneCapabilities,
  PlaneEvent,
  PlaneListener,
  PlaneStatistics,
} from './plane.ts';
import { createPlaneCore, type PlaneCore } from './plane-core.ts';
import { scratchByteLength } from './plane-state.ts';
import { StreamIn } from './stream-in.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Peers and links that one memory plane holds. */
const MEMORY_PEERS = 256;
const MEMORY_LINKS = 256;
/** The region at offset 0 that no packed address may start at, and the source address of an injected packet. */
const SOURCE = 64;
const INPUT = SOURCE + PACKED_ADDRESS_BYTES + 16 + HEADROOM_BYTES;
const SCRATCH = INPUT - HEADROOM_BYTES + BUFFER_BYTES;

const DEVICE_ERROR = dropCode('device-error');
const DEVICE_FULL = dropCode('device-full');
const LINK_ERROR = dropCode('link-error');

/** Bytes of arena that the packet crypto of a memory plane must have. */
export const MEMORY_PLANE_ARENA_BYTES = SCRATCH + scratchByteLength(MEMORY_PEERS, MEMORY_LINKS);

export interface MemoryPlaneOptions {
  /** On an arena of MEMORY_PLANE_ARENA_BYTES. */
  readonly packetCrypto: PacketCrypto;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly listener: PlaneListener;
  readonly laneCapacity?: LaneCapacity;
  /** Calls the given function later, to hand events to the listener; without it they come before the causing call returns. */
  readonly schedule?: (deliver: () => void) => void;
  /** What the links send. `address` is where to; a packet is a copy. */
  readonly onSend?: (link: LinkId, address: SocketAddress, bytes: Uint8Array) => void;
}

export interface MemoryPlane extends DataPlane {
  /** A packet comes in over a link; without an address, from the link's own remote. */
  inject(link: LinkId, from: SocketAddress | undefined, bytes: Uint8Array): void;
  /** What the links send from now on goes here. */
  onSend(send: (link: LinkId, address: SocketAddress, bytes: Uint8Array) => void): void;
  /** A stream comes in at a listener: its `accepted` event has a number for an fd, which `addLink` takes. */
  acceptStream(listener: LinkId, from: SocketAddress): void;
  /** The next piece of a stream that was accepted and given to `addLink`, cut anyhow. */
  injectStream(link: LinkId, bytes: Uint8Array): void;
  /** Ends a link as a stream's end would. */
  closeLink(link: LinkId, code: string, text: string): void;
  handleTick(nowMs: number): void;
  nextDeadlineMs(): number;
}

const CIPHERS = [
  ...['AES-256-GCM', 'AES-128-GCM', 'AES-192-GCM', 'CHACHA20-POLY1305'],
  ...['AES-256-CBC', 'AES-192-CBC', 'AES-128-CBC', 'none'],
];
const DIGESTS = ['SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512', 'MD5', 'none'];

/** Makes a plane without devices, links and peers. */
export function createMemoryPlane(options: MemoryPlaneOptions): MemoryPlane {
  return new Plane(options);
}

class Plane implements MemoryPlane {
  readonly capabilities: PlaneCapabilities = { ...ENGINE_CAPABILITIES, ciphers: CIPHERS, digests: DIGESTS };
  readonly #options: MemoryPlaneOptions;
  readonly #core: PlaneCore;
  readonly #counters = new Float64Array(countersByteLength(MEMORY_PEERS) / 8);
  readonly #slots = new CounterSlots(MEMORY_PEERS);
  readonly #devices = new Map<DeviceId, DeviceQueue>();
  readonly #listeners = new Set<LinkId>();
  /** Accepted and not yet given to `addLink`. */
  readonly #accepted = new Set<number>();
  readonly #streams = new Map<LinkId, StreamIn>();
  readonly #links = new Map<LinkId, LinkOptions>();
  readonly #peers = new Map<PeerHandle, number>();
  #send: (link: LinkId, address: SocketAddress, bytes: Uint8Array) => void;
  /** What the engine sent during the call in hand; it goes out afterwards, so that an answer can't come in meanwhile. */
  readonly #outbox: { link: LinkId; to: SocketAddress; bytes: Uint8Array }[] = [];
  #lastId = 0;
  #sending = false;
  #delivering = false;
  #closed = false;

  constructor(options: MemoryPlaneOptions) {
    this.#options = options;
    this.#send = options.onSend ?? (() => undefined);
    this.#core = createPlaneCore({
      packetCrypto: options.packetCrypto,
      io: {
        sendLink: (link, address, offset, length) => this.#sendLink(link, address, offset, length),
        writeDevice: (device, offset, length) => this.#writeDevice(device, offset, length),
      },
      scratch: { start: SCRATCH, length: scratchByteLength(MEMORY_PEERS, MEMORY_LINKS) },
      counters: this.#counters,
      laneCapacity: options.laneCapacity ?? { known: 256, unknown: 256 },
      nowMs: options.now(),
    });
  }

  addDevice(options: DeviceOptions): DeviceId {
    expectMemory(options.endpoint.kind, 'device');
    const id = this.#nextId();
    this.#core.addDevice(id, options);
    this.#devices.set(id, new DeviceQueue());
    return id;
  }

  setDevice(device: DeviceId, change: DeviceChange): void {
    this.#core.setDevice(device, change);
  }

  async removeDevice(device: DeviceId): Promise<void> {
    this.#core.removeDevice(device);
    this.#devices.delete(device);
  }

  addLink(options: LinkOptions): LinkId {
    const { endpoint } = options;
    const isStream = endpoint.kind === 'fd' && this.#accepted.delete(endpoint.fd);
    if (!isStream) expectMemory(endpoint.kind, 'link');
    const id = this.#nextId();
    this.#links.set(id, options);
    this.#core.addLink(id, options);
    if (isStream) {
      const { firstPacket } = options;
      this.#streams.set(id, new StreamIn({ firstPacket, limit: () => this.#core.packetLimit(id) }));
    }
    if (options.connecting) this.#core.report({ type: 'link-open', link: id });
    this.#deliver();
    return id;
  }

  addListener({ endpoint }: ListenerOptions): LinkId {
    expectMemory(endpoint.kind, 'listener');
    const id = this.#nextId();
    this.#listeners.add(id);
    return id;
  }

  async removeLink(link: LinkId): Promise<void> {
    if (this.#listeners.delete(link)) return;
    this.#core.removeLink(link);
    this.#links.delete(link);
    this.#streams.delete(link);
  }

  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void {
    this.#run(() => this.#core.sendControl(link, address, bytes));
  }

  addPeer(options: PeerOptions): PeerHandle {
    const id = this.#nextId();
    const slot = this.#slots.take();
    this.#run(() => this.#core.addPeer(id, slot, options));
    this.#peers.set(id, slot);
    return id;
  }

  setPeer(peer: PeerHandle, change: Partial<PeerSettings>): void {
    this.#run(() => this.#core.setPeer(peer, change));
  }

  removePeer(peer: PeerHandle): void {
    this.#core.removePeer(peer);
    this.#slots.give(this.#peers.get(peer)!);
    this.#peers.delete(peer);
  }

  addKey(peer: PeerHandle, options: KeyOptions): KeyHandle {
    const id = this.#nextId();
    this.#core.addKey(peer, id, options);
    return id;
  }

  useKey(peer: PeerHandle, key: KeyHandle): void {
    this.#core.useKey(peer, key);
  }

  removeKey(peer: PeerHandle, key: KeyHandle): void {
    this.#core.removeKey(peer, key);
  }

  sendInBand(peer: PeerHandle, bytes: Uint8Array): void {
    this.#run(() => this.#core.sendInBand(peer, bytes));
  }

  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void {
    this.#run(() => this.#core.answerFloat(peer, address, accept));
  }

  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void {
    this.#run(() => this.#core.answerAddress(peer, address, accept));
  }

  forgetIdleAddresses(device: DeviceId, idleMs: number): void {
    this.#run(() => this.#core.forgetIdleAddresses(device, idleMs));
  }

  peerStatistics(peer: PeerHandle): PeerStatistics {
    const slot = this.#peers.get(peer);
    if (slot === undefined) throw new RangeError(`the plane has no peer ${peer}`);
    return readPeerStatistics(this.#counters, slot);
  }

  statistics(): PlaneStatistics {
    return readPlaneStatistics(this.#counters);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#outbox.length = 0;
    this.#core.close();
  }

  inject(link: LinkId, from: SocketAddress | undefined, bytes: Uint8Array): void {
    if (bytes.length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${bytes.length} bytes`);
    const { arena } = this.#core;
    if (from !== undefined) writePackedAddress(arena.view, SOURCE, from);
    arena.bytes.set(bytes, INPUT);
    this.#run(() => this.#core.handleLinkPacket(link, from === undefined ? 0 : SOURCE, INPUT, bytes.length));
  }

  onSend(send: (link: LinkId, address: SocketAddress, bytes: Uint8Array) => void): void {
    this.#send = send;
  }

  deviceEnd(device: DeviceId): MemoryDeviceEnd {
    const written = this.#devices.get(device);
    if (written === undefined) throw new RangeError(`the plane has no device ${device}`);
    return {
      write: (packet) => {
        if (packet.length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${packet.length} bytes`);
        this.#core.arena.bytes.set(packet, INPUT);
        this.#run(() => this.#core.handleDevicePacket(device, INPUT, packet.length));
        return true;
      },
      read: () => written.read(),
      onReadable: (handle) => written.onReadable(handle),
    };
  }

  acceptStream(listener: LinkId, from: SocketAddress): void {
    if (!this.#listeners.has(listener)) return;
    const fd = this.#nextId();
    this.#accepted.add(fd);
    this.#run(() => this.#core.report({ type: 'accepted', listener, fd, address: from }));
  }

  injectStream(link: LinkId, bytes: Uint8Array): void {
    const stream = this.#streams.get(link);
    if (stream === undefined) return;
    this.#run(() => {
      const verdict = stream.handleBytes(bytes, 0, bytes.length, (source, offset, length) => {
        this.#core.arena.bytes.set(source.subarray(offset, offset + length), INPUT);
        this.#core.handleLinkPacket(link, 0, INPUT, length);
      });
      if (verdict !== 'packets') this.#endStream(link, stream, verdict);
    });
  }

  #endStream(link: LinkId, stream: StreamIn, verdict: 'foreign' | 'broken'): void {
    this.#streams.delete(link);
    if (verdict === 'broken') this.#core.report({ type: 'link-closed', link, code: 'BAD_FRAME', text: stream.fault });
    else this.#core.report({ type: 'foreign-stream', link, bytes: stream.takeForeign() });
  }

  closeLink(link: LinkId, code: string, text: string): void {
    this.#run(() => this.#core.report({ type: 'link-closed', link, code, text }));
  }

  handleTick(nowMs: number): void {
    this.#run(() => this.#core.handleTick(nowMs));
  }

  nextDeadlineMs(): number {
    return this.#core.nextDeadlineMs();
  }

  #sendLink(link: LinkId, address: number, offset: number, length: number): Verdict {
    const options = this.#links.get(link);
    if (options === undefined) return LINK_ERROR;
    const { bytes, view } = this.#core.arena;
    const to = address === 0 ? options.remote : readPackedAddress(view, address);
    if (to === undefined) return LINK_ERROR;
    this.#outbox.push({ link, to, bytes: bytes.slice(offset, offset + length) });
    return PASS;
  }

  #writeDevice(device: DeviceId, offset: number, length: number): Verdict {
    const written = this.#devices.get(device);
    if (written === undefined) return DEVICE_ERROR;
    return written.push(this.#core.arena.bytes.slice(offset, offset + length)) ? PASS : DEVICE_FULL;
  }

  #run(action: () => void): void {
    this.#core.setNow(this.#options.now());
    action();
    this.#flush();
    for (const device of this.#devices.values()) device.notify();
    this.#deliver();
  }

  #flush(): void {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let sent = this.#outbox.shift(); sent !== undefined; sent = this.#outbox.shift()) {
        this.#send(sent.link, sent.to, sent.bytes);
      }
    } finally {
      this.#sending = false;
    }
  }

  /** Hands events to the listener, one after the other; calls that it makes meanwhile add to the same row. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    const { schedule } = this.#options;
    if (schedule === undefined) this.#drain();
    else schedule(() => this.#drain());
  }

  #drain(): void {
    try {
      for (let event = this.#core.pollEvent(); event !== undefined && !this.#closed; event = this.#core.pollEvent()) {
        this.#taken(event);
        this.#options.listener(event);
      }
    } finally {
      this.#delivering = false;
    }
  }

  #taken(event: PlaneEvent): void {
    if (takesRoom(event)) this.#core.handleTaken(1);
  }

  #nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }
}

function expectMemory(kind: 'fd' | 'memory', what: string): void {
  if (kind !== 'memory') throw new TypeError(`a memory plane has no ${what} with a file descriptor`);
}
