// A flood of first packets: hard resets with random session ids from many ports, each packet well-formed and nothing
// behind it. Bounded in count and time. Many packets go with one system call; the sender runs as a process of its own
// (flood-main.ts), because it blocks its thread.

import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import koffi from 'koffi';

/** What the packets claim: no wrapping, or a wrapping whose key nobody has (the tag is random). */
export type FloodKind = 'plain' | 'tls-auth' | 'tls-crypt';

export interface FloodOptions {
  readonly kind: FloodKind;
  /** IPv4 address and port of the server. */
  readonly host: string;
  readonly port: number;
  readonly packets: number;
  readonly secondsLimit: number;
  /** Bind the sockets to addresses all over 127.0.0.0/8. */
  readonly loopback: boolean;
  /** The server's process: its sockets' queues are looked at through /proc. */
  readonly serverPid: number;
  /** Wait while the server's socket holds more than this; 0 sends as fast as it goes. */
  readonly queueBytes: number;
}

export interface FloodReport {
  readonly sent: number;
  readonly seconds: number;
  /** Datagrams that did not fit into the server's queue. */
  readonly dropped: number;
  /** Datagrams and bytes that came back. */
  readonly replies: number;
  readonly replyBytes: number;
}

/** Packets with one call, from one source. */
export const FLOOD_BATCH = 64;
/** Sockets that are open at once; each is replaced by one with another port once its replies are read. */
const SOCKETS = 64;
const MSGHDR_BYTES = 64;
const IOVEC_BYTES = 16;
const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
const MSG_DONTWAIT = 0x40;
const HARD_RESET_CLIENT_V2 = 0x07 << 3;

// Layouts: docs/WIRE.md 1 to 5. Everything behind the opcode is filled with random bytes, then what has to stand is set.
const LAYOUTS: Readonly<
  Record<FloodKind, { lengthBytes: number; zeros: number | undefined; packetId: number | undefined }>
> = {
  // opcode, session id 8, no acknowledgements 1, message id 4
  plain: { lengthBytes: 14, zeros: 9, packetId: undefined },
  // opcode, session id 8, HMAC 20, packet id 4, time 4, 1, 4
  'tls-auth': { lengthBytes: 42, zeros: 37, packetId: 29 },
  // opcode, session id 8, packet id 4, time 4, tag 32, 5 encrypted
  'tls-crypt': { lengthBytes: 54, zeros: undefined, packetId: 9 },
};

const library = koffi.load(null);
const socket = library.func('int socket(int, int, int)');
const bind = library.func('int bind(int, uintptr_t, unsigned int)');
const connect = library.func('int connect(int, uintptr_t, unsigned int)');
const sendmmsg = library.func('int sendmmsg(int, uintptr_t, unsigned int, int)');
const close = library.func('int close(int)');
const recv = library.func('intptr_t recv(int, uintptr_t, size_t, int)');

let held: readonly ArrayBufferView[] = [];

/** Sends the flood; returns when it is over. Throws where the sockets can't be had, or the server is gone. */
export function sendFlood(options: FloodOptions): FloodReport {
  const { packets, secondsLimit } = options;
  const layout = LAYOUTS[options.kind];
  const bytes = new Uint8Array(FLOOD_BATCH * layout.lengthBytes);
  const vectors = new DataView(new ArrayBuffer(FLOOD_BATCH * IOVEC_BYTES));
  const headers = new DataView(new ArrayBuffer(FLOOD_BATCH * MSGHDR_BYTES));
  const heard = new Uint8Array(2048);
  const heardAddress = addressOf(heard);
  for (let at = 0; at < FLOOD_BATCH; at++) {
    vectors.setBigUint64(at * IOVEC_BYTES, BigInt(addressOf(bytes) + at * layout.lengthBytes), true);
    vectors.setBigUint64(at * IOVEC_BYTES + 8, BigInt(layout.lengthBytes), true);
    headers.setBigUint64(at * MSGHDR_BYTES + 16, BigInt(addressOf(vectors) + at * IOVEC_BYTES), true);
    headers.setBigUint64(at * MSGHDR_BYTES + 24, 1n, true);
  }
  const headersAddress = addressOf(headers);
  // From here on some of them are known to the kernel only; the collector must not think that they are free.
  held = [bytes, vectors, headers, heard];
  const fds = Array.from({ length: SOCKETS }, (_, index) => openSource(options, index));
  const dropsBefore = serverQueue(options).drops;
  const began = performance.now();
  const limit = began + secondsLimit * 1000;
  let sent = 0;
  let replies = 0;
  let replyBytes = 0;
  const drain = (fd: number): void => {
    for (let got = recv(fd, heardAddress, heard.length, MSG_DONTWAIT); got >= 0; ) {
      replies++;
      replyBytes += got;
      got = recv(fd, heardAddress, heard.length, MSG_DONTWAIT);
    }
  };
  for (let turn = 0; sent < packets && performance.now() < limit; turn++) {
    let fd = fds[turn % SOCKETS] ?? 0;
    if (turn >= SOCKETS) {
      drain(fd);
      close(fd);
      fd = openSource(options, turn);
      fds[turn % SOCKETS] = fd;
    }
    fillBatch(bytes, layout);
    const result = sendmmsg(fd, headersAddress, Math.min(FLOOD_BATCH, packets - sent), 0);
    // What the kernel would not take (a refusal by ICMP, a full queue) is tried with the next socket.
    if (result > 0) sent += result;
    if (options.queueBytes > 0) {
      while (serverQueue(options).bytes > options.queueBytes && performance.now() < limit) pause(1);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  pause(200);
  for (const fd of fds) {
    drain(fd);
    close(fd);
  }
  held = held.slice(held.length);
  const dropped = serverQueue(options).drops - dropsBefore;
  return { sent, seconds, dropped, replies, replyBytes };
}

function fillBatch(bytes: Uint8Array, { lengthBytes, zeros, packetId }: (typeof LAYOUTS)[FloodKind]): void {
  randomFillSync(bytes);
  const time = Math.floor(Date.now() / 1000);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += lengthBytes) {
    bytes[at] = HARD_RESET_CLIENT_V2;
    if (zeros !== undefined) bytes.fill(0, at + zeros, at + lengthBytes);
    if (packetId === undefined) continue;
    view.setUint32(at + packetId, 1);
    view.setUint32(at + packetId + 4, time);
  }
}

function openSource({ host, port, loopback }: FloodOptions, index: number): number {
  const fd = socket(AF_INET, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0) as number;
  if (fd < 0) throw new Error(`socket ${index} of the flood could not be opened (ulimit -n?)`);
  const local = loopback ? `127.${1 + ((index >> 14) & 0x7f)}.${(index >> 7) & 0x7f}.${1 + (index & 0x7f)}` : undefined;
  if (local !== undefined) withAddress(local, 0, (address) => bind(fd, address, 16));
  withAddress(host, port, (address) => connect(fd, address, 16));
  return fd;
}

function withAddress(host: string, port: number, use: (address: number) => number): void {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(host.split('.').map(Number), 4);
  if (use(addressOf(bytes)) < 0) throw new Error(`the flood can't use ${host}:${port}`);
}

/** What waits in the server's sockets of this port, in bytes, and how many datagrams they have dropped so far. */
function serverQueue({ serverPid, port }: FloodOptions): { readonly bytes: number; readonly drops: number } {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  let bytes = 0;
  let drops = 0;
  for (const line of readFileSync(`/proc/${serverPid}/net/udp`, 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) !== true) continue;
    bytes += Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16);
    drops += Number(fields.at(-1));
  }
  return { bytes, drops };
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const pause = (ms: number): void => {
  Atomics.wait(sleeper, 0, 0, ms);
};

function addressOf(bytes: Uint8Array | DataView): number {
  return Number(koffi.address(bytes instanceof DataView ? new Uint8Array(bytes.buffer) : bytes));
}
