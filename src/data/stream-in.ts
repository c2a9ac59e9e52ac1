// What comes out of a stream: packets; or, where one port is shared with another service (`--port-share`), the news
// that whoever is at the other end speaks something else.

import { Opcode, writeOpcode } from '../wire/opcode.ts';
import { SHORTEST_FIRST } from './first-packets.ts';
import { type TakePacket, TCP_LENGTH_BYTES, TcpFrameReader } from './tcp-framing.ts';

// A client's first packet, behind its length field: opcode and key-id 0.
//   HARD_RESET_CLIENT_V2 0x38   14..255 bytes: the smallest clear form, the longest wrapped one
//   HARD_RESET_CLIENT_V3 0x50   336..1278 bytes: with the client key of tls-crypt-v2 behind it
const RESET_V2 = firstReset(Opcode.hardResetClientV2, 255);
const RESET_V3 = firstReset(Opcode.hardResetClientV3, 1278);
const JUDGED_BYTES = TCP_LENGTH_BYTES + 1;

function firstReset(opcode: typeof Opcode.hardResetClientV2 | typeof Opcode.hardResetClientV3, maxBytes: number) {
  return { byte: writeOpcode(opcode, 0), minBytes: SHORTEST_FIRST[opcode], maxBytes };
}

/** Whether a stream begins as an OpenVPN client's does; undefined while there are too few bytes to tell. */
function beginsAsOpenVpn(bytes: Uint8Array): boolean | undefined {
  if (bytes.length < TCP_LENGTH_BYTES) return undefined;
  const length = (bytes[0]! << 8) | bytes[1]!;
  const fits = ({ minBytes, maxBytes }: typeof RESET_V2) => length >= minBytes && length <= maxBytes;
  if (bytes.length < JUDGED_BYTES) return fits(RESET_V2) || fits(RESET_V3) ? undefined : false;
  return (bytes[2] === RESET_V2.byte && fits(RESET_V2)) || (bytes[2] === RESET_V3.byte && fits(RESET_V3));
}

export interface StreamInOptions {
  readonly firstPacket: 'openvpn' | undefined;
  /** The longest packet that the stream may announce now. */
  readonly limit: () => number;
}

/** One stream's way in. */
export class StreamIn {
  readonly #reader: TcpFrameReader;
  /** The first bytes, until they are judged. */
  #unjudged: Uint8Array | undefined;
  #foreign: Uint8Array | undefined;

  constructor({ firstPacket, limit }: StreamInOptions) {
    this.#reader = new TcpFrameReader(limit);
    this.#unjudged = firstPacket === undefined ? undefined : new Uint8Array(0);
  }

  /** `foreign` and `broken` are for good. The first leaves all that was read in `takeForeign`. */
  handleBytes(bytes: Uint8Array, start: number, end: number, take: TakePacket): 'packets' | 'foreign' | 'broken' {
    if (this.#unjudged === undefined) return this.#read(bytes, start, end, take);
    const first = new Uint8Array(this.#unjudged.length + end - start);
    first.set(this.#unjudged);
    first.set(bytes.subarray(start, end), this.#unjudged.length);
    const verdict = beginsAsOpenVpn(first);
    this.#unjudged = verdict === undefined ? first : undefined;
    if (verdict === undefined) return 'packets';
    if (verdict) return this.#read(first, 0, first.length, take);
    this.#foreign = first;
    return 'foreign';
  }

  /** Why a broken stream is broken: the packet length it announced, and what is allowed. */
  get fault(): string {
    return this.#reader.fault ?? '';
  }

  /** What a foreign stream has sent; the caller's own. */
  takeForeign(): Uint8Array {
    const foreign = this.#foreign ?? new Uint8Array(0);
    this.#foreign = undefined;
    return foreign;
  }

  #read(bytes: Uint8Array, start: number, end: number, take: TakePacket): 'packets' | 'broken' {
    return this.#reader.handleBytes(bytes, start, end, take) ? 'packets' : 'broken';
  }
}
