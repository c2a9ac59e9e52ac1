// The place of a rehearsal (rehearsal.ts): a socket pair that stands for the device, a datagram socket that is its own far
// end for the link, and a loop that moves packets between the two.

import type { DeviceOptions, KeyOptions, LinkOptions, PeerOptions } from '../data/plane.ts';
import { type SocketAddress, socketAddress } from '../ip/socket-address.ts';
import { VIRTIO_HEADER_BYTES } from '../ip/virtio-header.ts';
import { HostError } from '../tunnel/ports.ts';
import { libc, nativeBytes } from './libc.ts';
import { createLinkPort } from './links.ts';
import { randomBytesAt } from './openssl.ts';
import { PAUSE_MS, type PacketLoop } from './packet-loop.ts';
import { rehearsalPackets } from './rehearsal-packets.ts';
import { SOCKADDR_BYTES, writeSockaddr } from './sockaddr.ts';
import type { WorkerCall } from './worker-messages.ts';

/** Makes a loop on the worker's memory that takes its calls from `nextCall` and tells nobody of anything. */
export type CreateStageLoop = (nextCall: () => WorkerCall | undefined) => PacketLoop;

/** A connection as the main thread asked for it. Of the key only the kind is looked at: its material has been wiped. */
export interface StagedConnection {
  readonly device: DeviceOptions;
  readonly link: LinkOptions;
  readonly peer: PeerOptions;
  readonly key: KeyOptions;
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
  /** Whether the packets of this round are taken for ones that come after a pause. */
  #areLone = false;

  constructor(loop: PacketLoop, ends: Ends) {
    this.#loop = loop;
    this.#ends = ends;
    loop.turn(0); // takes its calls
  }

  /** Whether the next packet is the first one again. */
  get isRoundOver(): boolean {
    return this.#next === 0;
  }

  /** Sends a packet around; false when it has not come back and should have. */
  step(): boolean {
    const { address, bytes } = this.#memory;
    const { far } = this.#ends;
    if (this.#next === 0) this.#areLone = !this.#areLone;
    const { packet, isForeign } = this.#packets[this.#next]!;
    this.#next = (this.#next + 1) % this.#packets.length;
    bytes.set(packet);
    if (libc.write(far, address, packet.length) !== packet.length) return false;
    this.#loop.pauseMs = this.#areLone ? 0 : PAUSE_MS;
    this.#loop.turn(LONGEST_TURN_MS); // reads, seals and sends it; for a lone one it does the rest, too
    if (this.#areLone && (isForeign || this.#takeBack())) return true;
    this.#loop.turn(LONGEST_TURN_MS); // receives, opens and writes it
    return this.#takeBack() || isForeign;
  }

  /** Takes what has come out at the far end; whether that was anything. */
  #takeBack(): boolean {
    let isBack = false;
    while (libc.read(this.#ends.far, this.#memory.address, READ_BYTES) > VIRTIO_HEADER_BYTES) isBack = true;
    return isBack;
  }

  /** When the last turn was. */
  get nowMs(): number {
    return this.#loop.nowMs();
  }

  close(): void {
    this.#loop.close();
    closeEnds(this.#ends);
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

const offloadOf = ({ endpoint }: DeviceOptions) => (endpoint.kind === 'fd' ? (endpoint.offload ?? 'none') : 'none');

/** Whether such a connection has a stage: a tun with super-packets, over UDP. */
export function isStaged(device: DeviceOptions, link: LinkOptions): boolean {
  return device.layer === 'tun' && offloadOf(device) !== 'none' && link.framing === 'udp';
}

/** Undefined where the host has no such sockets. */
export function openStage(connection: StagedConnection, createLoop: CreateStageLoop): Stage | undefined {
  const { link, peer } = connection;
  const ends = openEnds(link.connected, link.remote?.family ?? peer.address?.family ?? 4);
  if (ends === undefined) return undefined;
  let loop: PacketLoop | undefined;
  try {
    const calls = stageCalls(connection, ends);
    loop = createLoop(() => calls.shift());
    return new Stage(loop, ends);
  } catch (error) {
    loop?.close(); // it may have taken its calls in part
    closeEnds(ends);
    throw error;
  }
}

/** Random bytes instead of the connection's own, the same for both directions, so that what is sealed can be opened. */
function ownMaterial({ material: { seal } }: KeyOptions): KeyOptions['material'] {
  const { address, bytes } = nativeBytes(seal.cipher.length + seal.hmac.length);
  randomBytesAt(address, bytes.length);
  const [cipher, hmac] = [bytes.slice(0, seal.cipher.length), bytes.slice(seal.cipher.length)];
  return { seal: { cipher, hmac }, open: { cipher, hmac } };
}

function stageCalls({ device, link, peer, key }: StagedConnection, { near, socket, address }: Ends): WorkerCall[] {
  const endpoint = { kind: 'fd', fd: near, offload: offloadOf(device) } as const;
  const deviceOptions = { ...device, endpoint, clientToClient: false };
  const linkOptions = { ...link, endpoint: { kind: 'fd', fd: socket }, remote: link.remote && address } as const;
  const prefixes = EVERYTHING.every((prefix) => peer.prefixes.includes(prefix)) ? peer.prefixes : INNER_PREFIXES;
  const peerOptions = {
    ...{ ...peer, device: DEVICE, link: LINK, prefixes, bytesPerSecond: 0 },
    address: peer.address && address,
  };
  return [
    // First how they end: V8 would throw away what it made while their fields had never changed.
    ['addDevice', FIRST_DEVICE, deviceOptions, true],
    ['addLink', FIRST_LINK, linkOptions, 'both'],
    ['removeLink', FIRST_LINK, 0],
    ['removeDevice', FIRST_DEVICE, 0],
    ['addDevice', DEVICE, deviceOptions, true],
    ['addLink', LINK, linkOptions, 'both'],
    ['addPeer', PEER, 0, peerOptions, { opens: 0, seals: 0 }],
    ['addKey', PEER, KEY, { ...key, material: ownMaterial(key) }, undefined],
    ['useKey', PEER, KEY],
  ];
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

function closeEnds({ near, far, socket }: Ends): void {
  for (const fd of [near, far, socket]) libc.close(fd);
}

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
