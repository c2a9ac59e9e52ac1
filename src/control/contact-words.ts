// What the C program logs about first contacts, in its words and order.

import { Level, type LogFlags } from '../log.ts';
import { formatOpcode, Opcode } from '../wire/opcode.ts';
import type { ContactVerdict, DroppedContact } from './first-contact.ts';
import { wrapDropLines } from './wrap.ts';

type Lines = readonly (readonly [LogFlags, string])[];

/** Lines about a verdict; made only where one will be logged, for a flood has as many verdicts as packets. */
export function contactLines(verdict: ContactVerdict, remoteText: string): Lines {
  switch (verdict.kind) {
    case 'reply':
      return [[Level.multiDebug, 'Connection Attempt Reset packet from client, sending HMAC based reset challenge']];
    case 'claim': {
      const lines: [LogFlags, string][] = [];
      if (verdict.wrap.kind === 'tls-crypt-v2-server') {
        lines.push([Level.handshake, 'Control Channel: using tls-crypt-v2 key']);
      }
      if (verdict.proof === 'cookie') {
        const packet = `Valid packet (${formatOpcode(verdict.opcode)}) with HMAC challenge`;
        lines.push([Level.multiDebug, `${packet} from peer (${remoteText}), accepting new connection.`]);
      }
      return lines;
    }
    case 'drop':
      return dropLines(verdict, remoteText);
    default:
      return verdict satisfies never;
  }
}

function dropLines({ cause, opcode, keyId, lengthBytes, wrapKind, problem }: DroppedContact, from: string): Lines {
  const noKey: Lines[number] = [Level.tlsErrors, `TLS Error: can not extract tls-crypt-v2 client key from ${from}`];
  switch (cause) {
    case 'short':
      if (wrapKind !== undefined) return wrapDropLines(wrapKind, { ok: false, drop: 'short' }, from);
      return [
        [Level.tlsStateErrors, `TLS State Error: Too short packet (length  ${lengthBytes}) received from ${from}`],
      ];
    case 'too-big':
      return [[Level.tlsErrors, `Incoming control channel packet too big, dropping, from ${from}`]];
    case 'bad-opcode':
      return [[Level.tlsStateErrors, `TLS State Error: No TLS state for client ${from}, opcode=${opcode}`]];
    case 'bad-key-id':
      return [
        [Level.tlsStateErrors, `TLS State Error: Unknown key ID (${keyId}) received from ${from} -- 0 was expected`],
      ];
    case 'no-session-id':
      return [[Level.tlsErrors, `TLS Error: session-id not found in packet from ${from}`]];
    case 'no-wrap':
      if (opcode === Opcode.hardResetClientV3 || opcode === Opcode.controlWkcV1) {
        return [[Level.tlsErrors, 'Client wants tls-crypt-v2, but no server key present.'], noKey];
      }
      return [[Level.tlsErrors, `TLS Error: could not determine wrapping from ${from}`]];
    case 'bad-hmac':
      return wrapDropLines(wrapKind ?? 'none', { ok: false, drop: 'bad-hmac' }, from);
    case 'bad-wrapped-key':
      if (problem === undefined) return wrapDropLines('tls-crypt-v2-server', { ok: false, drop: cause }, from);
      return [
        [Level.cryptErrors, `tls_crypt_v2_unwrap_client_key: ${problem}`],
        [Level.tlsErrors, 'Can not unwrap tls-crypt-v2 client key'],
        noKey,
      ];
    case 'malformed':
    case 'bad-cookie': {
      const packet = `Packet (${formatOpcode(opcode)}) with invalid or missing SID`;
      return [[Level.multiMedium, `${packet} from ${from} or wrong packet id`]];
    }
    case 'bad-reset':
      return [
        [
          Level.tlsErrors,
          `TLS Error: received ${formatOpcode(opcode)} with packet id ${problem} from ${from} -- 0 was expected, ignoring packet`,
        ],
      ];
    case 'no-cookie-client':
      return [
        [
          Level.multiDebug,
          `tls-crypt-v2 force-cookie is enabled, ignoring connection attempt from old client (${from})`,
        ],
      ];
    case 'old-key':
      return [[Level.warning, `ERROR: ${problem ?? cause}`], noKey];
    case 'rate-limited':
      // The limiter says it, once in a period.
      return [];
    default:
      return cause satisfies never;
  }
}
