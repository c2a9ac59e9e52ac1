// Control packets in the clear: what is inside the wrapping of control/wrap.
//
//   off  len  field
//    0    1   opcode << 3 | key_id
//    1    8   sender's session id
//    9    1   n, number of acknowledged message ids (0..8)
//   10   4n   acknowledged message ids
//    .    8   the receiver's session id, only when n > 0
//    .    4   message id, absent in P_ACK_V1
//    .    -   payload, empty in P_ACK_V1
//
// Source: the C program's ssl_pkt.c and reliable.c (2.7); the published draft has 8 bytes for an acknowledged id in two
// places, 4 is right. Header: the first 9 bytes, which tls-crypt leaves in clear. Body: the rest.

import { Opcode, parseKeyId, parseOpcode, writeOpcode } from './opcode.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

export const SESSION_ID_BYTES = 8;
export const CONTROL_HEADER_BYTES = 1 + SESSION_ID_BYTES;
/** More acknowledgements than this make a packet invalid. */
const ACK_LIMIT = 8;

export interface ControlPacket {
  readonly opcode: Opcode;
  readonly keyId: number;
  readonly sessionId: Uint8Array;
  readonly acks: readonly number[];
  /** Whose packets `acks` speaks of; present exactly when there are any. */
  readonly remoteSessionId: Uint8Array | undefined;
  /** undefined in P_ACK_V1 only. */
  readonly messageId: number | undefined;
  readonly payload: Uint8Array;
}

/** Parses header and body of an authenticated packet; undefined when they are not one. Views live as long as the input. */
export function parseControlPacket(header: Uint8Array, body: Uint8Array): ControlPacket | undefined {
  const head = new Reader(header);
  const first = head.u8();
  const sessionId = head.bytes(SESSION_ID_BYTES);
  const opcode = parseOpcode(first);
  if (head.failed || head.remaining > 0 || opcode === undefined) return undefined;
  if (opcode === Opcode.dataV1 || opcode === Opcode.dataV2 || sessionId.every((byte) => byte === 0)) return undefined;

  const reader = new Reader(body);
  const count = reader.u8();
  if (count > ACK_LIMIT) return undefined;
  const acks: number[] = [];
  for (let i = 0; i < count; i++) acks.push(reader.u32());
  const remoteSessionId = count > 0 ? reader.bytes(SESSION_ID_BYTES) : undefined;
  const messageId = opcode === Opcode.ackV1 ? undefined : reader.u32();
  const payload = reader.rest();
  if (reader.failed || (opcode === Opcode.ackV1 && (count === 0 || payload.length > 0))) return undefined;
  return { opcode, keyId: parseKeyId(first), sessionId, acks, remoteSessionId, messageId, payload };
}

/** The 9 bytes that every wrapping leaves in clear. */
export function writeControlHeader(packet: Pick<ControlPacket, 'opcode' | 'keyId' | 'sessionId'>): Uint8Array {
  return new Writer(CONTROL_HEADER_BYTES).u8(writeOpcode(packet.opcode, packet.keyId)).bytes(packet.sessionId).finish();
}

/** Everything from the number of acknowledgements on. */
export function writeControlBody(
  packet: Pick<ControlPacket, 'acks' | 'remoteSessionId' | 'messageId' | 'payload'>,
): Uint8Array {
  const writer = new Writer(1 + 4 * packet.acks.length + SESSION_ID_BYTES + 4 + packet.payload.length);
  writer.u8(packet.acks.length);
  for (const id of packet.acks) writer.u32(id);
  if (packet.acks.length > 0) {
    if (packet.remoteSessionId === undefined) throw new TypeError('acknowledgements need the remote session id');
    writer.bytes(packet.remoteSessionId);
  }
  if (packet.messageId !== undefined) writer.u32(packet.messageId);
  return writer.bytes(packet.payload).finish();
}
