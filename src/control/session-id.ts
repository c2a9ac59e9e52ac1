// Session ids: what tells the sessions of one pair of addresses apart.

import type { CryptoProvider } from '../crypto/provider.ts';
import { SESSION_ID_BYTES } from '../wire/control-packet.ts';

/** Eight random bytes, not all zero. */
export function randomSessionId(crypto: CryptoProvider): Uint8Array {
  for (;;) {
    const id = crypto.randomBytes(SESSION_ID_BYTES);
    if (id.some((byte) => byte !== 0)) return id;
  }
}
