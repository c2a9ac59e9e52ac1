// Messages between the peers inside the data channel, told from packets by their first 16 bytes, in packet memory. Their
// formats are wire/in-band.ts.

import { OCC_PREFIX, PING } from '../wire/in-band.ts';
import type { PacketSpan } from './arena.ts';

/** Whether the payload is a ping. */
export function isPing(bytes: Uint8Array, span: PacketSpan): boolean {
  return span.length === PING.length && startsWith(bytes, span, PING);
}

/** Whether the payload is a message of the options consistency check (EXIT is one). */
export function isOcc(bytes: Uint8Array, span: PacketSpan): boolean {
  return span.length > OCC_PREFIX.length && startsWith(bytes, span, OCC_PREFIX);
}

function startsWith(bytes: Uint8Array, span: PacketSpan, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[span.offset + index] !== prefix[index]) return false;
  }
  return true;
}
