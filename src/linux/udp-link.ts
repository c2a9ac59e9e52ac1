import type { PacketSpan } from '../data/arena.ts';
import { PlaneCounter } from '../data/counters.ts';
import type { LinkId, LinkOptions, PlaneEvent } from '../data/plane.ts';
import { PASS, type Verdict } from '../data/verdict.ts';
import { Errno } from './errno.ts';
import { errorQueue } from './error-queue.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import { ErrorReporter, LINK_ERROR, type PacketPump, type PumpContext, READ_BUDGET } from './link-io.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from './poll-set.ts';
import { writeSockaddr } from './sockaddr.ts';
import { takeSocketError } from './socket-options.ts';
import { parseSocksHeader, writeSocksHeader } from './socks-udp.ts';
import { UdpReceiver } from './udp-receiver.ts';
import { UdpSender } from './udp-sender.ts';
import type { LinkPart } from './worker-messages.ts';

type LinkError = Extract<PlaneEvent, { type: 'link-error' }>;

const RECONNECT_INTERVAL_MS = 100;

/** A datagram socket, connected or serving many, with or without the header of a SOCKS relay. */
export class UdpLink implements PacketPump {
  readonly fd: number;
  pollEvents = 0;
  #live = true;
  readonly #id: LinkId;
  readonly #connected: boolean;
  readonly #socks: boolean;
  /** Another worker sends: it may have disconnected the socket, so where a datagram comes from is looked at. */
  #readsOnly = false;
  readonly #context: PumpContext;
  readonly #errors: ErrorReporter;
  /** What else is known of the error in hand. */
  #about: Pick<LinkError, 'writing' | 'pathMtuBytes' | 'address'> = {};
  readonly #span: PacketSpan = { offset: 0, length: 0 };
  /** Disconnected until the host has a way to the remote again: what comes meanwhile may be from anybody. */
  #lost = false;
  #reconnectAtMs = 0;
  /** The link's own remote in the kernel's form, and its length; 0 when it serves many. */
  readonly #remote = nativeBytes(64);
  readonly #remoteLength: number;
  readonly #receiver: UdpReceiver;
  readonly #sender: UdpSender;

  constructor(id: LinkId, fd: number, options: LinkOptions, context: PumpContext, part: LinkPart) {
    this.fd = fd;
    this.#id = id;
    this.#connected = options.connected;
    this.#socks = options.framing === 'socks-udp';
    this.#context = context;
    this.#remoteLength = options.remote === undefined ? 0 : writeSockaddr(this.#remote.view, 0, options.remote);
    this.#errors = new ErrorReporter((code, text, errno) => {
      context.core.report({ type: 'link-error', link: id, code, text, errno, ...this.#about });
    });
    const localEnds = options.localEnds ?? 'none';
    this.#receiver = new UdpReceiver(fd, context.memory, localEnds);
    this.#sender = new UdpSender({
      fd,
      memory: context.memory,
      connected: this.#connected,
      remote: this.#remote,
      remoteLength: this.#remoteLength,
      localEnds: localEnds !== 'none',
      handleDrop: (cause, packets) => {
        for (let count = 0; count < packets; count++) context.core.countDrop(cause);
      },
      handleError: (number) => this.#handleSendError(number),
      reconnect: () => this.#reconnect(),
      counters: context.counters,
      handleFallback: () => context.tellPath(),
    });
    this.setPart(part);
  }

  /** What this worker does with the socket, from now on. Its owner tells those who poll it. */
  setPart(part: LinkPart): void {
    this.pollEvents = part === 'sends' || part === 'none-yet' ? 0 : POLLIN;
    this.#readsOnly = part === 'reads';
  }

  letGo(): void {
    this.#sender.flush();
    this.#live = false;
    this.pollEvents = 0;
  }

  get path(): string {
    const refusal = this.#sender.refusal === undefined ? '' : ` (${this.#sender.refusal})`;
    if (!this.#sender.segments)
      return `UDP ${this.#receiver.joins ? 'with GRO but' : 'without GRO and'} without GSO${refusal}`;
    return `UDP with GSO${this.#receiver.joins ? ' and GRO' : ' but without GRO'}`;
  }

  handleReady(events: number): void {
    if ((events & POLLERR) !== 0) this.#readErrors();
    if ((events & POLLIN) !== 0) this.#read();
    else if ((events & (POLLHUP | POLLNVAL)) !== 0) this.#stop();
  }

  /** Until nothing is left, or others have their turn; what goes into a device is joined over all of it. */
  #read(): void {
    this.#readAll();
    this.#context.outbox.flush();
  }

  #readAll(): void {
    const receiver = this.#receiver;
    for (let count = 0; count < READ_BUDGET; ) {
      const slots = receiver.read();
      if (slots < 0) {
        const number = errno();
        if (number === Errno.EAGAIN) return;
        count++;
        // What the queue knows beside the number (the path's MTU) comes first: a second report would be held back.
        if (number !== Errno.EINTR && !this.#takeQueue(false)) this.#handleError(number, {});
        continue;
      }
      this.#context.counters[PlaneCounter.linkReadCalls]!++;
      this.#context.takeCalls();
      if (!this.#live) return;
      for (let slot = 0; slot < slots; slot++) count += this.#takeSlot(slot);
      // What was forwarded still lies in the slots.
      this.#context.outbox.flushPlaces();
      if (receiver.isEmpty) return;
    }
  }

  /** Hands on the datagrams of one slot, and says how many they were. */
  #takeSlot(slot: number): number {
    const { core, memory } = this.#context;
    const receiver = this.#receiver;
    const length = receiver.lengthOf(slot);
    const segmentBytes = receiver.segmentBytes(slot);
    const start = receiver.slotAt(slot);
    let source = 0;
    if (!this.#connected && !this.#socks) {
      if (!receiver.packName(slot, memory.sourceAddress)) {
        core.countDrop('wrong-source');
        return 1;
      }
      source = memory.sourceAddress;
    } else if (this.#readsOnly && !receiver.isFrom(slot, this.#remote.view)) {
      core.countDrop('wrong-source');
      return 1;
    }
    // An empty datagram is one, too.
    let count = 0;
    let at = 0;
    do {
      this.#deliver(source, start + at, Math.min(segmentBytes, length - at));
      at += segmentBytes;
      count++;
    } while (at < length);
    return count;
  }

  #deliver(source: number, offset: number, length: number): void {
    const { core, memory } = this.#context;
    if (this.#lost) core.countDrop('wrong-source');
    else if (this.#socks) {
      const span = this.#span;
      span.offset = offset;
      span.length = length;
      if (parseSocksHeader(memory.arena.view, span, memory.sourceAddress)) {
        core.handleLinkPacket(this.#id, memory.sourceAddress, span.offset, span.length);
      } else core.countDrop('short');
    } else core.handleLinkPacket(this.#id, source, offset, length);
  }

  /** Sends to a packed address, or to the link's own remote for 0: with what else is on its way, at the next flush. */
  send(address: number, offset: number, length: number, trafficClass = 0): Verdict {
    const { memory, outbox } = this.#context;
    let start = offset;
    let size = length;
    if (this.#socks) {
      if (address === 0) return LINK_ERROR;
      const headerBytes = writeSocksHeader(memory.arena.view, address, offset);
      start -= headerBytes;
      size += headerBytes;
    }
    if (this.#lost && !this.#reconnect()) return LINK_ERROR;
    const kept = outbox.keep(start, size); // may flush
    if (this.#sender.isEmpty) outbox.add(this.#sender);
    this.#sender.hold(this.#socks ? 0 : address, kept, size, trafficClass);
    return PASS;
  }

  /**
   * A connected socket keeps the source address that it began with. When the host has lost that one (another network,
   * a new lease), the socket is connected anew and takes the address that the host has now; tried ten times a
   * second, for a packet that finds the new way may be the one that asks the server.
   */
  #reconnect(): boolean {
    const nowMs = this.#context.nowMs();
    if (!this.#connected || this.#remoteLength === 0 || nowMs < this.#reconnectAtMs) return false;
    this.#reconnectAtMs = nowMs + RECONNECT_INTERVAL_MS;
    const unspecified = nativeBytes(64); // AF_UNSPEC: forget the connection and the address chosen for it
    libc.connect(this.fd, unspecified.address, 16);
    unspecified.bytes.fill(0); // referenced until here
    this.#lost = libc.connect(this.fd, this.#remote.address, this.#remoteLength) < 0;
    return !this.#lost;
  }

  /** A datagram that is larger than the path's MTU: the queue knows how large they may be. */
  #handleSendError(number: number): void {
    if (number === Errno.EMSGSIZE && this.#takeQueue(true)) return;
    this.#handleError(number, { writing: true });
  }

  /** Empties the error queue (IP_RECVERR): while something is in it, poll(2) returns at once. */
  #readErrors(): void {
    if (this.#takeQueue(false)) return;
    const number = takeSocketError(this.fd);
    if (number > 0) this.#handleError(number, {});
  }

  /** Whether there was anything in it. */
  #takeQueue(writing: boolean): boolean {
    const queue = errorQueue();
    let found = false;
    for (let count = 0; count < READ_BUDGET; count++) {
      const number = queue.next(this.fd);
      if (number < 0) break;
      found = true;
      if (number === 0) continue;
      const pathMtuBytes = number === Errno.EMSGSIZE && queue.info > 0 ? queue.info : undefined;
      this.#handleError(number, {
        writing,
        pathMtuBytes,
        address: pathMtuBytes === undefined ? undefined : queue.address(),
      });
    }
    return found;
  }

  #handleError(number: number, about: Pick<LinkError, 'writing' | 'pathMtuBytes' | 'address'>): void {
    this.#about = about;
    this.#errors.handleError(number, this.#context.nowMs());
  }

  #stop(): void {
    this.pollEvents = 0;
    this.#context.polls.changed(this);
    this.#context.core.report({ type: 'link-closed', link: this.#id, code: 'EOF', text: 'the socket was shut down' });
  }
}
