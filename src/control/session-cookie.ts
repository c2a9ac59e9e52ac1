// The session id that a server gives without remembering it: a MAC over who asked and when. Whoever sends it back from
// the same address has received it there.
//
//   own session id = first 8 bytes of HMAC-SHA256(secret, slot u32 | family u8 | address | port u16 | scope u32 | client's session id)
//   slot = Unix time / half of the hand-window
//
// What the MAC is over is private to a server; peers carry the id and can't look into it.

import type { CryptoProvider } from '../crypto/provider.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { SESSION_ID_BYTES } from '../wire/control-packet.ts';
import { Writer } from '../wire/writer.ts';

/** The slot of now, and the two before: an answer is good for one to one and a half hand-windows. */
const SLOTS_BACK = 2;
const INPUT_MAX_BYTES = 4 + 1 + 16 + 2 + 4 + SESSION_ID_BYTES;

export interface CookieOptions {
  readonly crypto: CryptoProvider;
  /** Random bytes, 32 or more, that live as long as the server does. Copied. */
  readonly secret: Uint8Array;
  readonly handWindowSeconds: number;
}

export class SessionCookie {
  readonly #crypto: CryptoProvider;
  readonly #secret: Uint8Array;
  readonly #slotSeconds: number;

  constructor({ crypto, secret, handWindowSeconds }: CookieOptions) {
    this.#crypto = crypto;
    this.#secret = secret.slice();
    this.#slotSeconds = Math.max(1, Math.floor((handWindowSeconds + 1) / 2));
  }

  /** The own session id for this client at this time. */
  make(source: SocketAddress, clientSessionId: Uint8Array, unixSeconds: number): Uint8Array {
    return this.#ofSlot(this.#slot(unixSeconds), source, clientSessionId);
  }

  /** Whether the id is one that this client was given lately. Takes the same time whatever is wrong with it. */
  check(ownSessionId: Uint8Array, source: SocketAddress, clientSessionId: Uint8Array, unixSeconds: number): boolean {
    const slot = this.#slot(unixSeconds);
    let fits = false;
    for (let back = 0; back <= SLOTS_BACK; back++) {
      const expected = this.#ofSlot(slot - back, source, clientSessionId);
      // Not a short circuit: every slot is compared.
      if (this.#crypto.equal(ownSessionId, expected)) fits = true;
    }
    return fits;
  }

  /** Wipes the secret. */
  close(): void {
    this.#secret.fill(0);
  }

  #slot(unixSeconds: number): number {
    return Math.floor(unixSeconds / this.#slotSeconds);
  }

  #ofSlot(slot: number, source: SocketAddress, clientSessionId: Uint8Array): Uint8Array {
    const facts = new Writer(INPUT_MAX_BYTES)
      .u32(slot)
      .u8(source.family)
      .bytes(source.address)
      .u16(source.port)
      .u32(source.family === 6 ? source.scopeId : 0)
      .bytes(clientSessionId)
      .finish();
    return this.#crypto.hmac('SHA256', this.#secret, facts).subarray(0, SESSION_ID_BYTES);
  }
}
