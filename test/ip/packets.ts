// Inner packets for tests, built field by field.

import { parseAddress } from '../../src/ip/address.ts';
import { finishChecksum, sumPseudoHeader, sumWords } from '../../src/ip/checksum.ts';

export interface PacketFields {
  readonly source: string;
  readonly destination: string;
  readonly protocol?: number;
  readonly payload?: Uint8Array;
}

/** An IPv4 or IPv6 packet, by the family of its addresses. */
export function ipPacket({
  source,
  destination,
  protocol = 17,
  payload = new Uint8Array(8),
}: PacketFields): Uint8Array {
  const from = parseAddress(source)!;
  const to = parseAddress(destination)!;
  const headerLength = from.length === 4 ? 20 : 40;
  const packet = new Uint8Array(headerLength + payload.length);
  const view = new DataView(packet.buffer);
  packet.set(payload, headerLength);
  if (from.length === 4) {
    packet.set([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol]);
    view.setUint16(2, packet.length);
    packet.set(from, 12);
    packet.set(to, 16);
    view.setUint16(10, finishChecksum(sumWords(view, 0, 20, 0)));
  } else {
    packet.set([0x60, 0, 0, 0, 0, 0, protocol, 64]);
    view.setUint16(4, payload.length);
    packet.set(from, 8);
    packet.set(to, 24);
  }
  return packet;
}

/** A TCP header with options (padded with end-of-list by the caller) and a right checksum inside an IP packet. */
export function tcpPacket(
  fields: PacketFields & { readonly flags: number; readonly options: readonly number[] },
): Uint8Array {
  const headerLength = 20 + fields.options.length;
  const payload = new Uint8Array(headerLength);
  payload.set([0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, (headerLength / 4) << 4, fields.flags, 0xff, 0xff]);
  payload.set(fields.options, 20);
  const packet = ipPacket({ ...fields, protocol: 6, payload });
  const tcp = packet.length - headerLength;
  new DataView(packet.buffer).setUint16(tcp + 16, transportChecksum(packet, tcp));
  return packet;
}

/** The transport checksum over the packet as it stands: the field to write while it is zero, 0 once it is right. */
export function transportChecksum(packet: Uint8Array, transport: number, protocol = 6): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const version = packet[0]! >> 4;
  const length = packet.length - transport;
  const sum = sumPseudoHeader(view, version === 4 ? 12 : 8, version === 4 ? 4 : 16, protocol, length);
  return finishChecksum(sumWords(view, transport, length, sum));
}
