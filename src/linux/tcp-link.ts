import { PlaneCounter } from '../data/counters.ts';
import type { LinkId, LinkOptions } from '../data/plane.ts';
import { StreamIn } from '../data/stream-in.ts';
import { type TakePacket, TCP_LENGTH_BYTES, writeTcpLength } from '../data/tcp-framing.ts';
import { PASS, type Verdict } from '../data/verdict.ts';
import { Errno, errnoName, errnoText } from './errno.ts';
import { errno, libc } from './libc.ts';
import { LINK_ERROR, LINK_FULL, type PacketPump, type PumpContext } from './link-io.ts';
import { MessageHeaders } from './message-headers.ts';
import type { Holder } from './outbox.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from './poll-set.ts';
import { SendQueue } from './send-queue.ts';
import { setTrafficClass, takeSocketError } from './socket-options.ts';

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Frames that are written with one call. */
const HELD_MAX = 64;

/** A TCP stream: connecting, then frames in both directions, then closed once and for all. */
export class TcpLink implements PacketPump, Holder {
  readonly fd: number;
  readonly path = 'TCP';
  readonly holdsCopies = false;
  pollEvents: number;
  #state: 'connecting' | 'open' | 'closed';
  readonly #id: LinkId;
  readonly #context: PumpContext;
  readonly #in: StreamIn;
  readonly #queue: SendQueue;
  readonly #take: TakePacket;
  /** Frames that go out at the next flush; only while nothing waits in the queue. */
  #heldCount = 0;
  /** TOS byte or traffic class of the stream (`--passtos`). */
  #trafficClass = 0;
  readonly #heldStarts = new Int32Array(HELD_MAX);
  readonly #heldSizes = new Int32Array(HELD_MAX);

  constructor(id: LinkId, fd: number, options: LinkOptions, context: PumpContext) {
    this.fd = fd;
    this.#id = id;
    this.#context = context;
    this.#state = options.connecting ? 'connecting' : 'open';
    this.pollEvents = options.connecting ? POLLOUT : POLLIN;
    const { core, memory } = context;
    this.#in = new StreamIn({ firstPacket: options.firstPacket, limit: () => core.packetLimit(id) });
    this.#queue = new SendQueue(options.queuePackets ?? Number.POSITIVE_INFINITY);
    const { bytes: arenaBytes } = memory.arena;
    this.#take = (bytes, offset, length) => {
      if (bytes === arenaBytes) {
        core.handleLinkPacket(id, 0, offset, length);
        return;
      }
      arenaBytes.set(bytes.subarray(offset, offset + length), memory.streamPacket);
      core.handleLinkPacket(id, 0, memory.streamPacket, length);
      context.outbox.flushPlaces(); // the next one comes to the same place
    };
  }

  /** Bytes that were read before the plane had the stream. */
  handleReadAhead(bytes: Uint8Array): void {
    this.#deliver(bytes, 0, bytes.length);
  }

  letGo(): void {
    this.flush();
    this.#state = 'closed';
    this.pollEvents = 0;
  }

  handleReady(events: number): void {
    if (this.#state === 'connecting') this.#finishConnect();
    else if ((events & POLLNVAL) !== 0) this.#fail(Errno.EIO);
    else {
      if ((events & POLLOUT) !== 0) this.#writeQueue();
      if ((events & (POLLIN | POLLERR | POLLHUP)) !== 0) this.#read();
    }
  }

  #finishConnect(): void {
    const number = takeSocketError(this.fd);
    if (number === 0) {
      this.#state = 'open';
      this.#context.core.report({ type: 'link-open', link: this.#id });
      this.#writeQueue();
    } else this.#fail(number);
  }

  /** One read for each turn: it can hold some forty packets. */
  #read(): void {
    if (!this.#isOpen()) return;
    const { arena, stream, streamBytes } = this.#context.memory;
    const length = libc.recv(this.fd, arena.address + stream, streamBytes, MSG_DONTWAIT);
    if (length > 0) {
      this.#context.counters[PlaneCounter.linkReadCalls]!++;
      this.#context.takeCalls();
      if (this.#isOpen()) this.#deliver(arena.bytes, stream, stream + length);
      this.#context.outbox.flush();
    } else if (length === 0) this.#end('EOF', 'the peer closed the connection');
    else {
      const number = errno();
      if (number !== Errno.EAGAIN && number !== Errno.EINTR) this.#fail(number);
    }
  }

  #isOpen(): boolean {
    return this.#state === 'open';
  }

  #deliver(bytes: Uint8Array, start: number, end: number): void {
    const verdict = this.#in.handleBytes(bytes, start, end, this.#take);
    if (verdict === 'broken') this.#end('BAD_FRAME', this.#in.fault);
    else if (verdict === 'foreign') {
      this.#close();
      this.#context.core.report({ type: 'foreign-stream', link: this.#id, bytes: this.#in.takeForeign() });
    }
  }

  /** Sends one packet behind its length, with what else is on its way, at the next flush. What waits, waits in bounds. */
  send(offset: number, length: number, trafficClass = 0): Verdict {
    if (this.#state === 'closed') return LINK_ERROR;
    if (trafficClass !== this.#trafficClass) this.#setTrafficClass(trafficClass);
    const { memory, outbox } = this.#context;
    writeTcpLength(memory.arena.view, offset, length);
    const size = length + TCP_LENGTH_BYTES;
    let start = offset - TCP_LENGTH_BYTES;
    if (this.#heldCount === HELD_MAX) this.flush();
    if (this.#mayWrite()) start = outbox.keep(start, size); // may flush
    if (!this.#mayWrite()) return this.#wait(start, size);
    if (this.#heldCount === 0) outbox.add(this);
    this.#heldStarts[this.#heldCount] = start;
    this.#heldSizes[this.#heldCount] = size;
    this.#heldCount++;
    return PASS;
  }

  /** A stream has one class at a time: what waits goes before the change, as far as the stream takes it. */
  #setTrafficClass(trafficClass: number): void {
    this.flush();
    this.#trafficClass = trafficClass;
    setTrafficClass(this.fd, trafficClass);
  }

  #mayWrite(): boolean {
    return this.#state === 'open' && this.#queue.isEmpty;
  }

  #wait(start: number, size: number): Verdict {
    if (this.#state === 'closed') return LINK_ERROR;
    if (!this.#queue.append(this.#context.memory.arena.bytes, start, start + size)) return LINK_FULL;
    this.#watch();
    return PASS;
  }

  /** Writes what is held; what the stream does not take now goes to the queue. */
  flush(): void {
    const count = this.#heldCount;
    if (count === 0) return;
    this.#heldCount = 0;
    const { core } = this.#context;
    let left = this.#isOpen() ? this.#writeHeld(count) : -1;
    for (let index = 0; index < count; index++) {
      const size = this.#heldSizes[index]!;
      const sent = Math.min(Math.max(left, 0), size);
      if (left >= 0) left -= sent;
      if (sent === size) continue;
      const waits = this.#wait(this.#heldStarts[index]! + sent, size - sent);
      if (waits !== PASS) core.countDrop(waits === LINK_FULL ? 'link-full' : 'link-error');
    }
  }

  #writeHeld(count: number): number {
    const base = this.#context.memory.arena.address;
    if (count === 1) return this.#write(base + this.#heldStarts[0]!, this.#heldSizes[0]!);
    const headers = heldHeaders();
    for (let index = 0; index < count; index++) {
      headers.setIovec(0, index, base + this.#heldStarts[index]!, this.#heldSizes[index]!);
    }
    headers.setIovecs(0, 0, count);
    return this.#taken(libc.sendmsg(this.fd, headers.address(0), MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  #writeQueue(): void {
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
    return this.#taken(libc.send(this.fd, address, length, MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  #taken(sent: number): number {
    this.#context.counters[PlaneCounter.linkWriteCalls]!++;
    if (sent >= 0) return sent;
    const number = errno();
    if (number === Errno.EAGAIN || number === Errno.EINTR || number === Errno.ENOBUFS) return 0;
    this.#fail(number);
    return -1;
  }

  #watch(): void {
    const waiting = this.#state === 'connecting' || !this.#queue.isEmpty;
    const wanted = this.#state === 'closed' ? 0 : (this.#state === 'open' ? POLLIN : 0) | (waiting ? POLLOUT : 0);
    if (wanted === this.pollEvents) return;
    this.pollEvents = wanted;
    this.#context.polls.changed(this);
  }

  #fail(number: number): void {
    this.#end(errnoName(number), errnoText(number));
  }

  #end(code: string, text: string): void {
    if (this.#state === 'closed') return;
    this.#close();
    this.#context.core.report({ type: 'link-closed', link: this.#id, code, text });
  }

  /** The fd is not touched any more. */
  #close(): void {
    this.#state = 'closed';
    this.#queue.clear();
    this.#watch();
  }
}

let sharedHeaders: MessageHeaders | undefined;

/** One for all streams: it is filled and read in one call. */
function heldHeaders(): MessageHeaders {
  sharedHeaders ??= new MessageHeaders(1, HELD_MAX);
  return sharedHeaders;
}
