// An answer to a ping, for a device behind which there is no host: the request with its addresses exchanged and its type
// changed (RFC 792, RFC 4443 section 4.2). Everything else is nobody's.

import { adjustChecksum } from './checksum.ts';
import { InnerPacket, IpProtocol } from './packet.ts';

const ECHO_REQUEST4 = 8;
const ECHO_REPLY4 = 0;
const ECHO_REQUEST6 = 128;
const ECHO_REPLY6 = 129;
const ECHO_HEADER_BYTES = 8;

/** The reply to an echo request, whoever it was sent to; undefined for any other packet, fragments included. */
export function echoReply(packet: Uint8Array): Uint8Array | undefined {
  const reply = packet.slice();
  const view = new DataView(reply.buffer);
  const inner = new InnerPacket();
  if (!inner.parse(view, 0, reply.length) || inner.transportLength < ECHO_HEADER_BYTES) return undefined;
  const { transport, source, destination } = inner;
  const ipv4 = inner.version === 4;
  const [protocol, request, answer] = ipv4
    ? [IpProtocol.icmp, ECHO_REQUEST4, ECHO_REPLY4]
    : [IpProtocol.icmp6, ECHO_REQUEST6, ECHO_REPLY6];
  const word = view.getUint16(transport);
  if (inner.protocol !== protocol || word !== request << 8) return undefined;
  const addressBytes = ipv4 ? 4 : 16;
  reply.set(packet.subarray(source, source + addressBytes), destination);
  reply.set(packet.subarray(destination, destination + addressBytes), source);
  // Exchanged addresses leave both checksums as they are; only the type counts.
  view.setUint16(transport, answer << 8);
  view.setUint16(transport + 2, adjustChecksum(view.getUint16(transport + 2), word, answer << 8));
  return reply;
}
