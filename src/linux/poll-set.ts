import { libc, type NativeBytes, nativeBytes } from './libc.ts';

export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;
export const POLLNVAL = 0x20;

/** Something with an fd that poll(2) watches. */
export interface Pollable {
  readonly fd: number;
  /** POLLIN, POLLOUT or both; 0 is not watched at all, not even for errors. */
  readonly pollEvents: number;
  handleReady(events: number): void;
}

// struct timespec (seconds i64 | nanoseconds i64), then the array of struct pollfd (fd i32 | events i16 | revents i16)
const NANOSECONDS = 8;
const FIRST = 16;
const POLLFD_BYTES = 8;
const REVENTS = 6;
/** Longer than any machine runs, and a number of milliseconds that has room for their fractions. */
const FOREVER_MS = 2 ** 31 * 1000;
/** ppoll(2) itself, for the one in the C library hides how much of the time is left: of x64, or of arm64 and all newer ones. */
const SYS_PPOLL = process.arch === 'x64' ? 271 : 73;
const SIGNAL_SET_BYTES = 8;

/** Members that are waited for with ppoll(2). A change touches its own entry only. */
export class PollSet {
  readonly #members: Pollable[] = [];
  readonly #places = new Map<Pollable, number>();
  #memory: NativeBytes = nativeBytes(FIRST + 16 * POLLFD_BYTES);
  /**
   * How long the last wait took, in milliseconds: what the kernel says, which costs no look at a clock after it. Time in which the
   * machine slept is not in it.
   */
  waitedMs = 0;

  add(member: Pollable): void {
    const place = this.#members.length;
    if (FIRST + (place + 1) * POLLFD_BYTES > this.#memory.bytes.length) this.#grow();
    this.#members.push(member);
    this.#places.set(member, place);
    this.#write(place, member);
  }

  /** The last one takes its place; what it was ready for is asked again at the next turn. */
  remove(member: Pollable): void {
    const place = this.#places.get(member);
    if (place === undefined) return;
    this.#places.delete(member);
    const last = this.#members.pop()!;
    if (last === member) return;
    this.#members[place] = last;
    this.#places.set(last, place);
    this.#write(place, last);
  }

  /** A member's `pollEvents` has changed. */
  changed(member: Pollable): void {
    const place = this.#places.get(member);
    if (place !== undefined) this.#write(place, member);
  }

  /** Waits until members are ready, at most so long (Infinity for as long as it takes); how many are, or -1 and `errno`. */
  wait(longestMs: number): number {
    const { view } = this.#memory;
    const askedMs = Math.max(0, Math.min(longestMs, FOREVER_MS));
    const seconds = Math.floor(askedMs / 1000);
    view.setUint32(0, seconds, true);
    view.setUint32(NANOSECONDS, Math.floor((askedMs - seconds * 1000) * 1e6), true);
    return this.waitOn();
  }

  /** As `wait`, for as long as the last one was to take still when it ended. */
  waitOn(): number {
    const { address } = this.#memory;
    const askedMs = this.#leftMs();
    const ready = libc.syscall(SYS_PPOLL, address + FIRST, this.#members.length, address, 0, SIGNAL_SET_BYTES);
    this.waitedMs = Math.max(0, askedMs - this.#leftMs());
    return ready;
  }

  /** The kernel leaves the rest of the time where it was told how long to wait. */
  #leftMs(): number {
    const { view } = this.#memory;
    return view.getUint32(0, true) * 1000 + view.getUint32(NANOSECONDS, true) / 1e6;
  }

  /** Calls each member that ppoll(2) found ready; one that was removed meanwhile is passed over. */
  dispatch(readyCount: number): void {
    let left = readyCount;
    for (let place = 0; place < this.#members.length && left > 0; place++) {
      const at = FIRST + place * POLLFD_BYTES + REVENTS;
      const events = this.#memory.view.getUint16(at, true);
      if (events === 0) continue;
      left--;
      this.#members[place]!.handleReady(events);
    }
  }

  /** ppoll(2) passes over an entry whose fd is negative. */
  #write(place: number, member: Pollable): void {
    const { view } = this.#memory;
    const at = FIRST + place * POLLFD_BYTES;
    view.setInt32(at, member.pollEvents === 0 ? -1 : member.fd, true);
    view.setUint32(at + 4, member.pollEvents, true);
  }

  #grow(): void {
    const { bytes } = this.#memory;
    this.#memory = nativeBytes(2 * bytes.length);
    this.#memory.bytes.set(bytes);
  }
}
