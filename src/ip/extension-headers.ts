// IPv6 extension headers (RFC 8200) between the IPv6 header and the transport's.
//
//   0 next header | 1 length, in 8 bytes, the first 8 not counted

import type { InnerPacket } from './packet.ts';

const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

/**
 * Moves `protocol` and `transport` of a parsed IPv6 packet behind its extension headers; false when these do not fit
 * into the packet. A fragment, and what is encrypted or signed, is left where it is: that protocol has no ports.
 */
export function followExtensions(view: DataView, packet: InnerPacket): boolean {
  const end = packet.offset + packet.length;
  let { protocol, transport } = packet;
  while (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION_OPTIONS) {
    if (transport + 8 > end) return false;
    protocol = view.getUint8(transport);
    transport += 8 + 8 * view.getUint8(transport + 1);
    if (transport > end) return false;
  }
  packet.protocol = protocol;
  packet.transport = transport;
  return true;
}
