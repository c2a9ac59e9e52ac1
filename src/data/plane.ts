// The data plane port: what the control plane may ask of whatever moves packets, and what comes back. Three answers to
// it: memory (tests, machines without tun), a worker thread on Linux, later the kernel module. One conformance suite,
// test/conformance/data-plane.ts, holds them all.
//
// Device, link and peer live and die separately. Ids are small integers chosen by the plane and never used twice.
// Calls are synchronous and ordered; what they cause may happen later and is reported through the listener.
//
// Peers may share a link, a device and even an address: a client that connects anew from its old port is a second peer
// there, without keys until it has proven who it is. Control packets name link and address, and their session says whose
// they are; data packets are found by peer-id, those without one by address, where a peer with keys goes before one without.

import type { DataKeyMaterial } from '../crypto/data-keys.ts';
import type { NatRule } from '../ip/client-nat.ts';
import type { PrefixText } from '../ip/prefix.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import type { UsageReason } from './usage-limits.ts';

export type DeviceId = number;
export type LinkId = number;
export type PeerHandle = number;
/** Names one installed key; the 3-bit key-id on the wire is not unique over a peer's life. */
export type KeyHandle = number;

export type LinkFraming = 'udp' | 'tcp' | 'socks-udp';
export type CompressionFraming = 'none' | 'comp-lzo' | 'stub' | 'stub-v2';

/** What this plane can do. The control plane never asks which plane it has. */
export interface PlaneCapabilities {
  readonly ciphers: readonly string[];
  readonly digests: readonly string[];
  readonly dataV1: boolean;
  readonly epoch: boolean;
  readonly framings: readonly LinkFraming[];
  readonly fragment: boolean;
  readonly compression: readonly CompressionFraming[];
  /** Whether in-band messages (OCC, exit) can be sent and are reported. */
  readonly inBand: boolean;
  /** Whether byte and packet limits on keys are reported. */
  readonly keyLimits: boolean;
  /** `request`: a float waits for `answerFloat`. `notice`: it has happened, `setPeer` undoes it. */
  readonly float: 'request' | 'notice';
}

/**
 * An open, non-blocking fd, or a far end in this process's memory. `siblings`: more sockets on the same address (UDP that
 * serves many), over which the kernel spreads what comes by peer-id: the one at place n, counted from 1, gets the data
 * packets whose peer-id leaves n when divided by the number of all; everything else comes to the first.
 */
export type Endpoint =
  | { readonly kind: 'fd'; readonly fd: number; readonly siblings?: readonly number[] | undefined }
  | { readonly kind: 'memory' };

/**
 * What an fd of a device does beyond one bare packet for each read and write. `tcp` and `tcp-udp`: a virtio header stands
 * before each packet, and one packet may stand for many segments of one TCP flow, or of one TCP or UDP flow.
 */
export type DeviceOffload = 'none' | 'tcp' | 'tcp-udp';

/**
 * A device's fd, opened with `offload` (`none` when absent), or a far end in this process's memory. `queues`: more fds of
 * the same device, each with what the kernel gives to that queue of it.
 */
export type DeviceEndpoint =
  | {
      readonly kind: 'fd';
      readonly fd: number;
      readonly offload?: DeviceOffload | undefined;
      readonly queues?: readonly number[] | undefined;
    }
  | { readonly kind: 'memory' };

export interface DeviceOptions {
  /** A tun or tap fd, or `memory` for a device whose other end is `deviceEnd`. */
  readonly endpoint: DeviceEndpoint;
  readonly layer: 'tun' | 'tap' | 'null';
  readonly mtuBytes: number;
  /** Answer IPv6 from the device with ICMPv6 unreachable instead of sending it (`--block-ipv6`). */
  readonly blockIpv6: boolean;
  /** The IPv6 address that those answers come from; fe80::7 when absent. */
  readonly unreachableFrom?: string | undefined;
  /**
   * What one peer sends to an inner address of another goes straight there, never into the device; multicast goes to all
   * other peers and into the device. Without it everything goes into the device. The same with Ethernet addresses for
   * `learnsAddresses`; false when absent.
   */
  readonly clientToClient?: boolean | undefined;
  /**
   * tap: the device has several peers, and a frame goes to the one behind which its destination is, or to all of them where
   * that is a group. An address is a peer's once `address-request` was answered with yes; without it, the device has one
   * peer that gets every frame. False when absent.
   */
  readonly learnsAddresses?: boolean | undefined;
}

/** What can be changed of a device. */
export type DeviceChange = Partial<Pick<DeviceOptions, 'mtuBytes' | 'blockIpv6' | 'unreachableFrom'>>;

/** The other end of a device in memory: what an application or the kernel would be. Bounded both ways; full is a drop. */
export interface MemoryDeviceEnd {
  /** Gives the device a packet, as if it came from the host. False when the plane has no room: it was dropped and counted. */
  write(packet: Uint8Array): boolean;
  /** The next packet that the plane wrote, oldest first. */
  read(): Uint8Array | undefined;
  /** Called when there is something to read again; replaces the function before. Read until there is nothing. */
  onReadable(handle: () => void): void;
}

export interface LinkOptions {
  /** A socket; for a stream that a listener accepted, the fd of its `accepted` event. */
  readonly endpoint: Endpoint;
  readonly framing: LinkFraming;
  /** TCP: a non-blocking connect is under way; `link-open` or `link-closed` follows. */
  readonly connecting: boolean;
  /** The one address of a connected socket (TCP, or a UDP client); undefined for a socket that serves many. */
  readonly remote: SocketAddress | undefined;
  /** Whether the UDP socket is connected to `remote`, so that datagrams are written without an address. */
  readonly connected: boolean;
  /**
   * UDP that serves many: answers leave from the address that was asked, which `SocketAddress.local` says (`--multihome`), or
   * from that address by the interface that the question came in at. Absent: as the system's routes say.
   */
  readonly localEnds?: 'none' | 'address' | 'interface' | undefined;
  /** Bytes read before the plane owned the stream. */
  readonly readAhead: Uint8Array | undefined;
  /**
   * TCP: the stream must begin with an OpenVPN client's first packet (`--port-share`). One that does not is reported as
   * `foreign-stream` and read no more. undefined: whatever comes is a packet.
   */
  readonly firstPacket?: 'openvpn' | undefined;
  /**
   * TCP: a longer packet ends the stream (`BAD_FRAME`) as long as no peer of the link has had a key, so that a stranger
   * holds no more memory than that. undefined: 65,535.
   */
  readonly handshakePacketBytes?: number | undefined;
  /**
   * TCP: packets that wait for a slow peer at most (`--tcp-queue-limit`); more are dropped as `link-full`. undefined: as many
   * as fit into 256 KiB, which bounds them in any case.
   */
  readonly queuePackets?: number | undefined;
}

export interface ListenerOptions {
  /** A listening stream socket, or `memory`. */
  readonly endpoint: Endpoint;
}

/** Everything about a peer that may change while it lives. */
export interface PeerSettings {
  /** Where its packets go. */
  readonly address: SocketAddress | undefined;
  /** Written in DATA_V2 headers of packets to the peer; undefined means DATA_V1. 24 bits. */
  readonly sendPeerId: number | undefined;
  readonly compression: CompressionFraming;
  /** Whether compressed packets (LZO, LZ4) are opened; they are never made. */
  readonly decompress: 'none' | 'lzo' | 'lz4';
  /** Largest outer payload after `--fragment`, 0 for off. */
  readonly fragmentBytes: number;
  /** MSS written into TCP SYN packets both ways, for IPv4 and IPv6 inside; 0 for off. */
  readonly mssBytes4: number;
  readonly mssBytes6: number;
  /** Send a ping after this long without sending anything on the data channel; 0 for off. */
  readonly pingIntervalMs: number;
  /** What may come from the peer and what is sent to it, replaced as a whole. A client has 0.0.0.0/0 and ::/0. */
  readonly prefixes: readonly PrefixText[];
  /** Whether a packet of the inner network to the peer's own outer address is dropped (recursive routing). */
  readonly dropRecursive: boolean;
  /** A peer without this accepts packets from one source only. */
  readonly mayFloat: boolean;
  /** Translations of inner IPv4 addresses (`--client-nat`), tried in this order; none when absent. */
  readonly natRules?: readonly NatRule[] | undefined;
  /** Whether the TOS byte or traffic class of an inner packet is the outer packet's, too (`--passtos`). */
  readonly copyTrafficClass?: boolean | undefined;
  /**
   * What is sent to the peer at most, in bytes a second with the headers of the transport (`--shaper`): its device is read
   * no faster. 0 or absent for no limit.
   */
  readonly bytesPerSecond?: number | undefined;
}

export interface PeerOptions extends PeerSettings {
  readonly device: DeviceId;
  readonly link: LinkId;
  /** Incoming DATA_V2 packets are found by this peer-id; undefined: by link and address (DATA_V1, a client's only peer). */
  readonly receivePeerId: number | undefined;
  /** Replay window: ids (0 is strict order) and seconds. */
  readonly replayWindowPackets: number;
  readonly replayWindowSeconds: number;
}

export interface KeyOptions {
  /** 3 bits on the wire. */
  readonly keyId: number;
  /** OpenVPN cipher name, upper case; `none` for the null cipher. */
  readonly cipher: string;
  /** `epoch`: packets of the epoch format, of an AEAD cipher; a plane with `capabilities.epoch` has it. */
  readonly format?: 'epoch' | undefined;
  /** Digest of CBC, CFB, OFB and null ciphers; `none` for no HMAC; ignored under AEAD. */
  readonly digest: string;
  readonly material: DataKeyMaterial;
  /** Unix seconds at which the key was made: beside the packet-id on the wire with CFB and OFB, unused else. 1 if it is not given. */
  readonly madeSeconds?: number | undefined;
  /**
   * `key-used-up` is reported once at these; 0 for no limit. Packet-ids, epochs and what an AES-GCM key may carry are
   * always reported near their end.
   */
  readonly limitBytes: number;
  readonly limitPackets: number;
  /** For tests: lowers what an AES-GCM key may carry, in blocks of 16 bytes and packets together. */
  readonly limitBlocks?: number | undefined;
}

/** Counters since the peer was added; plain numbers, exact to 2^53. Times are monotonic milliseconds, 0 for never. */
export interface PeerStatistics {
  readonly deviceReadBytes: number;
  readonly deviceWriteBytes: number;
  readonly deviceReadPackets: number;
  readonly deviceWritePackets: number;
  readonly linkReadBytes: number;
  readonly linkWriteBytes: number;
  readonly linkReadPackets: number;
  readonly linkWritePackets: number;
  /** When the last authentic data packet (pings too) came, and the last data packet was sent. */
  readonly lastReceivedMs: number;
  readonly lastSentMs: number;
  /** When the last packet that is not a ping crossed the device, either way. */
  readonly lastPayloadMs: number;
  /** Bytes of the largest packet that came over the link, and that went (`--mtu-test`). */
  readonly linkReadLargest: number;
  readonly linkWriteLargest: number;
}

/** Why packets were dropped; each has a counter in `PlaneStatistics.drops`. */
export const DROP_CAUSES = [
  'short',
  'bad-opcode',
  'unknown-peer',
  'unknown-key',
  'bad-tag',
  'bad-mac',
  'bad-padding',
  'packet-id-zero',
  'replay',
  'too-old',
  'wrong-source',
  'float-refused',
  'bad-compression',
  'bad-fragment',
  'bad-inner-packet',
  'bad-source',
  'no-peer',
  'no-key',
  'packet-id-exhausted',
  'recursive',
  'too-big',
  'link-full',
  'link-error',
  'device-error',
  'device-full',
  'no-first-packet',
  'lane-known-full',
  'lane-peer-full',
  'lane-proofs-full',
  'lane-resets-full',
  'ipv6-blocked',
  'compressed',
  'worker-full',
  'unknown-epoch',
] as const;
export type DropCause = (typeof DROP_CAUSES)[number];

export interface PlaneStatistics {
  readonly drops: Readonly<Record<DropCause, number>>;
  /** All links together, control packets included. */
  readonly linkReadBytes: number;
  readonly linkWriteBytes: number;
  readonly linkReadPackets: number;
  readonly linkWritePackets: number;
  readonly deviceReadBytes: number;
  readonly deviceWriteBytes: number;
  readonly deviceReadPackets: number;
  readonly deviceWritePackets: number;
  /** System calls that moved packets, so that packets by calls is the size of a batch; 0 where there are none. */
  readonly linkReadCalls: number;
  readonly linkWriteCalls: number;
  readonly deviceReadCalls: number;
  readonly deviceWriteCalls: number;
  /** Milliseconds in the cipher, in checksums and in system calls that move packets; 0 where they are not measured. */
  readonly cryptoMs: number;
  readonly checksumMs: number;
  readonly systemMs: number;
  /** Of each thread that moves packets, where there are several. */
  readonly workers?: readonly PlaneStatistics[] | undefined;
}

export type PlaneEvent =
  /**
   * A control packet. `bytes` belong to the receiver. `known`: from the address of a live peer. Otherwise, on a link that
   * serves many, it is one that can begin a session: a client's hard reset, or a packet long enough to bring our cookie back.
   */
  | {
      readonly type: 'control';
      readonly link: LinkId;
      readonly address: SocketAddress;
      readonly bytes: Uint8Array;
      readonly known: boolean;
    }
  /** An authenticated in-band message that is not a ping (OCC and exit), without its framing. */
  | { readonly type: 'in-band'; readonly peer: PeerHandle; readonly bytes: Uint8Array }
  | { readonly type: 'link-open'; readonly link: LinkId }
  /**
   * A listener accepted a stream: non-blocking, close-on-exec, without Nagle's delay. The fd is the receiver's from now on,
   * to be given to `addLink` or closed. A few are on their way at once; the others wait in the kernel.
   */
  | { readonly type: 'accepted'; readonly listener: LinkId; readonly fd: number; readonly address: SocketAddress }
  /** A stream that must begin with an OpenVPN packet does not. `bytes`, all that was read, belong to the receiver. */
  | { readonly type: 'foreign-stream'; readonly link: LinkId; readonly bytes: Uint8Array }
  /**
   * The stream ended, could not be connected, or sent nonsense. `code` is the errno name, `EOF`, or `BAD_FRAME`: then
   * `text` has the length that a packet was to have and what is allowed, `(18245), which must be > 0 and <= 2048`.
   */
  | { readonly type: 'link-closed'; readonly link: LinkId; readonly code: string; readonly text: string }
  /** A datagram socket reported an error (ICMP refused …); the link lives on. Repetitions are joined. */
  | {
      readonly type: 'link-error';
      readonly link: LinkId;
      readonly code: string;
      readonly text: string;
      /** The system's number of the error, where there is one. */
      readonly errno?: number | undefined;
      /** Whether it came of sending; otherwise of something that came in. */
      readonly writing?: boolean | undefined;
      /** `EMSGSIZE`: the largest IP packet that the path takes, and, where the link serves many, to whom. */
      readonly pathMtuBytes?: number | undefined;
      readonly address?: SocketAddress | undefined;
    }
  | { readonly type: 'device-error'; readonly device: DeviceId; readonly code: string; readonly text: string }
  /**
   * An authentic packet came from a new address, which may be another peer's: the control plane decides. It was not
   * delivered; the old address stays until `answerFloat`. A peer without keys has no authentic packets, so it never asks.
   */
  | { readonly type: 'float-request'; readonly peer: PeerHandle; readonly address: SocketAddress }
  /**
   * A frame came from an Ethernet address that is not the peer's (`learnsAddresses`): it and those that follow wait, a moment
   * and within a bound, until `answerAddress`. The address may be another peer's.
   */
  | { readonly type: 'address-request'; readonly peer: PeerHandle; readonly address: Uint8Array }
  /** `forgetIdleAddresses` has forgotten these. */
  | { readonly type: 'addresses-forgotten'; readonly device: DeviceId; readonly addresses: readonly Uint8Array[] }
  | {
      readonly type: 'key-used-up';
      readonly peer: PeerHandle;
      readonly key: KeyHandle;
      readonly reason: UsageReason;
    }
  /** First drop of its cause after a quiet second; for the log, rate-limited by the plane. */
  | {
      readonly type: 'drop-notice';
      readonly peer: PeerHandle | undefined;
      readonly address: SocketAddress | undefined;
      readonly cause: DropCause;
      /** Drops of this cause since the last notice. */
      readonly count: number;
      /** Packet-id for replays. */
      readonly packetId: number | undefined;
      /** The inner source address (4 or 16 bytes, 6 of a frame) for `bad-source` and `recursive`. */
      readonly innerSource?: Uint8Array | undefined;
    }
  /** How packets move, for the log: with the first key in use, and again when something had to be done without. */
  | { readonly type: 'data-path'; readonly text: string }
  /** The plane itself is broken; nothing works any more. */
  | { readonly type: 'plane-failed'; readonly text: string };

export type PlaneListener = (event: PlaneEvent) => void;

export interface DataPlane {
  readonly capabilities: PlaneCapabilities;

  addDevice(options: DeviceOptions): DeviceId;
  setDevice(device: DeviceId, change: DeviceChange): void;
  /** The plane stops reading it; closing the fd stays with whoever opened it, after the returned promise. */
  removeDevice(device: DeviceId): Promise<void>;
  /** The other end of a device whose endpoint is `memory`. */
  deviceEnd(device: DeviceId): MemoryDeviceEnd;

  addLink(options: LinkOptions): LinkId;
  /** Accepts streams and reports them. Ends by `removeLink`, after whose promise nothing more is accepted. */
  addListener(options: ListenerOptions): LinkId;
  removeLink(link: LinkId): Promise<void>;
  /** Sends a control packet. The bytes are copied or sent before the call returns. */
  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void;

  /** Throws RangeError when every slot for a peer is in use. From now on control packets of its address are `known`. */
  addPeer(options: PeerOptions): PeerHandle;
  setPeer(peer: PeerHandle, change: Partial<PeerSettings>): void;
  removePeer(peer: PeerHandle): void;

  /** Installs a key for receiving. At most four live at once; the plane copies the material, the caller wipes its own. */
  addKey(peer: PeerHandle, options: KeyOptions): KeyHandle;
  /** Sends with this key from now on. */
  useKey(peer: PeerHandle, key: KeyHandle): void;
  removeKey(peer: PeerHandle, key: KeyHandle): void;

  /** Sends bytes through compression, fragment and cipher as a packet of its own (ping, OCC, exit). */
  sendInBand(peer: PeerHandle, bytes: Uint8Array): void;
  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void;
  /** Whether an Ethernet address is the peer's from now on; one that is refused is not asked about again for some seconds. */
  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void;
  /** Forgets the Ethernet addresses of a device that nothing came from or went to for so long, and reports them. */
  forgetIdleAddresses(device: DeviceId, idleMs: number): void;

  /** Always at once, from shared memory or by a call into the kernel. */
  peerStatistics(peer: PeerHandle): PeerStatistics;
  statistics(): PlaneStatistics;

  /** Ends everything; the listener is not called afterwards. */
  close(): Promise<void>;
}
