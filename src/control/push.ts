// When a client asks for its options, and for how long.

/** The result of a look at the clock. */
export type PushTick = 'request' | 'wait' | 'give-up';

/**
 * Asks every `intervalMs` from the first moment on, until answered. Gives up at a limit after the key exchange, or when
 * the peer has been silent for the whole hand-window; AUTH_PENDING moves the limit.
 */
export class PushRequester {
  readonly #intervalMs: number;
  readonly #handWindowMs: number;
  readonly #startedMs: number;
  #nextMs: number;
  #limitMs: number;
  /** Beyond the limit, while somebody is waited for: the server itself ends that in time, and its word should be heard. */
  #graceMs = 0;
  #joining = false;

  constructor(intervalMs: number, handWindowMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#handWindowMs = handWindowMs;
    this.#startedMs = nowMs;
    this.#nextMs = nowMs;
    this.#limitMs = nowMs + handWindowMs;
  }

  get startedMs(): number {
    return this.#startedMs;
  }

  /** When waiting ends at the latest, as far as the server's own words go. */
  get limitMs(): number {
    return this.#limitMs;
  }

  /** When to look next. */
  get dueMs(): number {
    return Math.min(this.#nextMs, this.#limitMs + this.#graceMs);
  }

  /** The first fragment of a reply is here: no more requests, the limit stays. */
  handleFragment(): void {
    this.#joining = true;
    this.#nextMs = Number.POSITIVE_INFINITY;
  }

  /** The server waits for somebody. Returns the new limit in milliseconds after the key exchange. */
  handleAuthPending(timeoutMs: number | undefined, renegotiateMs: number): number {
    const cap = Math.max(renegotiateMs / 2, this.#handWindowMs);
    const extended = Math.min(cap, timeoutMs ?? this.#handWindowMs);
    this.#limitMs = this.#startedMs + extended;
    this.#graceMs = this.#intervalMs;
    return extended;
  }

  /** `lastHeardMs`: when the last authentic packet of the peer came. */
  handleTime(nowMs: number, lastHeardMs: number): PushTick {
    if (nowMs >= this.#limitMs + this.#graceMs) return 'give-up';
    if (nowMs < this.#nextMs || this.#joining) return 'wait';
    if (nowMs - lastHeardMs >= this.#handWindowMs) return 'give-up';
    this.#nextMs = nowMs + this.#intervalMs;
    return 'request';
  }
}
