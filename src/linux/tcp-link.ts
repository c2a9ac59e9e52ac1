import { MAX_PACKET_BYTES } from '../data/arena.ts';
import type { LinkId, LinkOptions } from '../data/plane.ts';
import { TCP_LENGTH_BYTES, TcpFrameReader, writeTcpLength } from '../data/tcp-framing.ts';
import { PASS, type Verdict } from '../data/verdict.ts';
import { Errno, errnoName, errnoText } from './errno.ts';
import { errno, libc, type NativeBytes, nativeBytes } from './libc.ts';
import { LINK_ERROR, LINK_FULL, type Pump, type PumpContext } from './link-io.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from './poll-set.ts';
import { socketError } from './udp-link.ts';

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** What waits for a slow stream: a few packets of every size; more would only be delay. Never less than one packet. */
const QUEUE_BYTES = 262_144;

/** A TCP stream: connecting, then frames in both directions, then closed once and for all. */
export class TcpLink implements Pump {
  readonly fd: number;
  pollEvents: number;
  #state: 'connecting' | 'open' | 'closed';
  readonly #id: LinkId;
  readonly #context: PumpContext;
  readonly #reader = new TcpFrameReader(MAX_PACKET_BYTES);
  readonly #queue = new SendQueue();
  readonly #onPacket: (packet: Uint8Array) => void;

  constructor(id: LinkId, fd: number, options: LinkOptions, context: PumpContext) {
    this.fd = fd;
    this.#id = id;
    this.#context = context;
    this.#state = options.connecting ? 'connecting' : 'open';
    this.pollEvents = options.connecting ? POLLOUT : POLLIN;
    const { core, memory } = context;
    this.#onPacket = (packet) => {
      memory.arena.bytes.set(packet, memory.streamPacket);
      core.handleLinkPacket(id, 0, memory.streamPacket, packet.length);
    };
  }

  /** Bytes that were read before the plane had the stream. */
  handleReadAhead(bytes: Uint8Array): void {
    this.#deliver(bytes);
  }

  letGo(): void {
    this.#state = 'closed';
    this.pollEvents = 0;
  }

  handleReady(events: number): void {
    if (this.#state === 'connecting') this.#finishConnect();
    else if ((events & POLLNVAL) !== 0) this.#close(Errno.EIO);
    else {
      if ((events & POLLOUT) !== 0) this.#flush();
      if ((events & (POLLIN | POLLERR | POLLHUP)) !== 0) this.#read();
    }
  }

  #finishConnect(): void {
    const number = socketError(this.fd);
    if (number === 0) {
      this.#state = 'open';
      this.#context.core.report({ type: 'link-open', link: this.#id });
      this.#flush();
    } else this.#close(number);
  }

  /** One read for each turn: it can hold some forty packets. */
  #read(): void {
    if (!this.#isOpen()) return;
    const { arena, stream, streamBytes } = this.#context.memory;
    const length = libc.recv(this.fd, arena.address + stream, streamBytes, MSG_DONTWAIT);
    if (length > 0) {
      this.#context.takeCalls();
      if (this.#isOpen()) this.#deliver(arena.bytes.subarray(stream, stream + length));
    } else if (length === 0) this.#end('EOF', 'the peer closed the connection');
    else {
      const number = errno();
      if (number !== Errno.EAGAIN && number !== Errno.EINTR) this.#close(number);
    }
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #deliver(bytes: Uint8Array): void {
    if (!this.#reader.handleBytes(bytes, this.#onPacket)) {
      this.#end('BAD_FRAME', 'the peer sent a packet length out of bounds');
    }
  }

  /** Sends one packet behind its length; what the stream does not take now waits, in bounds. */
  send(offset: number, length: number): Verdict {
    if (this.#state === 'closed') return LINK_ERROR;
    const { arena } = this.#context.memory;
    writeTcpLength(arena.view, offset, length);
    const start = offset - TCP_LENGTH_BYTES;
    const size = length + TCP_LENGTH_BYTES;
    let sent = 0;
    if (this.#state === 'open' && this.#queue.isEmpty) {
      sent = this.#write(arena.address + start, size);
      if (sent < 0) return LINK_ERROR;
      if (sent === size) return PASS;
    }
    // A packet that has begun always fits: the queue is empty then, and larger than any packet.
    if (!this.#queue.append(arena.bytes.subarray(start + sent, start + size))) return LINK_FULL;
    this.#watch();
    return PASS;
  }

  #flush(): void {
    while (!this.#queue.isEmpty) {
      const sent = this.#write(this.#queue.address, this.#queue.length);
      if (sent < 0) return;
      if (sent === 0) break;
      this.#queue.drop(sent);
    }
    this.#watch();
  }

  /** How much the stream took, 0 for nothing now, -1 when it has ended (and was reported). */
  #write(address: number, length: number): number {
    const sent = libc.send(this.fd, address, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    const number = errno();
    if (number === Errno.EAGAIN || number === Errno.EINTR || number === Errno.ENOBUFS) return 0;
    this.#close(number);
    return -1;
  }

  #watch(): void {
    const waiting = this.#state === 'connecting' || !this.#queue.isEmpty;
    const wanted = this.#state === 'closed' ? 0 : (this.#state === 'open' ? POLLIN : 0) | (waiting ? POLLOUT : 0);
    if (wanted === this.pollEvents) return;
    this.pollEvents = wanted;
    this.#context.polls.changed();
  }

  #close(number: number): void {
    this.#end(errnoName(number), errnoText(number));
  }

  #end(code: string, text: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#queue.clear();
    this.#watch();
    this.#context.core.report({ type: 'link-closed', link: this.#id, code, text });
  }
}

/** Bytes that wait for a stream, in memory that is taken at the first need. */
class SendQueue {
  #memory: NativeBytes | undefined;
  #start = 0;
  #end = 0;

  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** The native address of the first waiting byte. */
  get address(): number {
    return this.#memory === undefined ? 0 : this.#memory.address + this.#start;
  }

  /** All of the bytes or none. */
  append(bytes: Uint8Array): boolean {
    this.#memory ??= nativeBytes(QUEUE_BYTES);
    if (this.#end + bytes.length > QUEUE_BYTES) {
      this.#memory.bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end + bytes.length > QUEUE_BYTES) return false;
    this.#memory.bytes.set(bytes, this.#end);
    this.#end += bytes.length;
    return true;
  }

  drop(length: number): void {
    this.#start += length;
    if (this.isEmpty) this.clear();
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
  }
}
