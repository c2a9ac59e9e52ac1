// The place of a rehearsal (rehearsal.ts): a socket pair that stands for the device, a datagram socket that is its own far
// end for the link, and a loop that moves packets between the two.

import type { KeyOptions } from '../data/plane.ts';
import { type SocketAddress, socketAddress } from '../ip/socket-address.ts';
import { VIRTIO_HEADER_BYTES } from '../ip/virtio-header.ts';
import { HostError } from '../tunnel/ports.ts';
import { libc, nativeBytes } from './libc.ts';
import { createLinkPort } from './links.ts';
import type { PacketLoop } from './packet-loop.ts';
import { rehearsalPackets } from './rehearsal-packets.ts';
import { SOCKADDR_BYTES, writeSockaddr } from './sockaddr.ts';
import type { WorkerCall, WorkerCalls } from './worker-messages.ts';

/** Makes a loop on the worker's memory that takes its calls from `nextCall` and tells nobody of anything. */
export type CreateStageLoop = (nextCall: () => WorkerCall | undefined) => PacketLoop;

type Options<K extends keyof WorkerCalls> = Parameters<WorkerCalls[K]>;

/** What is known of the connection that is rehearsed, as the main thread asked for it. */
export interface StagedConnection {
  device?: Options<'addDevice'>[1];
  link?: Options<'addLink'>[1];
  peer?: Options<'addPeer'>[2];
  /** With material that both directions share. */
  key?: KeyOptions;
}

/** A turn waits no longer for what was sent over loopback. */
const LONGEST_TURN_MS = 1;
/** The longest super-packet behind its virtio header. */
const READ_BYTES = VIRTIO_HEADER_BYTES + 65_535;

export class Stage {
  readonly #loop: PacketLoop;
  readonly #ends: Ends;
  readonly #packets = rehearsalPackets();
  readonly #memory = nativeBytes(READ_BYTES);
  #next = 0;

  constructor(loop: PacketLoop, ends: Ends) {
    this.#loop = loop;
    this.#ends = ends;
    loop.turn(0); // takes its calls
  }

  /** Whether the next packet is the first one again. */
  get isRoundOver(): boolean {
    return this.#next === 0;
  }

  /** Sends a packet around; false when it has not come back. */
  step(): boolean {
    const { address, bytes } = this.#memory;
    const { far } = this.#ends;
    const packet = this.#packets[this.#next]!;
    this.#next = (this.#next + 1) % this.#packets.length;
    bytes.set(packet);
    if (libc.write(far, address, packet.length) !== packet.length) return false;
    this.#loop.turn(LONGEST_TURN_MS); // reads, seals and sends it
    this.#loop.turn(LONGEST_TURN_MS); // receives, opens and writes it
    let isBack = false;
    while (libc.read(far, address, READ_BYTES) > VIRTIO_HEADER_BYTES) isBack = true;
    return isBack;
  }

  close(): void {
    const { near, far, socket } = this.#ends;
    this.#loop.close();
    for (const fd of [near, far, socket]) libc.close(fd);
  }
}

const FIRST_DEVICE = 1;
const FIRST_LINK = 2;
const DEVICE = 3;
const LINK = 4;
const PEER = 5;
const KEY = 6;
/** Both ends of the packets (rehearsal-packets.ts). */
const INNER_PREFIXES = ['192.0.2.1/32', '2001:db8::1/128'];
const EVERYTHING = ['0.0.0.0/0', '::/0'];
const LOOPBACK = {
  4: socketAddress(Uint8Array.of(127, 0, 0, 1), 0),
  6: socketAddress(
    Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0)),
    0,
  ),
} as const;

/** Undefined for a connection of an unusual kind, and where the host has no such sockets. */
export function openStage(
  { device, link, peer, key }: StagedConnection,
  createLoop: CreateStageLoop,
): Stage | undefined {
  if (device === undefined || link === undefined || peer === undefined || key === undefined) return undefined;
  const { endpoint } = device;
  const offload = endpoint.kind === 'fd' ? endpoint.offload : undefined;
  const isBare = offload === undefined || offload === 'none';
  if (isBare || device.layer !== 'tun' || link.framing !== 'udp') return undefined;
  const ends = openEnds(link.connected, link.remote?.family ?? peer.address?.family ?? 4);
  if (ends === undefined) return undefined;
  const { near, socket, address } = ends;
  const prefixes = EVERYTHING.every((prefix) => peer.prefixes.includes(prefix)) ? peer.prefixes : INNER_PREFIXES;
  const deviceOptions = { ...device, endpoint: { kind: 'fd', fd: near, offload }, clientToClient: false } as const;
  const linkOptions = { ...link, endpoint: { kind: 'fd', fd: socket }, remote: link.remote && address } as const;
  const peerOptions = {
    ...{ ...peer, device: DEVICE, link: LINK, prefixes, bytesPerSecond: 0 },
    address: peer.address && address,
  };
  const calls: WorkerCall[] = [
    // First how they end: V8 would throw away what it made while their fields had never changed.
    ['addDevice', FIRST_DEVICE, deviceOptions, true],
    ['addLink', FIRST_LINK, linkOptions, 'both'],
    ['removeLink', FIRST_LINK, 0],
    ['removeDevice', FIRST_DEVICE, 0],
    ['addDevice', DEVICE, deviceOptions, true],
    ['addLink', LINK, linkOptions, 'both'],
    ['addPeer', PEER, 0, peerOptions, { opens: 0, seals: 0 }],
    ['addKey', PEER, KEY, key, undefined],
    ['useKey', PEER, KEY],
  ];
  return new Stage(
    createLoop(() => calls.shift()),
    ends,
  );
}

interface Ends {
  /** The two ends of what stands for the device. */
  readonly near: number;
  readonly far: number;
  /** The socket that is its own far end, and where it is. */
  readonly socket: number;
  readonly address: SocketAddress;
}

const SOCKET_REQUEST = {
  transport: 'udp',
  remote: undefined,
  ipv6Only: false,
  sndbufBytes: undefined,
  rcvbufBytes: undefined,
  mark: undefined,
  bindDevice: undefined,
  mtuDiscovery: undefined,
  tcpNoDelay: false,
} as const;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const NONBLOCK_CLOEXEC = 0o2004000;

function openEnds(connected: boolean, family: 4 | 6): Ends | undefined {
  const pair = nativeBytes(8);
  if (libc.socketpair(AF_UNIX, SOCK_DGRAM | NONBLOCK_CLOEXEC, 0, pair.address) < 0) return undefined;
  const [near, far] = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
  try {
    const { fd: socket, local: address } = createLinkPort().open({ ...SOCKET_REQUEST, local: LOOPBACK[family] });
    const name = nativeBytes(SOCKADDR_BYTES);
    const nameBytes = writeSockaddr(name.view, 0, address);
    if (!connected || libc.connect(socket, name.address, nameBytes) === 0) return { near, far, socket, address };
    libc.close(socket);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  for (const fd of [near, far]) libc.close(fd);
  return undefined;
}
