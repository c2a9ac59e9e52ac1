// Wrapping of control packets: what stands between the socket and anything that parses.
//
// The room `control/`, bottom to top: wrap (MAC first, then replay, both before anything else) → reliable-receive and
// reliable-send (message ids, acknowledgements, retransmission) → tls-engine (port) → key-state (one TLS session under
// one key-id, made of these) → key-exchange (key method 2 to data keys), verify-peer, push.

import type { CryptoProvider } from '../crypto/provider.ts';
import { Level, type LogFlags } from '../log.ts';
import { ReplayWindow } from './replay-window.ts';
import { SendCounter } from './send-counter.ts';
import type { CodecDrop, WrapCodec } from './wrap-codec.ts';
import { createNoWrap } from './wrap-none.ts';
import type { WrapOptions } from './wrap-options.ts';
import { createTlsAuth } from './wrap-tls-auth.ts';
import { createTlsCrypt, createTlsCryptV2Client, createTlsCryptV2Server } from './wrap-tls-crypt.ts';

/** Why a packet was dropped before it was parsed. */
export type WrapDrop = CodecDrop | 'replay';

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
  /** The packet-id of the first packet sent, where one went out before this wrap was made; else the kind's own. */
  readonly firstSendId?: number | undefined;
}

/** A client that can do early negotiation says so by the top byte of its first packet-id. */
const EARLY_NEGOTIATION_FIRST_ID = 0x0f000001;

/** The wrapping that the options name. The key bytes are copied. */
export function createWrap(options: WrapOptions, context: WrapContext): ControlWrap {
  const codec = createWrapCodec(options, context);
  const ownFirst = options.kind === 'tls-crypt-v2-client' ? EARLY_NEGOTIATION_FIRST_ID : 1;
  const counter = new SendCounter(context.firstSendId ?? ownFirst);
  const window = new ReplayWindow(context.replayWindowPackets, context.replayWindowSeconds);
  return {
    kind: options.kind,
    overheadBytes: codec.overheadBytes,
    appendedBytes: (opcode) => codec.appendedBytes(opcode),
    seal: (header, body, unixSeconds) => codec.seal(header, body, counter.take(unixSeconds)),
    open(packet, unixSeconds) {
      const opened = codec.open(packet);
      if (!opened.ok) return opened;
      const { header, body, id } = opened;
      if (id !== undefined && !window.accept(id.packetId, id.time, unixSeconds)) {
        return { ok: false, drop: 'replay', ...id };
      }
      return { ok: true, header, body };
    },
    close: () => codec.close(),
  };
}

/** The same without packet-ids of its own and without a replay window. The key bytes are copied. */
export function createWrapCodec(options: WrapOptions, context: Pick<WrapContext, 'crypto' | 'tlsRole'>): WrapCodec {
  switch (options.kind) {
    case 'none':
      return createNoWrap();
    case 'tls-auth':
      return createTlsAuth(options, context);
    case 'tls-crypt':
      return createTlsCrypt(options.staticKey, context);
    case 'tls-crypt-v2-client':
      return createTlsCryptV2Client(options.clientKey, options.wrappedKey, context);
    case 'tls-crypt-v2-server':
      return createTlsCryptV2Server(options.clientKey, context);
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
  const crypt = kind !== 'none' && kind !== 'tls-auth';
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
    case 'bad-wrapped-key':
      return [
        [Level.tlsErrors, 'Can not locate tls-crypt-v2 client key'],
        [Level.tlsErrors, `TLS Error: can not extract tls-crypt-v2 client key from ${remoteText}`],
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
