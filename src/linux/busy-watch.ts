/** So long a look at a worker's time is. */
const WINDOW_MS = 500;
/** Of it, the share of waiting below which there is no time left. */
const WAITED_SHARE = 0.05;

/** Whether a worker has had no time left, by how long its waits take. */
export class BusyWatch {
  #sinceMs: number;
  #waitedMs = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** After each wait; true once for each window without time left. */
  handleWait(nowMs: number, waitedMs: number): boolean {
    this.#waitedMs += waitedMs;
    const passedMs = nowMs - this.#sinceMs;
    if (passedMs < WINDOW_MS) return false;
    const busy = this.#waitedMs < WAITED_SHARE * passedMs;
    this.#sinceMs = nowMs;
    this.#waitedMs = 0;
    return busy;
  }
}
