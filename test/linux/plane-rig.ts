// What tests of the worker plane put around it: devices whose other end the test holds, links on the loopback, peers.

import { randomBytes } from 'node:crypto';
import type { DataKeyMaterial } from '../../src/crypto/data-keys.ts';
import type { KeyOptions, PeerOptions, PlaneEvent } from '../../src/data/plane.ts';
import { type SocketAddress, socketAddress } from '../../src/ip/socket-address.ts';
import { checked } from '../../src/linux/errno.ts';
import { declareFunctions, libc, nativeBytes } from '../../src/linux/libc.ts';
import type { LinkRequest } from '../../src/ports.ts';
import { peerOptions } from '../lab/peer-options.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET_NONBLOCK = 5 | 0o4000;
const POLLIN = 1;

const pairs = declareFunctions<{ socketpair(domain: number, type: number, protocol: number, pair: number): number }>({
  socketpair: 'int socketpair(int, int, int, uintptr_t)',
});

/** Two ends of a packet pipe, both non-blocking fds. */
export function packetPair(): [number, number] {
  const pair = nativeBytes(64);
  checked(pairs.socketpair(AF_UNIX, SOCK_SEQPACKET_NONBLOCK, 0, pair.address), 'socketpair');
  return [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
}

const packet = nativeBytes(65_536);
const pollfd = nativeBytes(64);

/** Writes one packet; false when the pipe or socket has no room. */
export function writePacket(fd: number, bytes: Uint8Array): boolean {
  packet.bytes.set(bytes);
  return libc.write(fd, packet.address, bytes.length) === bytes.length;
}

/** Whether something can be read within the bound; blocks this thread. */
export function isReadable(fd: number, boundMs = 3_000): boolean {
  pollfd.view.setInt32(0, fd, true);
  pollfd.view.setInt32(4, POLLIN, true);
  return libc.poll(pollfd.address, 1, boundMs) > 0;
}

/** The next packet within the bound. The wait blocks this thread, which the plane's own thread does not mind. */
export function readPacket(fd: number, boundMs = 3_000, maxBytes = packet.bytes.length): Uint8Array | undefined {
  if (!isReadable(fd, boundMs)) return undefined;
  const length = libc.read(fd, packet.address, maxBytes);
  return length < 0 ? undefined : packet.bytes.slice(0, length);
}

export const loopback = (port: number): SocketAddress => socketAddress(Uint8Array.of(127, 0, 0, 1), port);

export const linkRequest = (more: Partial<LinkRequest>): LinkRequest => ({
  transport: 'udp',
  remote: undefined,
  local: undefined,
  ipv6Only: false,
  sndbufBytes: undefined,
  rcvbufBytes: undefined,
  mark: undefined,
  bindDevice: undefined,
  mtuDiscovery: undefined,
  tcpNoDelay: false,
  ...more,
});

/** A client's only peer: everything goes to it, everything may come from it. */
export function clientPeer(device: number, link: number, address: SocketAddress): PeerOptions {
  return peerOptions({ device, link, receivePeerId: undefined, address, sendPeerId: 0 });
}

/** Both ends' keys for a cipher with random material. */
export function keyPair(cipher: string, digest = 'SHA256'): [KeyOptions, KeyOptions] {
  const cipherBytes = cipher.includes('128') ? 16 : 32;
  const half = () => ({ cipher: randomBytes(cipherBytes), hmac: randomBytes(cipher.endsWith('CBC') ? 32 : 8) });
  const [a, b] = [half(), half()];
  const key = (material: DataKeyMaterial): KeyOptions => ({
    keyId: 0,
    cipher,
    digest,
    material,
    limitBytes: 0,
    limitPackets: 0,
  });
  return [key({ seal: a, open: b }), key({ seal: b, open: a })];
}

/** An IPv4 packet of the given total length whose payload begins with a number. */
export function innerPacket(length: number, number = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0], 0);
  view.setUint16(2, length);
  bytes.set([64, 17], 8);
  bytes.set([10, 8, 0, 2], 12);
  bytes.set([10, 8, 0, 1], 16);
  if (length >= 24) view.setUint32(20, number);
  return bytes;
}

/** Collects events, and waits for one of them within a bound. */
export class EventLog {
  readonly events: PlaneEvent[] = [];
  readonly #waiting = new Set<() => void>();
  readonly listener = (event: PlaneEvent): void => {
    this.events.push(event);
    for (const wake of this.#waiting) wake();
  };

  /** The first event of the type (that came before, or comes now) which fits. */
  async next<T extends PlaneEvent['type']>(
    type: T,
    fits: (event: Extract<PlaneEvent, { type: T }>) => boolean = () => true,
    boundMs = 4_000,
  ): Promise<Extract<PlaneEvent, { type: T }>> {
    const isIt = (event: PlaneEvent): event is Extract<PlaneEvent, { type: T }> =>
      event.type === type && fits(event as Extract<PlaneEvent, { type: T }>);
    return new Promise((resolve, reject) => {
      const bound = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`no ${type} within ${boundMs} ms; came: ${JSON.stringify(this.events.slice(-10))}`));
      }, boundMs);
      const look = (): void => {
        const found = this.events.find(isIt);
        if (found === undefined) return;
        clearTimeout(bound);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
