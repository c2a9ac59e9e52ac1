// Lowers the maximum segment size that TCP peers announce to each other inside the tunnel (`--mssfix`), so that their
// segments fit into one datagram outside. Only in SYN packets, only downward.
//
//   TCP  4 sequence | 8 ack | 12 header length/4 | 13 flags | 16 checksum | 20 options: kind, length, value
//   MSS option: 2, 4, u16

import { adjustChecksum } from './checksum.ts';
import { type InnerPacket, IpProtocol, TCP_HEADER_BYTES } from './packet.ts';

const FLAG_SYN = 0x02;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_MSS_BYTES = 4;

/** Clamps the MSS of a TCP SYN to `mssBytes`; true when the packet was changed. */
export function clampMss(view: DataView, packet: InnerPacket, mssBytes: number): boolean {
  const room = packet.transportLength;
  if (packet.protocol !== IpProtocol.tcp || room < TCP_HEADER_BYTES) return false;
  const tcp = packet.transport;
  if ((view.getUint8(tcp + 13) & FLAG_SYN) === 0) return false;
  const headerLength = (view.getUint8(tcp + 12) >> 4) * 4;
  if (headerLength <= TCP_HEADER_BYTES || headerLength > room) return false;

  const end = tcp + headerLength;
  let option = tcp + TCP_HEADER_BYTES;
  while (option < end) {
    const kind = view.getUint8(option);
    if (kind === OPTION_END) return false;
    if (kind === OPTION_NOP) {
      option++;
      continue;
    }
    if (option + 2 > end) return false;
    const length = view.getUint8(option + 1);
    // A length that does not even cover kind and length, or reaches beyond the header, ends the list.
    if (length < 2 || option + length > end) return false;
    if (kind === OPTION_MSS && length === OPTION_MSS_BYTES) return lowerMss(view, tcp, option + 2, mssBytes);
    option += length;
  }
  return false;
}

function lowerMss(view: DataView, tcp: number, at: number, mssBytes: number): boolean {
  const before = view.getUint16(at);
  if (before <= mssBytes) return false;
  view.setUint16(at, mssBytes);
  const checksum = view.getUint16(tcp + 16);
  // After an odd number of NOPs the value lies across two words of the sum; then its bytes count swapped.
  const swapped = ((at - tcp) & 1) === 1;
  const adjusted = swapped
    ? adjustChecksum(checksum, swapBytes(before), swapBytes(mssBytes))
    : adjustChecksum(checksum, before, mssBytes);
  view.setUint16(tcp + 16, adjusted);
  return true;
}

function swapBytes(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}
