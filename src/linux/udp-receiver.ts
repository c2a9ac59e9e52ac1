import { libc } from './libc.ts';
import { MessageHeaders, SOL_UDP, UDP_GRO } from './message-headers.ts';
import { DATAGRAM_SLOT_BYTES, DATAGRAM_SLOTS, type PacketMemory } from './packet-memory.ts';
import { AF_INET, packSockaddr, sameSockaddr } from './sockaddr.ts';
import { SO_RCVBUF, SOL_SOCKET, setSocketOption, socketOption } from './socket-options.ts';

const MSG_DONTWAIT = 0x40;
const SO_RCVBUFFORCE = 33;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** The kernel counts twice as much, for what it keeps beside the datagrams. */
const RECEIVE_BUFFER_BYTES = 4_194_304;
/** After messages of joined datagrams: a few of those are as much as the processor's nearest memory likes. */
const FEW_SLOTS = 4;

/** Reads datagrams into the slots of packet memory, several with one call; each slot may hold many that the kernel has joined. */
export class UdpReceiver {
  /** Whether the kernel joins datagrams for this socket (UDP_GRO). */
  readonly joins: boolean;
  readonly #fd: number;
  readonly #headers = new MessageHeaders(DATAGRAM_SLOTS, 1);
  readonly #memory: PacketMemory;
  #used = DATAGRAM_SLOTS;
  #asked = DATAGRAM_SLOTS;
  /** Whether none is left: the last read found fewer than it asked for. Behind joined datagrams the next are soon there. */
  isEmpty = false;

  constructor(fd: number, memory: PacketMemory) {
    this.#fd = fd;
    this.#memory = memory;
    for (let slot = 0; slot < DATAGRAM_SLOTS; slot++) {
      this.#headers.setIovec(slot, 0, memory.arena.address + this.slotAt(slot), DATAGRAM_SLOT_BYTES);
      this.#headers.setIovecs(slot, 0, 1);
    }
    this.joins = setSocketOption(fd, SOL_UDP, UDP_GRO, 1);
    widen(fd);
  }

  slotAt(slot: number): number {
    return this.#memory.datagrams + slot * DATAGRAM_SLOT_BYTES;
  }

  /** How many slots were filled; -1 for none, and `errno` says why. */
  read(): number {
    const headers = this.#headers;
    for (let slot = 0; slot < this.#used; slot++) headers.expect(slot);
    this.#used = 0;
    const got = libc.recvmmsg(this.#fd, headers.address(0), this.#asked, MSG_DONTWAIT, 0);
    if (got <= 0) return -1;
    this.#used = got;
    const joined = headers.joinedSegmentBytes(got - 1) > 0;
    this.isEmpty = !joined && got < this.#asked;
    this.#asked = joined ? FEW_SLOTS : DATAGRAM_SLOTS;
    return got;
  }

  lengthOf(slot: number): number {
    return this.#headers.receivedBytes(slot);
  }

  /** Size of the datagrams in a slot, of which the last may be shorter. */
  segmentBytes(slot: number): number {
    return this.#headers.joinedSegmentBytes(slot) || this.#headers.receivedBytes(slot);
  }

  /** Whether the sender is the one of this sockaddr, at offset 0. */
  isFrom(slot: number, sockaddr: DataView): boolean {
    return sameSockaddr(this.#headers.names.view, this.#headers.nameAt(slot), sockaddr, 0);
  }

  /** Writes the sender's address, packed, to `at` in packet memory; false for one of another family. */
  packName(slot: number, at: number): boolean {
    return packSockaddr(this.#headers.names.view, this.#headers.nameAt(slot), this.#memory.arena.view, at);
  }
}

/**
 * The system's usual buffer holds two or three messages of joined datagrams. One that nobody has chosen a size for is made
 * wide enough for some dozens, past the system's limit where this process may (`rcvbuf` of the configuration stays).
 */
function widen(fd: number): void {
  if (receiveBufferBytes(fd) !== usualBufferBytes()) return;
  if (!setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)) {
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  }
}

let usualBytes: number | undefined;

function usualBufferBytes(): number {
  if (usualBytes === undefined) {
    const fresh = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
    usualBytes = receiveBufferBytes(fresh);
    libc.close(fresh);
  }
  return usualBytes;
}

function receiveBufferBytes(fd: number): number {
  return socketOption(fd, SOL_SOCKET, SO_RCVBUF) ?? -1;
}
