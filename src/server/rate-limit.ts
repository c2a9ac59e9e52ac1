// How often strangers are answered (`connect-freq-initial`) and clients taken (`connect-freq`).

import type { RateOption } from '../config/server-options.ts';
import { Level, type Log } from '../log.ts';

/**
 * At most `count` answers to first packets in a period; a client that goes on with its handshake gives its place back.
 * What is over the limit is said once in a period, and counted at its end.
 */
export class InitialRateLimit {
  readonly #option: RateOption;
  readonly #log: Log;
  #periodStart = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #told = false;

  constructor(option: RateOption, log: Log) {
    this.#option = option;
    this.#log = log;
  }

  /** Whether one more first packet may be answered; it counts either way. */
  allow(unixSeconds: number): boolean {
    const { count, seconds } = this.#option;
    // A clock that was set back must not hold a period for ever.
    const age = unixSeconds - this.#periodStart;
    if (age > seconds || age < 0) this.#begin(unixSeconds);
    this.#asked++;
    if (this.#asked <= count) return true;
    if (!this.#told) {
      const left = Math.floor(this.#periodStart + seconds - unixSeconds);
      this.#log(
        Level.warning,
        `Note: --connect-freq-initial ${count} ${seconds} rate limit exceeded, dropping initial handshake packets for the next ${left} seconds`,
      );
      this.#told = true;
    }
    return false;
  }

  /** A handshake went on: its first packet counts no more. */
  giveBack(): void {
    if (this.#asked > 0) this.#asked--;
  }

  #begin(unixSeconds: number): void {
    const { count, seconds } = this.#option;
    const dropped = this.#asked - count;
    if (dropped > 0) {
      this.#log(
        Level.tlsDebugLow,
        `Dropped ${dropped} initial handshake packets due to --connect-freq-initial ${count} ${seconds}`,
      );
    }
    this.#periodStart = unixSeconds;
    this.#asked = 0;
    this.#told = false;
  }
}

/** At most `count` new clients in a period; without an option, any number. */
export class ConnectRateLimit {
  readonly #option: RateOption | undefined;
  #periodStart = Number.NEGATIVE_INFINITY;
  #asked = 0;

  constructor(option: RateOption | undefined) {
    this.#option = option;
  }

  /** Whether one more client may be taken; it counts either way. */
  allow(unixSeconds: number): boolean {
    if (this.#option === undefined || this.#option.seconds === 0) return true;
    const { count, seconds } = this.#option;
    const age = unixSeconds - this.#periodStart;
    if (age >= seconds || age < 0) {
      this.#periodStart = unixSeconds;
      this.#asked = 0;
    }
    this.#asked++;
    return this.#asked <= count;
  }
}

/** The line about a client that `connect-freq` turned away; its level is `Level.multiErrors`. */
export const connectFreqLine = (remoteText: string): string =>
  `MULTI: Connection from ${remoteText} would exceed new connection frequency limit as controlled by --connect-freq`;
