// The gate: packets from addresses that nothing is kept of. They are judged and answered without state
// (control/first-contact.ts); only a packet that proves its address gets through, as a claim.

import type { ServerOptions } from '../config/server-options.ts';
import { contactLines } from '../control/contact-words.ts';
import {
  type Claim,
  CONTACT_DROPS,
  type ContactDrop,
  type ContactVerdict,
  FirstContact,
  type FirstContactOptions,
} from '../control/first-contact.ts';
import { SessionCookie } from '../control/session-cookie.ts';
import type { CryptoProvider } from '../crypto/provider.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import type { Log } from '../log.ts';
import type { Instants } from '../ports.ts';
import { InitialRateLimit } from './rate-limit.ts';

const SECRET_BYTES = 32;
/** A flood is not written down packet by packet: one line a second for each kind. */
const QUIET_MS = 1000;

export interface GateOptions {
  readonly wraps: FirstContactOptions;
  readonly handWindowSeconds: number;
  readonly connectFreqInitial: ServerOptions['connectFreqInitial'];
}

export class Gate {
  readonly #contact: FirstContact;
  readonly #cookie: SessionCookie;
  readonly #limit: InitialRateLimit;
  readonly #log: Log;
  readonly #loggedMs = new Map<string, number>();
  readonly #drops = Object.fromEntries(CONTACT_DROPS.map((cause) => [cause, 0])) as Record<ContactDrop, number>;
  #replies = 0;

  constructor(options: GateOptions, crypto: CryptoProvider, log: Log) {
    const { handWindowSeconds } = options;
    this.#log = log;
    this.#limit = new InitialRateLimit(options.connectFreqInitial, log);
    this.#cookie = new SessionCookie({ crypto, secret: crypto.randomBytes(SECRET_BYTES), handWindowSeconds });
    this.#contact = new FirstContact(options.wraps, {
      crypto,
      cookie: this.#cookie,
      mayAnswer: (unixSeconds) => this.#limit.allow(unixSeconds),
    });
  }

  /** Drops by cause since the start, and resets that were answered. */
  get counters(): { readonly drops: Readonly<Record<ContactDrop, number>>; readonly replies: number } {
    return { drops: this.#drops, replies: this.#replies };
  }

  /** A datagram: a claim, bytes to answer with, or nothing. */
  handleDatagram(bytes: Uint8Array, source: SocketAddress, now: Instants): Claim | Uint8Array | undefined {
    const verdict = this.#contact.handleDatagram(bytes, source, now.unixSeconds);
    this.#tell(verdict, source, now);
    if (verdict.kind === 'reply') {
      this.#replies++;
      return verdict.bytes;
    }
    if (verdict.kind === 'drop') return undefined;
    if (verdict.proof === 'cookie') this.#limit.giveBack();
    return verdict;
  }

  /** The first packet of a stream: a claim or nothing. */
  handleStream(bytes: Uint8Array, source: SocketAddress, now: Instants): Claim | undefined {
    const verdict = this.#contact.handleStream(bytes, now.unixSeconds);
    this.#tell(verdict, source, now);
    return verdict.kind === 'claim' ? verdict : undefined;
  }

  close(): void {
    this.#contact.close();
    this.#cookie.close();
  }

  #tell(verdict: ContactVerdict, source: SocketAddress, now: Instants): void {
    if (verdict.kind === 'drop') this.#drops[verdict.cause]++;
    const key = verdict.kind === 'drop' ? verdict.cause : verdict.kind;
    const last = this.#loggedMs.get(key);
    if (verdict.kind !== 'claim' && last !== undefined && now.monoMs - last < QUIET_MS) return;
    this.#loggedMs.set(key, now.monoMs);
    for (const [flags, text] of contactLines(verdict, formatLogAddress(source))) this.#log(flags, text);
  }
}
