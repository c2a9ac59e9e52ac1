// Messages between the peers inside the data channel, told from packets by their first 16 bytes: the ping, and those of
// the options consistency check (OCC), of which EXIT says that the peer leaves. They never reach a device.

import type { PacketSpan } from './arena.ts';

/** The whole of a ping. */
export const PING = Uint8Array.of(
  ...[0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48],
);

/** What an OCC message starts with; one byte of type follows. */
export const OCC_PREFIX = Uint8Array.of(
  ...[0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c],
);

/** The types of OCC messages. */
export const OccType = {
  request: 0,
  reply: 1,
  mtuLoadRequest: 2,
  mtuLoad: 3,
  mtuRequest: 4,
  mtuReply: 5,
  exit: 6,
} as const;

/** Whether the payload is a ping. */
export function isPing(bytes: Uint8Array, span: PacketSpan): boolean {
  return span.length === PING.length && startsWith(bytes, span, PING);
}

/** Whether the payload is an OCC message. */
export function isOcc(bytes: Uint8Array, span: PacketSpan): boolean {
  return span.length > OCC_PREFIX.length && startsWith(bytes, span, OCC_PREFIX);
}

function startsWith(bytes: Uint8Array, span: PacketSpan, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) {
    if (bytes[span.offset + index] !== prefix[index]) return false;
  }
  return true;
}
