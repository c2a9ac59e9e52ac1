import { PlaneCounter } from '../data/counters.ts';
import type { DropCause } from '../data/plane.ts';
import { LOCAL_END, PACKED_ADDRESS_BYTES } from '../ip/packed-address.ts';
import { addLocalEnd, addTrafficClass } from './control-messages.ts';
import { Errno, errnoName } from './errno.ts';
import { errno, libc, type NativeBytes, nativeBytes } from './libc.ts';
import { MessageHeaders, SOL_UDP, UDP_SEGMENT } from './message-headers.ts';
import type { Holder } from './outbox.ts';
import type { PacketMemory } from './packet-memory.ts';
import { POLLOUT } from './poll-set.ts';
import { copySockaddr, isV4Name, unpackSockaddr } from './sockaddr.ts';
import { setSocketOption } from './socket-options.ts';

const MSG_DONTWAIT = 0x40;
/** Messages of one batch. */
const RUNS_MAX = 32;
/** What the kernel cuts one message into at most (UDP_MAX_SEGMENTS of old kernels), and the longest one over IPv4. */
const SEGMENTS_MAX = 64;
const RUN_BYTES_MAX = 65_507;
/** Below this size of datagrams that may be joined, nothing is. */
const SEGMENT_BYTES_MIN = 512;
/** How long a batch waits for room in the socket before it is dropped. */
const ROOM_WAIT_MS = 2;
const ADDRESS_WORDS = PACKED_ADDRESS_BYTES / 4;
const LOCAL_WORD = LOCAL_END / 4;

// A run in words, side by side, for most often there is one, and its memory is cold: how many datagrams | size of the first |
// bytes | where the first lies | may it grow | TOS byte or traffic class | its address (packed, all zero for the link's own)
const COUNT = 0;
const SIZE = 1;
const BYTES = 2;
const START = 3;
const OPEN = 4;
const CLASS = 5;
const ADDRESS = 6;
const RUN_WORDS = ADDRESS + ADDRESS_WORDS;

export interface UdpSenderOptions {
  readonly fd: number;
  readonly memory: PacketMemory;
  /** Whether datagrams are written without an address; otherwise the sockaddr (and its length) that address 0 stands for. */
  readonly connected: boolean;
  readonly remote: NativeBytes;
  readonly remoteLength: number;
  /** Whether addresses have a local end, which answers leave from. */
  readonly localEnds: boolean;
  /** So many packets were lost. */
  readonly handleDrop: (cause: DropCause, packets: number) => void;
  readonly handleError: (number: number) => void;
  /** Connects the socket anew; whether that has helped. */
  readonly reconnect: () => boolean;
  /** Datagrams are no longer joined; `refusal` says why. */
  readonly handleFallback: () => void;
  /** The plane's; calls are counted here. */
  readonly counters: Float64Array;
}

/**
 * Sends what a device brought: datagrams of one size to one peer, of which the last may be shorter, are a run
 * and go out as one message that the kernel cuts up (UDP_SEGMENT); the runs of a batch go out with one call. The order of
 * a peer's packets stays.
 */
export class UdpSender implements Holder {
  readonly holdsCopies = false;
  readonly #options: UdpSenderOptions;
  #headers: MessageHeaders | undefined;
  /** The runs from `#first` on to before `#runs` are held. */
  #first = 0;
  #runs = 0;
  readonly #table = new Int32Array(RUNS_MAX * RUN_WORDS);
  /** Words of an address that tell runs apart. */
  readonly #addressWords: number;
  /** The largest datagrams that are joined: larger ones do not fit through the path in one piece, which the kernel refuses. */
  #segmentBytesMax = 0;
  #manyMessages = true;
  /** Why datagrams are not joined. */
  refusal: string | undefined;
  #hasWaited = false;

  constructor(options: UdpSenderOptions) {
    this.#options = options;
    this.#addressWords = options.localEnds ? ADDRESS_WORDS : LOCAL_WORD;
    // A kernel without UDP_SEGMENT would send the joined datagrams as one.
    if (setSocketOption(options.fd, SOL_UDP, UDP_SEGMENT, 0)) this.#segmentBytesMax = RUN_BYTES_MAX;
    else this.refusal = `UDP_SEGMENT: ${errnoName(errno())}`;
  }

  /** Whether datagrams are joined. */
  get segments(): boolean {
    return this.#segmentBytesMax >= SEGMENT_BYTES_MIN;
  }

  get isEmpty(): boolean {
    return this.#runs === this.#first;
  }

  /** Holds a datagram, which lies where it is until it is sent. `address`: as for a link's `send`. */
  hold(address: number, offset: number, length: number, trafficClass = 0): void {
    const to = this.#options.connected ? 0 : address;
    this.#headers ??= new MessageHeaders(RUNS_MAX, SEGMENTS_MAX);
    let run = this.#findRun(to);
    if (run < 0 || this.#of(run, CLASS) !== trafficClass || !this.#fits(run, length)) {
      run = this.#begin(to, offset, length, trafficClass);
    }
    const table = this.#table;
    const at = run * RUN_WORDS;
    const place = table[at + COUNT]!;
    this.#headers.setIovec(run, place, this.#options.memory.arena.address + offset, length);
    table[at + COUNT] = place + 1;
    table[at + BYTES]! += length;
    if (length < table[at + SIZE]! || place + 1 === SEGMENTS_MAX) table[at + OPEN] = 0;
  }

  #of(run: number, word: number): number {
    return this.#table[run * RUN_WORDS + word]!;
  }

  /** The last run to this address, or -1. */
  #findRun(address: number): number {
    const { view } = this.#options.memory.arena;
    const table = this.#table;
    const words = this.#addressWords;
    for (let run = this.#runs - 1; run >= this.#first; run--) {
      const at = run * RUN_WORDS + ADDRESS;
      if (address === 0) {
        if (table[at] === 0) return run;
        continue;
      }
      let word = 0;
      while (word < words && table[at + word] === view.getInt32(address + word * 4)) word++;
      if (word === words) return run;
    }
    return -1;
  }

  #fits(run: number, length: number): boolean {
    const size = this.#of(run, SIZE);
    return (
      this.#of(run, OPEN) === 1 &&
      length <= size &&
      size <= this.#segmentBytesMax &&
      this.#of(run, BYTES) + length <= RUN_BYTES_MAX
    );
  }

  #begin(address: number, offset: number, length: number, trafficClass: number): number {
    if (this.#runs === RUNS_MAX) this.flush();
    const run = this.#runs++;
    const { memory, connected, remote, remoteLength } = this.#options;
    const { view } = memory.arena;
    const headers = this.#headers!;
    const table = this.#table;
    const at = run * RUN_WORDS;
    table[at + COUNT] = 0;
    table[at + SIZE] = length;
    table[at + BYTES] = 0;
    table[at + START] = offset;
    table[at + OPEN] = 1;
    table[at + CLASS] = trafficClass;
    // An address begins with its family: of the link's own nothing else is looked at.
    if (address === 0) table[at + ADDRESS] = table[at + ADDRESS + LOCAL_WORD] = 0;
    else
      for (let word = 0; word < this.#addressWords; word++)
        table[at + ADDRESS + word] = view.getInt32(address + word * 4);
    if (connected) headers.setNameLength(run, 0);
    else if (address === 0) {
      copySockaddr(remote.view, 0, headers.names.view, headers.nameAt(run), remoteLength);
      headers.setNameLength(run, remoteLength);
    } else headers.setNameLength(run, unpackSockaddr(view, address, headers.names.view, headers.nameAt(run)));
    return run;
  }

  /** Sends all that is held, or drops and counts it. */
  flush(): void {
    const [first, end] = [this.#first, this.#runs];
    this.#first = 0;
    this.#runs = 0;
    if (first < end) this.#send(first, end);
  }

  /**
   * Sends what is held but for a last run that has room for more and begins in the region from `start` to before `end`, the
   * newest one; whether there is such. The next packets may fill it, so that it takes no message of its own.
   */
  flushButLast(start: number, end: number): boolean {
    const last = this.#runs - 1;
    const at = this.isEmpty ? -1 : this.#of(last, START);
    if (at < 0 || !this.#fits(last, this.#of(last, SIZE)) || at < start || at >= end) {
      this.flush();
      return false;
    }
    const first = this.#first;
    this.#first = last;
    if (first < last) this.#send(first, last);
    return true;
  }

  /** Sends the runs from `begin` on to before `end`. */
  #send(begin: number, end: number): void {
    this.#hasWaited = false;
    if (end - begin > 1 || !this.#isPlain(begin)) this.#prepare(begin, end);
    let first = begin;
    let attempt = 0;
    while (first < end) {
      const sent = this.#submit(first, end - first);
      if (sent > 0) {
        first += sent;
        attempt = 0;
        continue;
      }
      const number = errno();
      if (this.#of(first, COUNT) > 1 && isRefused(number)) {
        this.#restrict(number, this.#of(first, SIZE));
        this.#sendSingly(first);
      } else {
        const cause = this.#judge(number, attempt++);
        if (cause === undefined) continue;
        this.#options.handleDrop(cause, this.#of(first, COUNT));
      }
      first++;
      attempt = 0;
    }
  }

  #prepare(first: number, end: number): void {
    for (let run = first; run < end; run++) {
      const count = this.#of(run, COUNT);
      this.#headers!.setIovecs(run, 0, count);
      this.#setControls(run, count > 1 ? this.#of(run, SIZE) : 0);
    }
  }

  /** Whether a run is one datagram that is sent as it is. */
  #isPlain(run: number): boolean {
    return this.#of(run, COUNT) === 1 && this.#of(run, CLASS) === 0 && !this.#options.localEnds;
  }

  #setControls(run: number, segmentBytes: number): void {
    const headers = this.#headers!;
    headers.setSegmentBytes(run, segmentBytes);
    const trafficClass = this.#of(run, CLASS);
    if (trafficClass !== 0) addTrafficClass(headers, run, trafficClass, this.#goesOverV4(run));
    if (this.#options.localEnds) addLocalEnd(headers, run, this.#table, run * RUN_WORDS + ADDRESS + LOCAL_WORD);
  }

  /** Whether a run's datagrams are IPv4, which they may be on an IPv6 socket too. */
  #goesOverV4(run: number): boolean {
    const { connected, remote } = this.#options;
    const headers = this.#headers!;
    return connected ? isV4Name(remote.view, 0) : isV4Name(headers.names.view, headers.nameAt(run));
  }

  /** How many messages went out, from the one at `first`; 0 for a failure, which `errno` tells of. */
  #submit(first: number, count: number): number {
    const { fd, memory } = this.#options;
    const headers = this.#headers!;
    this.#options.counters[PlaneCounter.linkWriteCalls]!++;
    if (count === 1 && this.#isPlain(first)) {
      const start = memory.arena.address + this.#of(first, START);
      const nameLength = headers.nameLength(first);
      const name = nameLength === 0 ? 0 : headers.names.address + headers.nameAt(first);
      return libc.sendto(fd, start, this.#of(first, SIZE), MSG_DONTWAIT, name, nameLength) < 0 ? 0 : 1;
    }
    const address = headers.address(first);
    if (count > 1 && this.#manyMessages) return Math.max(0, libc.sendmmsg(fd, address, count, MSG_DONTWAIT));
    return libc.sendmsg(fd, address, MSG_DONTWAIT) < 0 ? 0 : 1;
  }

  /** The datagrams of a run that the kernel does not cut up, each as a message. */
  #sendSingly(run: number): void {
    const headers = this.#headers!;
    this.#setControls(run, 0);
    for (let place = 0; place < this.#of(run, COUNT); place++) {
      headers.setIovecs(run, place, 1);
      for (let attempt = 0; this.#submit(run, 1) === 0; attempt++) {
        const cause = this.#judge(errno(), attempt);
        if (cause === undefined) continue;
        this.#options.handleDrop(cause, 1);
        break;
      }
    }
  }

  /** The kernel does not cut up a run of this size: none so large any more, or none at all. */
  #restrict(number: number, sizeBytes: number): void {
    const fewer = number === Errno.EMSGSIZE || number === Errno.EINVAL ? sizeBytes - 1 : 0;
    this.#segmentBytesMax = Math.min(this.#segmentBytesMax, fewer);
    if (!this.segments) {
      this.#segmentBytesMax = 0;
      this.refusal = `UDP_SEGMENT: ${errnoName(number)}`;
      this.#options.handleFallback();
    }
  }

  /** Why a message is lost, or undefined when it is worth another attempt. */
  #judge(number: number, attempt: number): DropCause | undefined {
    if (number === Errno.EINTR) return undefined;
    if (number === Errno.EAGAIN || number === Errno.ENOBUFS) return this.#waitForRoom() ? undefined : 'link-full';
    if (number === Errno.ENOSYS && this.#manyMessages) {
      this.#manyMessages = false;
      return undefined;
    }
    this.#options.handleError(number);
    if (number === Errno.EMSGSIZE) return 'too-big';
    // A socket can hold an error of an earlier packet (ICMP refused), which this message would take the blame for.
    const sourceIsGone = number === Errno.ENETUNREACH || number === Errno.EINVAL;
    if (attempt > 0 || (sourceIsGone && !this.#options.reconnect())) return 'link-error';
    return undefined;
  }

  /** Once for each batch: the interface may only be busy with what came before. */
  #waitForRoom(): boolean {
    if (this.#hasWaited) return false;
    this.#hasWaited = true;
    const { address, view } = roomMemory();
    view.setInt32(0, this.#options.fd, true);
    view.setInt32(4, POLLOUT, true);
    return libc.poll(address, 1, ROOM_WAIT_MS) > 0;
  }
}

function isRefused(number: number): boolean {
  return number === Errno.EIO || number === Errno.EINVAL || number === Errno.EMSGSIZE || number === Errno.EOPNOTSUPP;
}

let sharedMemory: NativeBytes | undefined;

function roomMemory(): NativeBytes {
  sharedMemory ??= nativeBytes(64);
  return sharedMemory;
}
