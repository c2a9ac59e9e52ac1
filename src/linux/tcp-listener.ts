import type { LinkId } from '../data/plane.ts';
import type { Credit } from './credit.ts';
import { Errno } from './errno.ts';
import { errno, libc } from './libc.ts';
import { ErrorReporter, type Pump, type PumpContext } from './link-io.ts';
import { POLLIN } from './poll-set.ts';
import { parseSockaddr, SOCKADDR_BYTES } from './sockaddr.ts';
import { IPPROTO_TCP, setSocketOption, TCP_NODELAY } from './socket-options.ts';

const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const ACCEPT_BUDGET = 16;
/** How long a machine without a free fd or memory is left alone; poll(2) would say at once that the stream still waits. */
const PAUSE_MS = 500;
/** Accepted streams whose event the main thread has not handled yet, for all listeners; the others wait in the kernel. */
export const ACCEPTED_STREAMS_MAX = 32;

/** A listening stream socket. It rests while there is no room for what it accepts, or no fd. */
export class TcpListener implements Pump {
  readonly fd: number;
  pollEvents: number = POLLIN;
  /** When it wants to be woken by the clock; Infinity for not at all. */
  resumeAtMs = Number.POSITIVE_INFINITY;
  #live = true;
  #stopped = false;
  readonly #id: LinkId;
  readonly #context: PumpContext;
  readonly #accepted: Credit;
  readonly #errors: ErrorReporter;

  constructor(id: LinkId, fd: number, context: PumpContext, accepted: Credit) {
    this.fd = fd;
    this.#id = id;
    this.#context = context;
    this.#accepted = accepted;
    this.#errors = new ErrorReporter((code, text, errno) => {
      context.core.report({ type: 'link-error', link: id, code, text, errno });
    });
  }

  letGo(): void {
    this.#live = false;
    this.pollEvents = 0;
    this.resumeAtMs = Number.POSITIVE_INFINITY;
  }

  handleReady(events: number): void {
    if ((events & POLLIN) === 0) this.#stop();
    for (let count = 0; count < ACCEPT_BUDGET && this.pollEvents !== 0; count++) {
      if (!this.#accepted.hasRoom) this.#watch(0);
      else if (!this.#accept()) return;
    }
  }

  /** Goes on listening, if it rested for room, or for long enough. */
  resume(nowMs: number): void {
    if (this.resumeAtMs <= nowMs) this.resumeAtMs = Number.POSITIVE_INFINITY;
    const rests = this.pollEvents === 0 && this.resumeAtMs === Number.POSITIVE_INFINITY;
    if (rests && this.#live && !this.#stopped && this.#accepted.hasRoom) this.#watch(POLLIN);
  }

  /** False when nothing more is to be had now. */
  #accept(): boolean {
    const { arena, sourceSockaddr, sourceSockaddrLength } = this.#context.memory;
    arena.view.setUint32(sourceSockaddrLength, SOCKADDR_BYTES, true);
    const fd = libc.accept4(
      this.fd,
      arena.address + sourceSockaddr,
      arena.address + sourceSockaddrLength,
      SOCK_NONBLOCK_CLOEXEC,
    );
    if (fd < 0) return this.#handleError(errno());
    const address = parseSockaddr(arena.view, sourceSockaddr);
    this.#context.takeCalls();
    if (!this.#live || address === undefined) {
      libc.close(fd);
      return this.#live;
    }
    setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    this.#accepted.handleSent();
    this.#context.core.report({ type: 'accepted', listener: this.#id, fd, address });
    return true;
  }

  #handleError(number: number): boolean {
    if (number === Errno.EAGAIN) return false;
    // The stream that waited was given up by its client: accept(2) passes its errors on.
    if (TRANSIENT.has(number)) return true;
    this.#errors.handleError(number, this.#context.nowMs());
    if (!EXHAUSTED.has(number)) this.#stop();
    else {
      this.resumeAtMs = this.#context.nowMs() + PAUSE_MS;
      this.#watch(0);
    }
    return false;
  }

  #stop(): void {
    this.#stopped = true;
    this.#watch(0);
    const text = 'the socket does not listen any more';
    this.#context.core.report({ type: 'link-closed', link: this.#id, code: 'EOF', text });
  }

  #watch(events: number): void {
    this.pollEvents = events;
    this.#context.polls.changed(this);
  }
}

const TRANSIENT: ReadonlySet<number> = new Set([
  ...[Errno.EINTR, Errno.ECONNABORTED, Errno.EPROTO, Errno.ENETDOWN, Errno.ENETUNREACH, Errno.EHOSTDOWN],
  ...[Errno.EHOSTUNREACH, Errno.ETIMEDOUT, Errno.EPERM],
]);
const EXHAUSTED: ReadonlySet<number> = new Set([Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM]);
