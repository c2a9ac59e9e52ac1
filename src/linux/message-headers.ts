// The arrays that sendmmsg(2) and recvmmsg(2) take, laid out once and changed where a batch differs from the one before.
//
// struct mmsghdr (64 bytes): name u64 | name length u32 at 8 | iovec u64 at 16 | iovec count u64 at 24 | control u64 at 32 |
//                            control length u64 at 40 | flags i32 at 48 | bytes received u32 at 56
// struct iovec (16 bytes):   base u64 | length u64
// struct cmsghdr (16 bytes): length u64 | level i32 at 8 | type i32 at 12, then the data

import { type NativeBytes, nativeBytes, writeAddress } from './libc.ts';

const MESSAGE_BYTES = 64;
const IOVEC_BYTES = 16;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

const NAME = 0;
const NAME_LENGTH = 8;
const IOVEC = 16;
const IOVEC_COUNT = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const RECEIVED = 56;
const CMSG_HEADER_BYTES = 16;
/** Room for a sockaddr of either family, and for control messages: two with a number, one with an address. */
const NAME_BYTES = 32;
const CONTROL_BYTES = 128;

/** So many message headers, each with a name, `iovecs` pieces and room for control messages (linux/control-messages.ts). */
export class MessageHeaders {
  readonly names: NativeBytes;
  readonly #iovecsEach: number;
  readonly #headers: NativeBytes;
  readonly #iovecs: NativeBytes;
  readonly #controls: NativeBytes;

  constructor(count: number, iovecsEach: number) {
    this.#iovecsEach = iovecsEach;
    this.#headers = nativeBytes(count * MESSAGE_BYTES);
    this.#iovecs = nativeBytes(count * iovecsEach * IOVEC_BYTES);
    this.#controls = nativeBytes(count * CONTROL_BYTES);
    this.names = nativeBytes(count * NAME_BYTES);
    for (let index = 0; index < count; index++) this.setIovecs(index, 0, 0);
    for (let index = 0; index < count; index++) {
      writeAddress(this.#headers.view, index * MESSAGE_BYTES + NAME, this.names.address + this.nameAt(index));
      const control = this.#controls.address + index * CONTROL_BYTES;
      writeAddress(this.#headers.view, index * MESSAGE_BYTES + CONTROL, control);
    }
  }

  /** The native address of the header with this index. */
  address(index: number): number {
    return this.#headers.address + index * MESSAGE_BYTES;
  }

  /** Where its name lies in `names`. */
  nameAt(index: number): number {
    return index * NAME_BYTES;
  }

  nameLength(index: number): number {
    return this.#headers.view.getUint32(index * MESSAGE_BYTES + NAME_LENGTH, true);
  }

  setNameLength(index: number, length: number): void {
    this.#headers.view.setUint32(index * MESSAGE_BYTES + NAME_LENGTH, length, true);
  }

  /** Lets the header name `count` of its iovecs, from the one at `first`. */
  setIovecs(index: number, first: number, count: number): void {
    const at = index * MESSAGE_BYTES;
    const iovec = this.#iovecs.address + (index * this.#iovecsEach + first) * IOVEC_BYTES;
    writeAddress(this.#headers.view, at + IOVEC, iovec);
    this.#headers.view.setUint32(at + IOVEC_COUNT, count, true);
  }

  setIovec(index: number, place: number, address: number, length: number): void {
    const at = (index * this.#iovecsEach + place) * IOVEC_BYTES;
    writeAddress(this.#iovecs.view, at, address);
    this.#iovecs.view.setUint32(at + 8, length, true);
  }

  /** The control message that has the kernel cut the message into datagrams of so many bytes; 0 for none. */
  setSegmentBytes(index: number, segmentBytes: number): void {
    const at = index * CONTROL_BYTES;
    const { view } = this.#controls;
    this.#headers.view.setUint32(index * MESSAGE_BYTES + CONTROL_LENGTH, segmentBytes === 0 ? 0 : 24, true);
    if (segmentBytes === 0) return;
    view.setUint32(at, CMSG_HEADER_BYTES + 2, true);
    view.setInt32(at + 8, SOL_UDP, true);
    view.setInt32(at + 12, UDP_SEGMENT, true);
    view.setUint16(at + CMSG_HEADER_BYTES, segmentBytes, true);
  }

  /** The view of all control messages, where those of this header begin, and how many bytes they take. */
  get controls(): DataView {
    return this.#controls.view;
  }

  controlAt(index: number): number {
    return index * CONTROL_BYTES;
  }

  controlLength(index: number): number {
    return Math.min(this.#headers.view.getUint32(index * MESSAGE_BYTES + CONTROL_LENGTH, true), CONTROL_BYTES);
  }

  setControlLength(index: number, length: number): void {
    this.#headers.view.setUint32(index * MESSAGE_BYTES + CONTROL_LENGTH, length, true);
  }

  /** Makes the header ready to receive again, into its one iovec. */
  expect(index: number): void {
    const at = index * MESSAGE_BYTES;
    this.#headers.view.setUint32(at + NAME_LENGTH, NAME_BYTES, true);
    this.#headers.view.setUint32(at + CONTROL_LENGTH, CONTROL_BYTES, true);
  }

  receivedBytes(index: number): number {
    return this.#headers.view.getUint32(index * MESSAGE_BYTES + RECEIVED, true);
  }

  /** Size of the datagrams that the kernel has joined in a received message; 0 where it is one datagram. */
  joinedSegmentBytes(index: number): number {
    const length = this.#headers.view.getUint32(index * MESSAGE_BYTES + CONTROL_LENGTH, true);
    const at = index * CONTROL_BYTES;
    const { view } = this.#controls;
    if (length < CMSG_HEADER_BYTES + 4 || view.getInt32(at + 8, true) !== SOL_UDP) return 0;
    return view.getInt32(at + 12, true) === UDP_GRO ? view.getInt32(at + CMSG_HEADER_BYTES, true) : 0;
  }
}
