// `tls-crypt-v2-verify`: before a client with a key of its own gets a session, a program may judge the key's metadata.
// Nothing is kept of the client meanwhile but its claim; few can wait at once, and one at an address.

import type { Claim } from '../control/first-contact.ts';
import { messageOf } from '../error.ts';
import { formatLogAddress, type SocketAddress } from '../ip/socket-address.ts';
import { Level, type Log } from '../log.ts';
import { addressText } from './address-text.ts';
import type { ServerScripts } from './scripts.ts';

export interface KeyChecksPorts {
  readonly scripts: Pick<ServerScripts, 'checksKeys' | 'verifyKey'>;
  readonly log: Log;
}

/** Programs that run at once; who comes when there are as many comes again a little later. */
const WAITING_LIMIT = 64;

export class KeyChecks {
  readonly #ports: KeyChecksPorts;
  readonly #waiting = new Set<string>();

  constructor(ports: KeyChecksPorts) {
    this.#ports = ports;
  }

  /** Whether a claim has to be judged at all. */
  concerns({ wrap }: Claim): boolean {
    return this.#ports.scripts.checksKeys && wrap.kind === 'tls-crypt-v2-server';
  }

  /**
   * Judges a claim. `busy`: one from this address is being judged, or too many are; it was not looked at. The key of a
   * claim that is not accepted is wiped.
   */
  async judge(claim: Claim, link: number, address: SocketAddress): Promise<'accepted' | 'refused' | 'busy'> {
    const from = formatLogAddress(address);
    const key = `${link} ${from}`;
    let verdict: 'accepted' | 'refused' | 'busy' = 'busy';
    try {
      if (this.#waiting.has(key) || this.#waiting.size >= WAITING_LIMIT) return verdict;
      verdict = 'refused';
      this.#waiting.add(key);
      try {
        if (await this.#ask(claim, address, from)) verdict = 'accepted';
      } finally {
        this.#waiting.delete(key);
      }
      return verdict;
    } finally {
      if (verdict !== 'accepted' && claim.wrap.kind === 'tls-crypt-v2-server') claim.wrap.clientKey.fill(0);
    }
  }

  async #ask(claim: Claim, address: SocketAddress, from: string): Promise<boolean> {
    const log: Log = (flags, text) => this.#ports.log(flags, `${addressText(address)} ${text}`);
    let accepted = false;
    try {
      accepted = await this.#ports.scripts.verifyKey(claim.metadata, log);
    } catch (error) {
      log(Level.warning, `ERROR: ${messageOf(error)}`);
    }
    if (!accepted) log(Level.tlsErrors, `TLS Error: can not extract tls-crypt-v2 client key from ${from}`);
    return accepted;
  }
}
