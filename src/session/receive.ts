// A control packet from the socket to the key it belongs to: opcode, wrapping (MAC, then replay), clear form, session
// ids. Whatever does not pass is a counted verdict without effect.

import type { SessionWraps } from '../control/session-wraps.ts';
import type { ControlWrap, WrapVerdict } from '../control/wrap.ts';
import { type ControlPacket, parseControlPacket } from '../wire/control-packet.ts';
import { isHardReset, Opcode, parseKeyId, parseOpcode } from '../wire/opcode.ts';
import { sameBytes } from '../wire/reader.ts';
import type { ControlDrop } from './counters.ts';
import type { SessionOptions } from './options.ts';

/** The C program's buffer for a control packet; anything larger was not sent by a peer. */
const PACKET_LIMIT_BYTES = 2048;

/** What the receiving end knows of the session. */
export interface ReceiveFacts {
  readonly options: Pick<SessionOptions, 'tlsRole' | 'transport' | 'pull'>;
  readonly wraps: SessionWraps;
  readonly ownSessionId: Uint8Array;
  /** undefined until the peer has answered. */
  readonly peerSessionId: Uint8Array | undefined;
}

export type Received =
  | { readonly packet: ControlPacket; readonly firstOfPeer: boolean }
  | { readonly drop: ControlDrop; readonly unwrapped?: RefusedWrap };

/** What a wrap has against a packet, and which kind it is. */
export interface RefusedWrap {
  readonly kind: ControlWrap['kind'];
  readonly verdict: Extract<WrapVerdict, { ok: false }>;
}

/** Judges one packet. Its views live as long as `bytes`. */
export function receiveControl(bytes: Uint8Array, facts: ReceiveFacts, unixSeconds: number): Received {
  if (bytes.length === 0) return { drop: 'short' };
  if (bytes.length > PACKET_LIMIT_BYTES) return { drop: 'too-big' };
  const opcode = parseOpcode(bytes[0] ?? 0);
  if (opcode === undefined || opcode === Opcode.dataV1 || opcode === Opcode.dataV2) return { drop: 'bad-opcode' };
  if (!comesFromPeer(opcode, facts.options.tlsRole)) return { drop: 'wrong-direction' };

  const wrap = facts.wraps.of(parseKeyId(bytes[0] ?? 0));
  const verdict = wrap.open(bytes, unixSeconds);
  if (!verdict.ok) return { drop: verdict.drop, unwrapped: { kind: wrap.kind, verdict } };
  const packet = parseControlPacket(verdict.header, verdict.body);
  if (packet === undefined) return { drop: 'malformed' };
  if (packet.remoteSessionId !== undefined && !sameBytes(packet.remoteSessionId, facts.ownSessionId)) {
    return { drop: 'bad-ack-session' };
  }
  if (facts.peerSessionId === undefined) return receiveFirst(packet, facts);
  if (!sameBytes(packet.sessionId, facts.peerSessionId)) return { drop: 'foreign-session' };
  // A reset is message 0 of its key and nothing else is.
  const reset = isHardReset(opcode) || opcode === Opcode.softResetV1;
  if (packet.messageId !== undefined && reset !== (packet.messageId === 0)) return { drop: 'malformed' };
  return { packet, firstOfPeer: false };
}

/**
 * The first packet of a peer is its hard reset. Where nothing authenticates it, a server's answer over UDP must
 * acknowledge ours, which only somebody who saw our packet can: a blind forgery would win the race otherwise. (A TLS
 * server in point-to-point mode, where nothing is pulled, speaks first.)
 */
function receiveFirst(packet: ControlPacket, facts: ReceiveFacts): Received {
  if (!isHardReset(packet.opcode)) return { drop: 'no-session' };
  if (packet.messageId !== 0 || packet.keyId !== 0) return { drop: 'malformed' };
  const { tlsRole, transport, pull } = facts.options;
  const proven = facts.wraps.first.kind !== 'none' || transport === 'tcp' || tlsRole === 'server' || !pull;
  if (!proven && !packet.acks.includes(0)) return { drop: 'unproven-reset' };
  return { packet, firstOfPeer: true };
}

function comesFromPeer(opcode: Opcode, ownRole: 'client' | 'server'): boolean {
  switch (opcode) {
    case Opcode.hardResetServerV2:
      return ownRole === 'client';
    case Opcode.hardResetClientV2:
    case Opcode.hardResetClientV3:
    case Opcode.controlWkcV1:
      return ownRole === 'server';
    default:
      return true;
  }
}
