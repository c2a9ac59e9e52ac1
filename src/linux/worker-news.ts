// What several workers notice at the same time, told once: two of them share a key's use or a socket, and all of them the way
// of packets.

import type { KeyHandle, PlaneEvent } from '../data/plane.ts';

type LinkError = Extract<PlaneEvent, { type: 'link-error' }>;

/** Each worker joins its own repetitions of an error over a second; this joins those of several. */
const JOIN_ERRORS_MS = 900;
const LINK_ERRORS_MAX = 1024;

export class WorkerNews {
  /** What was told of keys that are used up: each direction's worker notices it. */
  readonly #usedUp = new Map<KeyHandle, Set<string>>();
  /** When an error of a link was told, by link, code and the path's MTU. */
  readonly #linkErrorMs = new Map<string, number>();
  #path: string | undefined;

  /** Whether nobody has told of it yet. The key of a `key-used-up` is one that lives. `nowMs`: monotonic. */
  isNews(event: PlaneEvent, nowMs: number): boolean {
    if (event.type === 'key-used-up') return this.#isNewReason(event.key, event.reason);
    if (event.type === 'link-error') return this.#isNewError(event, nowMs);
    return true;
  }

  /** Whether packets were not known to go this way: each worker tells of its own, which is the others' too, as a rule. */
  isNewPath(text: string): boolean {
    if (text === this.#path) return false;
    this.#path = text;
    return true;
  }

  forgetKey(key: KeyHandle): void {
    this.#usedUp.delete(key);
  }

  #isNewReason(key: KeyHandle, reason: string): boolean {
    const told = this.#usedUp.get(key) ?? new Set();
    if (told.has(reason)) return false;
    this.#usedUp.set(key, told.add(reason));
    return true;
  }

  /** An error that tells the path's MTU is another one than without. */
  #isNewError({ link, code, pathMtuBytes }: LinkError, nowMs: number): boolean {
    const what = `${link} ${code} ${pathMtuBytes ?? ''}`;
    const toldMs = this.#linkErrorMs.get(what);
    if (toldMs !== undefined && nowMs - toldMs < JOIN_ERRORS_MS) return false;
    if (this.#linkErrorMs.size >= LINK_ERRORS_MAX) this.#linkErrorMs.clear();
    this.#linkErrorMs.set(what, nowMs);
    return true;
  }
}
