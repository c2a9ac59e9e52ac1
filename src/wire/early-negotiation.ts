// Early negotiation: the payload of P_CONTROL_HARD_RESET_SERVER_V2, a list of `type u16 | length u16 | value`.

import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

const TYPE_FLAGS = 0x0001;
const FLAG_RESEND_WKC = 0x0001;

export interface EarlyNegotiation {
  /** The client must append its wrapped key once more, to its next reliable packet (opcode 11). */
  readonly resendWrappedKey: boolean;
}

/** Parses the list; unknown types are skipped, a broken list is undefined. An empty payload asks for nothing. */
export function parseEarlyNegotiation(payload: Uint8Array): EarlyNegotiation | undefined {
  const reader = new Reader(payload);
  let resendWrappedKey = false;
  while (reader.remaining > 0) {
    const type = reader.u16();
    const length = reader.u16();
    const value = new Reader(reader.bytes(length));
    if (reader.failed) return undefined;
    if (type !== TYPE_FLAGS) continue;
    const flags = value.u16();
    if (value.failed || value.remaining > 0) return undefined;
    resendWrappedKey ||= (flags & FLAG_RESEND_WKC) !== 0;
  }
  return reader.failed ? undefined : { resendWrappedKey };
}

/** Writes the list; nothing to ask for is an empty payload. */
export function writeEarlyNegotiation(negotiation: EarlyNegotiation): Uint8Array {
  if (!negotiation.resendWrappedKey) return new Uint8Array(0);
  return new Writer(6).u16(TYPE_FLAGS).u16(2).u16(FLAG_RESEND_WKC).finish();
}
