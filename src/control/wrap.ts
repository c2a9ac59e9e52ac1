// Wrapping of control packets: what stands between the socket and anything that parses.
//
// The room `control/`, bottom to top: wrap (MAC first, then replay, both before anything else) → reliable-receive and
// reliable-send (message ids, acknowledgements, retransmission) → tls-engine (port) → key-state (one TLS session under
// one key-id, made of these) → key-exchange (key method 2 to data keys), verify-peer, push.

import type { CryptoProvider } from '../crypto/provider.ts';
import { Level, type LogFlags } from '../log.ts';
import { createNoWrap } from './wrap-none.ts';
import type { WrapOptions } from './wrap-options.ts';
import { createTlsAuthWrap } from './wrap-tls-auth.ts';
import { createTlsCryptV2ClientWrap, createTlsCryptWrap } from './wrap-tls-crypt.ts';

/** Why a packet was dropped before it was parsed. */
export type WrapDrop = 'short' | 'bad-hmac' | 'replay';

export type WrapVerdict =
  /** Authentic and fresh: opcode, key-id and session id in `header`, the rest in clear in `body`. */
  | { readonly ok: true; readonly header: Uint8Array; readonly body: Uint8Array }
  | { readonly ok: false; readonly drop: WrapDrop; readonly packetId?: number; readonly time?: number };

export interface ControlWrap {
  readonly kind: WrapOptions['kind'];
  /** Bytes that `seal` adds to header and body, what goes at the end of some opcodes not counted. */
  readonly overheadBytes: number;
  /** Bytes that `seal` appends to packets of this opcode (tls-crypt-v2's wrapped key). */
  appendedBytes(opcode: number): number;
  seal(header: Uint8Array, body: Uint8Array, unixSeconds: number): Uint8Array;
  open(packet: Uint8Array, unixSeconds: number): WrapVerdict;
  /** Wipes the keys. */
  close(): void;
}

export interface WrapContext {
  readonly crypto: CryptoProvider;
  readonly tlsRole: 'client' | 'server';
  readonly replayWindowPackets: number;
  readonly replayWindowSeconds: number;
}

/** The wrapping that the options name. The key bytes are copied. */
export function createWrap(options: WrapOptions, context: WrapContext): ControlWrap {
  switch (options.kind) {
    case 'none':
      return createNoWrap();
    case 'tls-auth':
      return createTlsAuthWrap(options, context);
    case 'tls-crypt':
      return createTlsCryptWrap(options.staticKey, context);
    case 'tls-crypt-v2-client':
      return createTlsCryptV2ClientWrap(options, context);
    default:
      return options satisfies never;
  }
}

/** What the C program logs about a dropped packet, in its order. */
export function wrapDropLines(
  kind: WrapOptions['kind'],
  verdict: Extract<WrapVerdict, { ok: false }>,
  remoteText: string,
): readonly (readonly [LogFlags, string])[] {
  const crypt = kind === 'tls-crypt' || kind === 'tls-crypt-v2-client';
  const prefix = crypt ? 'tls-crypt unwrap error' : 'Authenticate/Decrypt packet error';
  const failed = crypt
    ? `TLS Error: tls-crypt unwrapping failed from ${remoteText}`
    : `TLS Error: incoming packet authentication failed from ${remoteText}`;
  switch (verdict.drop) {
    case 'short':
      if (kind === 'none') return [[Level.tlsErrors, `TLS Error: session-id not found in packet from ${remoteText}`]];
      if (!crypt) {
        return [[Level.tlsErrors, `TLS Error: cannot locate HMAC in incoming packet from ${remoteText}`]];
      }
      return [
        [Level.cryptErrors, `${prefix}: packet too short`],
        [Level.tlsErrors, failed],
      ];
    case 'bad-hmac':
      return [
        [Level.cryptErrors, `${prefix}: packet ${crypt ? 'authentication' : 'HMAC authentication'} failed`],
        [Level.tlsErrors, failed],
      ];
    case 'replay': {
      const where = `[ #${verdict.packetId ?? 0} / time = (${verdict.time ?? 0}) ]`;
      return [
        [
          Level.replayErrors,
          `${prefix}: bad packet ID (may be a replay): ${where} -- see the man page entry for --replay-window for more info or silence this warning with --mute-replay-warnings`,
        ],
        [Level.tlsErrors, failed],
      ];
    }
    default:
      return verdict.drop satisfies never;
  }
}
