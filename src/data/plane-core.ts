// The engine inside every plane that moves packets in this process: memory and worker. It is sans-I/O: whoever owns the
// file descriptors reads packets into the arena, calls `handleLinkPacket` and `handleDevicePacket`, and is called back
// through `PlaneIo`. Ids of devices, links, peers and keys are chosen by the caller (a worker plane's main thread hands
// them out before the worker knows), small positive integers, never used twice.
//
// Packet out reads in packet-out.ts, packet in in packet-in.ts. No call of the packet path allocates.

import type { Arena, PacketCrypto } from '../crypto/provider.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { ArenaRegion } from './arena.ts';
import type {
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
import type { Verdict } from './verdict.ts';

/** What the engine asks of whoever owns the file descriptors. Both return PASS or a drop code, which the engine counts. */
export interface PlaneIo {
  /**
   * Sends one packet, without the stream or SOCKS framing of the link: there are 24 free bytes before it for that.
   * `address` is the offset of a packed address (ip/packed-address.ts), or 0 for the link's own remote.
   * A packet inside a buffer that was passed to `handleDevicePacket` may be kept there and sent with others later;
   * one inside the engine's scratch region must be sent or copied before the call returns.
   */
  sendLink(link: LinkId, address: number, offset: number, length: number): Verdict;
  /** Writes one packet to the device; the same rule for buffers passed to `handleLinkPacket`. */
  writeDevice(device: DeviceId, offset: number, length: number): Verdict;
}

export interface PlaneCoreOptions {
  readonly packetCrypto: PacketCrypto;
  readonly io: PlaneIo;
  /** A region of the arena that is the engine's alone, at least `scratchByteLength(peers)`; 8-byte aligned. */
  readonly scratch: ArenaRegion;
  /** `countersByteLength(peerSlots)` bytes; may be shared with other threads. */
  readonly counters: Float64Array;
  /** Control packets held for the consumer at most, in each lane. */
  readonly laneCapacity: { readonly known: number; readonly unknown: number };
  /** Monotonic milliseconds at the start. */
  readonly nowMs: number;
}

export interface PlaneCore {
  readonly arena: Arena;

  /** The clock of all packets that follow; called once for each batch. */
  setNow(nowMs: number): void;
  /**
   * One packet from a link, without stream or SOCKS framing. `source` is the offset of its packed source address, or 0
   * for the link's own remote. The bytes may be changed. HEADROOM_BYTES before and TAILROOM_BYTES after belong to it.
   */
  handleLinkPacket(link: LinkId, source: number, offset: number, length: number): void;
  /** One packet (or frame) from a device, with the same room around it. */
  handleDevicePacket(device: DeviceId, offset: number, length: number): void;
  /** Sends the pings and expires the fragments that are due. */
  handleTick(nowMs: number): void;
  /** When `handleTick` wants to be called next; Infinity for never. */
  nextDeadlineMs(): number;

  /** The next event for the control plane: notices, then control packets of known peers, then of unknown sources. */
  pollEvent(): PlaneEvent | undefined;
  /** The consumer has worked off so many polled `control` and `in-band` events of each lane, which makes room for others. */
  handleTaken(known: number, unknown: number): void;
  /** Puts an event of the plane's own (`link-closed` …) in the queue before all packets. */
  report(event: PlaneEvent): void;
  /** Counts a packet that was lost outside the engine, for instance in a batch that the kernel refused. */
  countDrop(cause: DropCause): void;

  addDevice(id: DeviceId, options: Pick<DeviceOptions, 'layer' | 'mtuBytes' | 'blockIpv6'>): void;
  setDevice(id: DeviceId, change: { mtuBytes?: number; blockIpv6?: boolean }): void;
  removeDevice(id: DeviceId): void;
  addLink(id: LinkId, options: Pick<LinkOptions, 'framing' | 'remote'>): void;
  removeLink(id: LinkId): void;
  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void;
  /** `counterSlot` is the peer's place in the counters; they are cleared. */
  addPeer(id: PeerHandle, counterSlot: number, options: PeerOptions): void;
  setPeer(id: PeerHandle, change: Partial<PeerSettings>): void;
  removePeer(id: PeerHandle): void;
  addKey(peer: PeerHandle, id: KeyHandle, options: KeyOptions): void;
  useKey(peer: PeerHandle, id: KeyHandle): void;
  removeKey(peer: PeerHandle, id: KeyHandle): void;
  sendInBand(peer: PeerHandle, bytes: Uint8Array): void;
  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void;
  /** Wipes all keys. */
  close(): void;
}
