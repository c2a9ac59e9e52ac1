// The time between the first key and the push reply: asking, being told to wait, giving up.

import { PushRequester } from '../control/push.ts';
import type { SallyportError } from '../error.ts';
import { Level, type Log } from '../log.ts';
import { noPushReplyError, pendingLoginError } from './failure.ts';
import type { SessionOptions } from './options.ts';
import { type Deadline, deadline } from './timers.ts';

type Times = Pick<SessionOptions, 'pushRequestMs' | 'handWindowMs' | 'renegotiateMs'>;

export class PushWait {
  readonly #times: Times;
  readonly #log: Log;
  #requester: PushRequester | undefined;
  #pending = false;

  constructor(times: Times, log: Log) {
    this.#times = times;
    this.#log = log;
  }

  /** Whether a push reply would be the answer that is waited for. */
  get active(): boolean {
    return this.#requester !== undefined;
  }

  /** When the wait ends, monotonic milliseconds; undefined when nothing is waited for. */
  get limitMs(): number | undefined {
    return this.#requester?.limitMs;
  }

  begin(nowMs: number): void {
    this.#pending = false;
    this.#requester = new PushRequester(this.#times.pushRequestMs, this.#times.handWindowMs, nowMs);
  }

  finish(): void {
    this.#requester = undefined;
  }

  handleFragment(): void {
    this.#requester?.handleFragment();
  }

  /** AUTH_PENDING: somebody at the other end needs time. */
  handleAuthPending(timeoutSeconds: number | undefined): void {
    const timeoutMs = timeoutSeconds === undefined ? undefined : timeoutSeconds * 1000;
    const extendedMs = this.#requester?.handleAuthPending(timeoutMs, this.#times.renegotiateMs);
    if (extendedMs === undefined) return;
    this.#pending = true;
    const [from, to] = [this.#times.handWindowMs, extendedMs].map((ms) => Math.floor(ms / 1000));
    this.#log(Level.push, `AUTH_PENDING received, extending handshake timeout from ${from}s to ${to}s`);
  }

  /** What is due: a request, nothing, or the end. */
  handleTime(nowMs: number, lastHeardMs: number, remoteText: string): 'request' | 'wait' | SallyportError {
    const requester = this.#requester;
    const tick = requester?.handleTime(nowMs, lastHeardMs) ?? 'wait';
    if (requester === undefined || tick !== 'give-up') return tick === 'request' ? 'request' : 'wait';
    const seconds = Math.floor((nowMs - requester.startedMs) / 1000);
    this.#log(Level.streamErrors, `No reply from server to push requests in ${seconds}s`);
    return this.#pending ? pendingLoginError(seconds, remoteText) : noPushReplyError(seconds, remoteText);
  }

  deadline(): Deadline | undefined {
    return deadline(this.#requester?.dueMs, 'push-request');
  }
}
