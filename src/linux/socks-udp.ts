import type { PacketSpan } from '../data/arena.ts';
import { LOCAL_END } from '../ip/packed-address.ts';

// The header of a datagram to and from a SOCKS 5 relay (RFC 1928, section 7):
//   reserved u16 | fragment u8 | address type u8 (1: IPv4, 4: IPv6) | address 4 or 16 | port u16

const TYPE_IPV4 = 1;
const TYPE_IPV6 = 4;
const IPV4_HEADER_BYTES = 10;
const IPV6_HEADER_BYTES = 22;

/** Writes the header for a packed address (ip/packed-address.ts) before `offset`; returns its length. */
export function writeSocksHeader(view: DataView, packedAddress: number, offset: number): number {
  const isV4 = view.getUint8(packedAddress) === 4;
  const length = isV4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const start = offset - length;
  view.setUint16(start, 0);
  view.setUint8(start + 2, 0);
  view.setUint8(start + 3, isV4 ? TYPE_IPV4 : TYPE_IPV6);
  for (let at = 0; at < (isV4 ? 4 : 16); at += 4)
    view.setUint32(start + 4 + at, view.getUint32(packedAddress + 8 + at));
  view.setUint16(offset - 2, view.getUint16(packedAddress + 2));
  return length;
}

/** Takes the header off the span and writes its address packed; false when it is none (or a fragment, which is not ours). */
export function parseSocksHeader(view: DataView, span: PacketSpan, packedAddress: number): boolean {
  const { offset, length } = span;
  if (length < IPV4_HEADER_BYTES || view.getUint8(offset + 2) !== 0) return false;
  const type = view.getUint8(offset + 3);
  const headerBytes = type === TYPE_IPV4 ? IPV4_HEADER_BYTES : type === TYPE_IPV6 ? IPV6_HEADER_BYTES : 0;
  if (headerBytes === 0 || length < headerBytes) return false;
  view.setUint8(packedAddress, type === TYPE_IPV4 ? 4 : 6);
  view.setUint8(packedAddress + 1, 0);
  view.setUint16(packedAddress + 2, view.getUint16(offset + headerBytes - 2));
  view.setUint32(packedAddress + 4, 0);
  view.setUint32(packedAddress + LOCAL_END, 0);
  for (let at = 0; at < 16; at += 4) {
    const inside = type === TYPE_IPV6 || at === 0;
    view.setUint32(packedAddress + 8 + at, inside ? view.getUint32(offset + 4 + at) : 0);
  }
  span.offset = offset + headerBytes;
  span.length = length - headerBytes;
  return true;
}
