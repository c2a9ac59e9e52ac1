// The error queue of a datagram socket (IP_RECVERR, IPV6_RECVERR): what ICMP and the kernel say about datagrams that were
// sent. Read with MSG_ERRQUEUE, which gives the datagram's receiver as the name, and the error as a control message.
//
// struct msghdr (56 bytes): name u64 | name length u32 | iov u64 at 16 | iov count u64 | control u64 at 32 | control length u64 | flags i32
// struct cmsghdr: length u64 | level i32 at 8 | type i32 at 12
// struct sock_extended_err: errno u32 | origin u8 | type u8 | code u8 | pad u8 | info u32 at 8 | data u32

import type { SocketAddress } from '../ip/socket-address.ts';
import { libc, nativeBytes, writeAddress } from './libc.ts';
import { parseSockaddr, SOCKADDR_BYTES } from './sockaddr.ts';
import { IPPROTO_IP, IPPROTO_IPV6 } from './socket-options.ts';

const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;
const MSGHDR_BYTES = 56;
const CMSGHDR_BYTES = 16;
const CONTROL_BYTES = 512;
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const ERROR_BYTES = 16;

let shared: ErrorQueue | undefined;

/** One for all sockets: each error is looked at before the next is read. */
export function errorQueue(): ErrorQueue {
  shared ??= new ErrorQueue();
  return shared;
}

class ErrorQueue {
  /** What the kernel adds to the error in hand: for EMSGSIZE, the MTU of the path. */
  info = 0;
  readonly #header = nativeBytes(64);
  readonly #control = nativeBytes(CONTROL_BYTES);
  readonly #name = nativeBytes(32);

  /** The errno of the next queued error, 0 when it cannot be read, -1 when there is none. */
  next(fd: number): number {
    const { view, bytes } = this.#header;
    bytes.fill(0, 0, MSGHDR_BYTES);
    this.#name.bytes.fill(0);
    writeAddress(view, 0, this.#name.address);
    view.setUint32(8, SOCKADDR_BYTES, true);
    writeAddress(view, 32, this.#control.address);
    view.setUint32(40, CONTROL_BYTES, true);
    this.info = 0;
    if (libc.recvmsg(fd, this.#header.address, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return -1;
    return this.#error(Math.min(view.getUint32(40, true), CONTROL_BYTES));
  }

  /** The receiver of the datagram that the error is about. */
  address(): SocketAddress | undefined {
    return parseSockaddr(this.#name.view, 0);
  }

  #error(controlBytes: number): number {
    const { view } = this.#control;
    for (let at = 0; at + CMSGHDR_BYTES <= controlBytes; ) {
      const length = view.getUint32(at, true);
      if (length < CMSGHDR_BYTES || at + length > controlBytes) return 0;
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      const isError =
        (level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR);
      if (isError && length >= CMSGHDR_BYTES + ERROR_BYTES) {
        this.info = view.getUint32(at + CMSGHDR_BYTES + 8, true);
        return view.getUint32(at + CMSGHDR_BYTES, true);
      }
      at += (length + 7) & ~7;
    }
    return 0;
  }
}
