// A packet from an address without a session, judged without keeping anything of it: wrapping first, then its form, then
// the cookie. A hard reset is answered with a session id that only its sender can know (control/session-cookie.ts); who
// sends that id back has proven the address, and only then is there something to keep.
//
//   client                                     server
//   hard reset (op 7, or 10 with WKc)      →   no state
//                                          ←   hard reset (op 8), acknowledges 0, own session id = cookie
//   op 4 or 5, or 11 with WKc, acknowledges →  claim: a session that goes on from here
//
// Source: docs/WIRE.md 3.4 and 4; observed with OpenVPN 2.6.14 and 2.7.8.

import type { CryptoProvider } from '../crypto/provider.ts';
import { type OpenedKey, openWrappedKey } from '../crypto/wrapped-key.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import {
  CONTROL_HEADER_BYTES,
  type ControlPacket,
  parseControlPacket,
  writeControlBody,
  writeControlHeader,
} from '../wire/control-packet.ts';
import { writeEarlyNegotiation } from '../wire/early-negotiation.ts';
import { Opcode, parseKeyId, parseOpcode } from '../wire/opcode.ts';
import { splitWrappedKey, type WrappedMetadata } from '../wire/tls-crypt-v2.ts';
import { keyAgeProblem } from './key-age.ts';
import type { SessionCookie } from './session-cookie.ts';
import { randomSessionId } from './session-id.ts';
import { createWrapCodec } from './wrap.ts';
import type { PacketId, WrapCodec } from './wrap-codec.ts';
import type { WrapOptions } from './wrap-options.ts';
import { carriesWrappedKey } from './wrap-tls-crypt.ts';

/** The C program's buffer for a control packet; anything larger was not sent by a client. */
const PACKET_LIMIT_BYTES = 2048;
/** In a client's first packet-id: it can be asked for its wrapped key once more. */
const EARLY_NEGOTIATION_MASK = 0x0f000000;
/** The largest message id and acknowledged id that the first three packets can have. */
const LAST_OF_HANDSHAKE = 1;

/** A wrapping that clients without a key of their own come with. */
export type SharedWrap = Extract<WrapOptions, { kind: 'none' | 'tls-auth' | 'tls-crypt' }>;

export interface TlsCryptV2Options {
  /** 128 bytes. */
  readonly serverKey: Uint8Array;
  /** Drop clients that can't send their key twice, instead of keeping state for addresses that proved nothing. */
  readonly forceCookie: boolean;
  readonly maxAgeDays: number | undefined;
}

export interface FirstContactOptions {
  /** Tried in this order; the first whose MAC fits. Empty: only clients with a tls-crypt-v2 key of their own. */
  readonly sharedWraps: readonly SharedWrap[];
  readonly tlsCryptV2: TlsCryptV2Options | undefined;
}

export interface FirstContactPorts {
  readonly crypto: CryptoProvider;
  readonly cookie: SessionCookie;
  /** Whether one more reset may be answered now; asked for authentic resets only, and counts them. */
  mayAnswer(unixSeconds: number): boolean;
}

/** Why nothing came of a packet. */
export const CONTACT_DROPS = [
  'short',
  'too-big',
  'bad-opcode',
  'bad-key-id',
  'no-session-id',
  'no-wrap',
  'bad-hmac',
  'bad-wrapped-key',
  'malformed',
  'bad-reset',
  'rate-limited',
  'no-cookie-client',
  'bad-cookie',
  'old-key',
] as const;
export type ContactDrop = (typeof CONTACT_DROPS)[number];

export interface DroppedContact {
  readonly kind: 'drop';
  readonly cause: ContactDrop;
  readonly opcode: number;
  readonly keyId: number;
  readonly lengthBytes: number;
  /** The wrapping that did not open, where it came so far. */
  readonly wrapKind: WrapOptions['kind'] | undefined;
  /** What exactly was wrong with a wrapped key or its metadata; the message id of a reset that has another than 0. */
  readonly problem: string | undefined;
}

/** Bytes to send back to where the packet came from. */
export interface ContactReply {
  readonly kind: 'reply';
  readonly bytes: Uint8Array;
}

/** A session may begin, and state be kept. The ids are copies. */
export interface Claim {
  readonly kind: 'claim';
  /**
   * `cookie`: this packet is the third, both resets are done: message ids go on at 1 in both directions. `stream`: TCP
   * proved the address, this is the reset. `none`: nothing is proven, this is the reset of a tls-crypt-v2 client that
   * can't send its key twice.
   */
  readonly proof: 'cookie' | 'stream' | 'none';
  readonly opcode: number;
  readonly ownSessionId: Uint8Array;
  readonly peerSessionId: Uint8Array;
  readonly wrap: WrapOptions;
  /** The packet-id with which the session's wrap begins: after that of the stateless answer. */
  readonly firstSendId: number;
  /** Of the client's tls-crypt-v2 key, for those who judge it before a session begins. */
  readonly metadata: WrappedMetadata | undefined;
  /** The packet as it came; the session's own wrap opens it (again). */
  readonly bytes: Uint8Array;
}

export type ContactVerdict = DroppedContact | ContactReply | Claim;

interface Opened {
  readonly wrap: WrapOptions;
  readonly codec: WrapCodec;
  readonly packet: ControlPacket;
  readonly id: PacketId | undefined;
  readonly metadata: WrappedMetadata | undefined;
}

export class FirstContact {
  readonly #options: FirstContactOptions;
  readonly #ports: FirstContactPorts;
  readonly #shared: readonly { readonly wrap: SharedWrap; readonly codec: WrapCodec }[];

  /** Throws for a digest that the library does not know: the configuration is checked before. */
  constructor(options: FirstContactOptions, ports: FirstContactPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#shared = options.sharedWraps.map((wrap) => ({ wrap, codec: this.#codec(wrap) }));
  }

  /** Judges a datagram. Its bytes are read only, and kept only by a claim. */
  handleDatagram(bytes: Uint8Array, source: SocketAddress, unixSeconds: number): ContactVerdict {
    const opened = this.#open(bytes, isOfHandshake);
    if ('kind' in opened) return opened;
    const verdict = isReset(opened.packet.opcode)
      ? this.#judgeReset(opened, bytes, source, unixSeconds)
      : this.#judgeThird(opened, bytes, source, unixSeconds);
    forget(opened, verdict);
    return verdict;
  }

  /** Judges the first packet of a stream, whose address TCP has proven: a reset, or the connection is not OpenVPN's. */
  handleStream(bytes: Uint8Array, unixSeconds: number): DroppedContact | Claim {
    const opened = this.#open(bytes, isReset);
    if ('kind' in opened) return opened;
    const verdict = isFirstReset(opened.packet)
      ? this.#claim('stream', opened, bytes, randomSessionId(this.#ports.crypto), unixSeconds)
      : badReset(opened.packet, bytes);
    forget(opened, verdict);
    return verdict;
  }

  /** Wipes the keys, those of the options apart. */
  close(): void {
    for (const { codec } of this.#shared) codec.close();
  }

  #judgeReset(opened: Opened, bytes: Uint8Array, source: SocketAddress, unixSeconds: number): ContactVerdict {
    if (!isFirstReset(opened.packet)) return badReset(opened.packet, bytes);
    if (!this.#ports.mayAnswer(unixSeconds)) return drop('rate-limited', bytes);
    const ownKey = opened.packet.opcode === Opcode.hardResetClientV3;
    const early = ((opened.id?.packetId ?? 0) & EARLY_NEGOTIATION_MASK) === EARLY_NEGOTIATION_MASK;
    if (ownKey && !early) {
      if (this.#options.tlsCryptV2?.forceCookie !== false) return drop('no-cookie-client', bytes);
      return this.#claim('none', opened, bytes, randomSessionId(this.#ports.crypto), unixSeconds);
    }
    const { sessionId } = opened.packet;
    const header = writeControlHeader({
      opcode: Opcode.hardResetServerV2,
      keyId: 0,
      sessionId: this.#ports.cookie.make(source, sessionId, unixSeconds),
    });
    const body = writeControlBody({
      acks: [0],
      remoteSessionId: sessionId,
      messageId: 0,
      payload: writeEarlyNegotiation({ resendWrappedKey: ownKey }),
    });
    const id = { packetId: 1, time: Math.floor(unixSeconds) };
    return { kind: 'reply', bytes: opened.codec.seal(header, body, id) };
  }

  #judgeThird(opened: Opened, bytes: Uint8Array, source: SocketAddress, unixSeconds: number): ContactVerdict {
    const { acks, messageId, remoteSessionId, sessionId } = opened.packet;
    const early = acks.every((id) => id <= LAST_OF_HANDSHAKE) && (messageId ?? 0) <= LAST_OF_HANDSHAKE;
    if (!early || remoteSessionId === undefined) return drop('bad-cookie', bytes);
    if (!this.#ports.cookie.check(remoteSessionId, source, sessionId, unixSeconds)) return drop('bad-cookie', bytes);
    return this.#claim('cookie', opened, bytes, remoteSessionId.slice(), unixSeconds);
  }

  #claim(
    proof: Claim['proof'],
    { wrap, packet, metadata }: Opened,
    bytes: Uint8Array,
    ownSessionId: Uint8Array,
    unixSeconds: number,
  ): DroppedContact | Claim {
    const v2 = this.#options.tlsCryptV2;
    if (wrap.kind === 'tls-crypt-v2-server' && v2 !== undefined) {
      const age = keyAgeProblem(metadata, v2.maxAgeDays, unixSeconds);
      if (age !== undefined) return drop('old-key', bytes, wrap.kind, age);
    }
    return {
      kind: 'claim',
      proof,
      opcode: packet.opcode,
      ownSessionId,
      peerSessionId: packet.sessionId.slice(),
      wrap,
      firstSendId: proof === 'cookie' ? 2 : 1,
      metadata,
      bytes,
    };
  }

  /** The order in which nothing is trusted: bounds, opcode, key-id, session id, MAC, form. */
  #open(bytes: Uint8Array, expected: (opcode: number) => boolean): Opened | DroppedContact {
    if (bytes.length < CONTROL_HEADER_BYTES) return drop('short', bytes);
    if (bytes.length > PACKET_LIMIT_BYTES) return drop('too-big', bytes);
    const first = bytes[0] ?? 0;
    const opcode = parseOpcode(first);
    if (opcode === undefined || !expected(opcode)) return drop('bad-opcode', bytes);
    if (parseKeyId(first) !== 0) return drop('bad-key-id', bytes);
    if (bytes.subarray(1, CONTROL_HEADER_BYTES).every((byte) => byte === 0)) return drop('no-session-id', bytes);
    return carriesWrappedKey(opcode) ? this.#openOwnKey(bytes) : this.#openShared(bytes);
  }

  #openOwnKey(bytes: Uint8Array): Opened | DroppedContact {
    const v2 = this.#options.tlsCryptV2;
    if (v2 === undefined) return drop('no-wrap', bytes);
    const split = splitWrappedKey(bytes);
    if (split === undefined) return drop('bad-wrapped-key', bytes);
    const key: OpenedKey | { readonly problem: string } = openWrappedKey(
      split.wrappedKey,
      v2.serverKey,
      this.#ports.crypto,
    );
    if ('problem' in key) return drop('bad-wrapped-key', bytes, undefined, key.problem);
    const wrap: WrapOptions = { kind: 'tls-crypt-v2-server', clientKey: key.clientKey };
    const opened = openWith(wrap, this.#codec(wrap), bytes, key.metadata);
    if ('kind' in opened) key.clientKey.fill(0);
    return opened;
  }

  #openShared(bytes: Uint8Array): Opened | DroppedContact {
    let dropped: DroppedContact | undefined;
    for (const { wrap, codec } of this.#shared) {
      const opened = openWith(wrap, codec, bytes, undefined);
      if (!('kind' in opened)) return opened;
      dropped ??= opened;
    }
    return dropped ?? drop('no-wrap', bytes);
  }

  #codec(wrap: WrapOptions): WrapCodec {
    return createWrapCodec(wrap, { crypto: this.#ports.crypto, tlsRole: 'server' });
  }
}

function openWith(
  wrap: WrapOptions,
  codec: WrapCodec,
  bytes: Uint8Array,
  metadata: WrappedMetadata | undefined,
): Opened | DroppedContact {
  const opened = codec.open(bytes);
  if (!opened.ok) return drop(opened.drop, bytes, wrap.kind);
  const packet = parseControlPacket(opened.header, opened.body);
  return packet === undefined ? drop('malformed', bytes) : { wrap, codec, packet, id: opened.id, metadata };
}

/** Wipes what a packet brought with it; a claim keeps the key. */
function forget({ wrap, codec }: Opened, verdict: ContactVerdict): void {
  if (wrap.kind !== 'tls-crypt-v2-server') return;
  codec.close();
  if (verdict.kind !== 'claim') wrap.clientKey.fill(0);
}

const isReset = (opcode: number): boolean => opcode === Opcode.hardResetClientV2 || opcode === Opcode.hardResetClientV3;

const isOfHandshake = (opcode: number): boolean =>
  isReset(opcode) || opcode === Opcode.controlV1 || opcode === Opcode.ackV1 || opcode === Opcode.controlWkcV1;

/** A reset is the first message of a session. */
const isFirstReset = (packet: ControlPacket): boolean => packet.messageId === 0 && packet.keyId === 0;

const badReset = (packet: ControlPacket, bytes: Uint8Array): DroppedContact =>
  drop('bad-reset', bytes, undefined, String(packet.messageId));

function drop(cause: ContactDrop, bytes: Uint8Array, wrapKind?: WrapOptions['kind'], problem?: string): DroppedContact {
  const first = bytes[0] ?? 0;
  const about = { opcode: first >> 3, keyId: parseKeyId(first), lengthBytes: bytes.length };
  return { kind: 'drop', cause, ...about, wrapKind, problem };
}
