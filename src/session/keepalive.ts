// Silence and idleness: ping-restart, ping-exit, inactive, session-timeout. The plane sends the pings.

import type { KeepaliveOptions } from './options.ts';
import { type Deadline, deadline, earliest } from './timers.ts';

/** What the data plane saw of the peer; zeros before there is one. */
export interface Traffic {
  /** When the last authentic data packet came, monotonic; 0 for never. */
  readonly lastReceivedMs: number;
  /** When the last packet that is not a ping crossed the device, either way; 0 for never. */
  readonly lastPayloadMs: number;
  /** Payload bytes both ways. */
  readonly payloadBytes: number;
}

const NO_TRAFFIC: Traffic = { lastReceivedMs: 0, lastPayloadMs: 0, payloadBytes: 0 };

export type KeepaliveVerdict = 'ping-restart' | 'ping-exit' | 'inactive' | 'session-timeout';

/** Judges silence. Authentic control packets count as well as data packets (docs/WIRE.md 15, observed). */
export class Keepalive {
  #options: KeepaliveOptions;
  /** When silence begins to count. */
  #sinceMs: number;
  #answered = false;
  #lastControlMs = 0;
  #traffic: Traffic = NO_TRAFFIC;
  /** Set once the tunnel is up: inactive and session-timeout count from there. */
  #upMs: number | undefined;
  #idleSinceMs = 0;
  #idleMarkBytes = 0;

  constructor(options: KeepaliveOptions, nowMs: number) {
    this.#options = options;
    this.#sinceMs = nowMs;
  }

  /** An authentic control packet came. */
  handleControl(nowMs: number): void {
    this.#answered = true;
    this.#lastControlMs = nowMs;
  }

  /** The tunnel is up, with what the push reply says. */
  handleUp(options: KeepaliveOptions, nowMs: number): void {
    this.#options = options;
    this.#sinceMs = nowMs;
    this.#upMs = nowMs;
    this.#idleSinceMs = nowMs;
    this.#idleMarkBytes = this.#traffic.payloadBytes;
  }

  /** What the plane saw, and the verdict at this time. */
  handleTime(nowMs: number, traffic: Traffic): KeepaliveVerdict | undefined {
    this.#traffic = traffic;
    this.#noteActivity();
    const due = this.nextDeadline();
    return due !== undefined && due.atMs <= nowMs ? (due.reason as KeepaliveVerdict) : undefined;
  }

  /** The earliest deadline as far as is known; traffic since then moves it. */
  nextDeadline(): Deadline | undefined {
    const { pingRestartMs, pingExitMs, inactiveMs, sessionTimeoutMs, timerRemote } = this.#options;
    const counts = !timerRemote || this.#answered;
    const heard = Math.max(this.#sinceMs, this.#lastControlMs, this.#traffic.lastReceivedMs);
    const after = (base: number | undefined, ms: number) => (base === undefined || ms === 0 ? undefined : base + ms);
    return earliest(
      deadline(counts ? after(heard, pingRestartMs) : undefined, 'ping-restart'),
      deadline(counts ? after(heard, pingExitMs) : undefined, 'ping-exit'),
      deadline(this.#upMs === undefined ? undefined : after(this.#idleSinceMs, inactiveMs), 'inactive'),
      deadline(after(this.#upMs, sessionTimeoutMs), 'session-timeout'),
    );
  }

  /** With a byte threshold, less than that many bytes in the period are no activity. */
  #noteActivity(): void {
    const { inactiveBytes } = this.#options;
    const { lastPayloadMs, payloadBytes } = this.#traffic;
    if (lastPayloadMs <= this.#idleSinceMs) return;
    if (inactiveBytes > 0 && payloadBytes - this.#idleMarkBytes < inactiveBytes) return;
    this.#idleSinceMs = lastPayloadMs;
    this.#idleMarkBytes = payloadBytes;
  }
}

/** The C program's line for each end. */
export function keepaliveLine(verdict: KeepaliveVerdict, commonName: string | undefined): string {
  const name = commonName === undefined ? '' : `[${commonName}] `;
  switch (verdict) {
    case 'ping-restart':
      return `${name}Inactivity timeout (--ping-restart), restarting`;
    case 'ping-exit':
      return `${name}Inactivity timeout (--ping-exit), exiting`;
    case 'inactive':
      return 'Inactivity timeout (--inactive), exiting';
    case 'session-timeout':
      return 'Session timeout, exiting';
    default:
      return verdict satisfies never;
  }
}
