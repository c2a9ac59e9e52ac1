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

/** The array of struct pollfd (fd i32 | events i16 | revents i16), written anew only when somebody's wish has changed. */
export class PollSet {
  readonly #members = new Set<Pollable>();
  #watched: Pollable[] = [];
  #memory: NativeBytes = nativeBytes(16 * POLLFD_BYTES);
  #stale = true;

  add(member: Pollable): void {
    this.#members.add(member);
    this.#stale = true;
  }

  remove(member: Pollable): void {
    this.#members.delete(member);
    this.#stale = true;
  }

  /** A member's `pollEvents` has changed. */
  changed(): void {
    this.#stale = true;
  }

  /** Address and count for poll(2). */
  prepare(): { readonly address: number; readonly count: number } {
    if (this.#stale) this.#write();
    return { address: this.#memory.address, count: this.#watched.length };
  }

  /** Calls each member that poll(2) found ready; one that was removed meanwhile is passed over. */
  dispatch(): void {
    const watched = this.#watched;
    const { view } = this.#memory;
    for (let index = 0; index < watched.length; index++) {
      const events = view.getUint16(index * POLLFD_BYTES + 6, true);
      const member = watched[index]!;
      if (events !== 0 && this.#members.has(member)) member.handleReady(events);
    }
  }

  #write(): void {
    this.#watched = [...this.#members].filter((member) => member.pollEvents !== 0);
    const neededBytes = this.#watched.length * POLLFD_BYTES;
    if (neededBytes > this.#memory.bytes.length) this.#memory = nativeBytes(2 * neededBytes);
    const { view } = this.#memory;
    this.#watched.forEach((member, index) => {
      view.setInt32(index * POLLFD_BYTES, member.fd, true);
      view.setUint32(index * POLLFD_BYTES + 4, member.pollEvents, true);
    });
    this.#stale = false;
  }
}
