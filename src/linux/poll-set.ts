import { type NativeBytes, nativeBytes } from './libc.ts';

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

const POLLFD_BYTES = 8;
const REVENTS = 6;

/** The array of struct pollfd (fd i32 | events i16 | revents i16). A change touches its own entry only. */
export class PollSet {
  readonly #members: Pollable[] = [];
  readonly #places = new Map<Pollable, number>();
  #memory: NativeBytes = nativeBytes(16 * POLLFD_BYTES);

  add(member: Pollable): void {
    const place = this.#members.length;
    if ((place + 1) * POLLFD_BYTES > this.#memory.bytes.length) this.#grow();
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

  get address(): number {
    return this.#memory.address;
  }

  get count(): number {
    return this.#members.length;
  }

  /** Calls each member that poll(2) found ready; one that was removed meanwhile is passed over. */
  dispatch(readyCount: number): void {
    let left = readyCount;
    for (let place = 0; place < this.#members.length && left > 0; place++) {
      const at = place * POLLFD_BYTES + REVENTS;
      const events = this.#memory.view.getUint16(at, true);
      if (events === 0) continue;
      left--;
      this.#members[place]!.handleReady(events);
    }
  }

  /** poll(2) passes over an entry whose fd is negative. */
  #write(place: number, member: Pollable): void {
    const { view } = this.#memory;
    view.setInt32(place * POLLFD_BYTES, member.pollEvents === 0 ? -1 : member.fd, true);
    view.setUint32(place * POLLFD_BYTES + 4, member.pollEvents, true);
  }

  #grow(): void {
    const { bytes } = this.#memory;
    this.#memory = nativeBytes(2 * bytes.length);
    this.#memory.bytes.set(bytes);
  }
}
