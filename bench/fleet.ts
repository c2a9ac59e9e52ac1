// Many load clients in this process: opened so many at a time, held, counted.

import { setTimeout as delay } from 'node:timers/promises';
import { type DataCount, LoadClient, type LoadShared, type LoadTarget } from './load-client.ts';

export interface OpenReport {
  readonly opened: number;
  /** From the first start to the last session that came up. */
  readonly seconds: number;
  /** Milliseconds from start to data keys, of each session that came up. */
  readonly connectMs: readonly number[];
  /** Failures by cause. */
  readonly failures: ReadonlyMap<string, number>;
}

export interface OpenOptions {
  readonly count: number;
  /** Handshakes under way at once at most. */
  readonly concurrency: number;
  /** Starts a second at most; 0 for no bound. */
  readonly rate: number;
  readonly timeoutMs: number;
}

const TICK_MS = 250;

export class Fleet {
  readonly data: DataCount = { pings: 0, packets: 0, bad: 0 };
  /** Renegotiations that were completed, and clients that have one at least. */
  renegotiations = 0;
  readonly renegotiated = new Set<LoadClient>();
  /** Ends after a session had been up, by cause. */
  readonly lost = new Map<string, number>();
  readonly #shared: LoadShared;
  readonly #target: LoadTarget;
  readonly #clients = new Set<LoadClient>();
  readonly #ticker: NodeJS.Timeout;

  constructor(shared: LoadShared, target: LoadTarget) {
    this.#shared = shared;
    this.#target = target;
    this.#ticker = setInterval(() => {
      const nowMs = performance.now();
      for (const client of this.#clients) client.tick(nowMs);
    }, TICK_MS);
  }

  /** Sessions that are up. */
  get up(): number {
    let up = 0;
    for (const client of this.#clients) if (client.isUp) up++;
    return up;
  }

  /** Opens sessions; resolves when each is up or has failed, or at the time limit. */
  async open(options: OpenOptions): Promise<OpenReport> {
    const beganMs = performance.now();
    const connectMs: number[] = [];
    const failures = new Map<string, number>();
    let lastUpMs = beganMs;
    let started = 0;
    let settled = 0;
    let proceed = (): void => {};

    const startOne = (): void => {
      const startMs = performance.now();
      let wasUp = false;
      const client = new LoadClient(
        this.#shared,
        this.#target,
        {
          up: () => {
            wasUp = true;
            lastUpMs = performance.now();
            connectMs.push(lastUpMs - startMs);
            settled++;
            proceed();
          },
          renegotiated: (one) => {
            this.renegotiations++;
            this.renegotiated.add(one);
          },
          ended: (one, cause) => {
            this.#clients.delete(one);
            note(wasUp ? this.lost : failures, cause);
            if (wasUp) return;
            settled++;
            proceed();
          },
        },
        this.data,
      );
      this.#clients.add(client);
      started++;
      client.start();
    };

    const deadlineMs = beganMs + options.timeoutMs;
    while (settled < options.count && performance.now() < deadlineMs) {
      const allowed = options.rate === 0 ? options.count : ((performance.now() - beganMs) / 1000) * options.rate;
      while (started < options.count && started - settled < options.concurrency && started <= allowed) startOne();
      const change = new Promise<void>((resolve) => {
        proceed = resolve;
      });
      await Promise.race([change, delay(options.rate === 0 ? 250 : 5)]);
    }
    if (started > settled) failures.set('not within the time limit', started - settled);
    if (started < options.count) failures.set('never started', options.count - started);
    return { opened: connectMs.length, seconds: (lastUpMs - beganMs) / 1000, connectMs, failures };
  }

  /** Waits until this many clients have renegotiated, or are gone. */
  async renegotiation(count: number, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.renegotiated.size < Math.min(count, this.up) && performance.now() < deadlineMs) await delay(100);
  }

  close(): void {
    clearInterval(this.#ticker);
    for (const client of this.#clients) client.close();
    this.#clients.clear();
  }
}

function note(map: Map<string, number>, cause: string): void {
  map.set(cause, (map.get(cause) ?? 0) + 1);
}
