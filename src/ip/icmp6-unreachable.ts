// The answer to an IPv6 packet that does not get into the tunnel (`--block-ipv6`): ICMPv6 destination unreachable, no
// route (RFC 4443), so that applications turn to IPv4 at once and do not wait.
//
//   IPv6 header 40 | type 1 | code 0 | checksum 2 | zero 4 | as much of the packet as fits into 1280

import type { AddressBytes } from './address.ts';
import { finishChecksum, sumPseudoHeader, sumWords } from './checksum.ts';
import { type InnerPacket, IPV6_HEADER_BYTES, IpProtocol } from './packet.ts';

const ICMP6_HEADER_BYTES = 8;
/** The IPv6 minimum MTU, the bound of an error message. */
const MAX_ANSWER_BYTES = 1280;
const TYPE_UNREACHABLE = 1;
const CODE_NO_ROUTE = 0;
/** ICMPv6 types from here on are not error messages. */
const FIRST_INFORMATIONAL_TYPE = 128;

/** Where the answer comes from when the tunnel's other end has no address that is known (fe80::7); the C program's. */
const UNREACHABLE_FROM: AddressBytes = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7);

/**
 * Writes the answer to `packet` (IPv6, elsewhere in the same memory) at `out`, from an address of 16 bytes, and returns its length; 0 when none may be
 * sent: to error messages, to multicast and unspecified sources, about multicast destinations.
 */
export function writeIcmp6Unreachable(
  bytes: Uint8Array,
  view: DataView,
  packet: InnerPacket,
  out: number,
  from: AddressBytes = UNREACHABLE_FROM,
): number {
  if (view.getUint8(packet.source) === 0xff || view.getUint8(packet.destination) === 0xff) return 0;
  if (isUnspecified(view, packet.source) || isErrorMessage(view, packet)) return 0;

  const quoted = Math.min(packet.length, MAX_ANSWER_BYTES - IPV6_HEADER_BYTES - ICMP6_HEADER_BYTES);
  const icmpLength = ICMP6_HEADER_BYTES + quoted;
  const icmp = out + IPV6_HEADER_BYTES;
  bytes.copyWithin(icmp + ICMP6_HEADER_BYTES, packet.offset, packet.offset + quoted);

  view.setUint32(out, 0x60000000);
  view.setUint16(out + 4, icmpLength);
  view.setUint8(out + 6, IpProtocol.icmp6);
  view.setUint8(out + 7, 64);
  bytes.set(from, out + 8);
  bytes.copyWithin(out + 24, packet.source, packet.source + 16);

  view.setUint8(icmp, TYPE_UNREACHABLE);
  view.setUint8(icmp + 1, CODE_NO_ROUTE);
  view.setUint16(icmp + 2, 0);
  view.setUint32(icmp + 4, 0);
  const pseudo = sumPseudoHeader(view, out + 8, 16, IpProtocol.icmp6, icmpLength);
  view.setUint16(icmp + 2, finishChecksum(sumWords(view, icmp, icmpLength, pseudo)));
  return IPV6_HEADER_BYTES + icmpLength;
}

function isErrorMessage(view: DataView, packet: InnerPacket): boolean {
  if (packet.protocol !== IpProtocol.icmp6) return false;
  return packet.transportLength < 1 || view.getUint8(packet.transport) < FIRST_INFORMATIONAL_TYPE;
}

function isUnspecified(view: DataView, address: number): boolean {
  for (let word = 0; word < 16; word += 4) if (view.getUint32(address + word) !== 0) return false;
  return true;
}
