// A wrapping without its memory: what one packet's bytes say, and bytes for one packet. control/wrap.ts adds packet-ids
// that count up and a replay window; a server's first answer (control/first-contact.ts) has neither.

/** Why a packet was dropped before it was parsed. */
export type CodecDrop = 'short' | 'bad-hmac' | 'bad-wrapped-key';

export type Unwrapped =
  /** Authentic. Header in clear, the rest as the sender wrote it; the sender's packet-id where the wrapping has one. */
  | {
      readonly ok: true;
      readonly header: Uint8Array;
      readonly body: Uint8Array;
      readonly id: PacketId | undefined;
    }
  | { readonly ok: false; readonly drop: CodecDrop };

/** The long form: a counter and the Unix time at which it began. */
export interface PacketId {
  readonly packetId: number;
  readonly time: number;
}

export interface WrapCodec {
  /** Bytes that `seal` adds to header and body, what goes at the end of some opcodes not counted. */
  readonly overheadBytes: number;
  /** Bytes that `seal` appends to packets of this opcode (tls-crypt-v2's wrapped key). */
  appendedBytes(opcode: number): number;
  seal(header: Uint8Array, body: Uint8Array, id: PacketId): Uint8Array;
  open(packet: Uint8Array): Unwrapped;
  /** Wipes the keys. */
  close(): void;
}
