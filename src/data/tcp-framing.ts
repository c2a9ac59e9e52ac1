// Packets in a TCP stream: u16 length (not counting itself), then the packet. The reader gives the same packets however
// the stream was cut, and holds no more than the packet that has begun.

/** Bytes of the length field. */
export const TCP_LENGTH_BYTES = 2;
/** What a reader keeps between packets. */
const KEPT_BYTES = 2048;
const NOTHING = new Uint8Array(0);

/** Takes one whole packet; the bytes are the reader's or the caller's again when it returns. */
export type TakePacket = (bytes: Uint8Array, offset: number, length: number) => void;

/** Cuts a stream into packets. Whole ones are passed on where they lie; the rest of a piece is copied and waits. */
export class TcpFrameReader {
  readonly #limit: () => number;
  #held: Uint8Array = NOTHING;
  #filled = 0;
  #fault: string | undefined;

  /** A length of 0 or above the limit, asked for when the length is read, breaks the stream for good. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Why the stream is broken: `(18245), which must be > 0 and <= 2048`. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Whether a packet has begun that is not yet whole. */
  get pending(): boolean {
    return this.#filled > 0;
  }

  /** Takes the next piece of the stream, from `start` to `end`. False when the stream is broken (BAD_FRAME). */
  handleBytes(bytes: Uint8Array, start: number, end: number, take: TakePacket): boolean {
    let at = this.#finishHeld(bytes, start, end, take);
    while (end - at >= TCP_LENGTH_BYTES && this.#allows(bytes, at)) {
      const length = packetLength(bytes, at);
      if (at + TCP_LENGTH_BYTES + length > end) break;
      take(bytes, at + TCP_LENGTH_BYTES, length);
      at += TCP_LENGTH_BYTES + length;
    }
    if (at < end && this.#fault === undefined) this.#hold(bytes, at, end);
    return this.#fault === undefined;
  }

  /** Fills up the packet that has begun; returns where the next one starts. */
  #finishHeld(bytes: Uint8Array, start: number, end: number, take: TakePacket): number {
    let at = start;
    while (this.#filled > 0 && at < end && this.#fault === undefined) {
      const whole = this.#filled < TCP_LENGTH_BYTES ? TCP_LENGTH_BYTES : TCP_LENGTH_BYTES + packetLength(this.#held, 0);
      const taken = Math.min(whole - this.#filled, end - at);
      this.#hold(bytes, at, at + taken);
      at += taken;
      if (this.#filled < whole) break;
      if (whole === TCP_LENGTH_BYTES) this.#allows(this.#held, 0);
      else this.#handOut(take);
    }
    return at;
  }

  #handOut(take: TakePacket): void {
    const length = this.#filled - TCP_LENGTH_BYTES;
    this.#filled = 0;
    take(this.#held, TCP_LENGTH_BYTES, length);
    if (this.#held.length > KEPT_BYTES) this.#held = NOTHING;
  }

  #allows(bytes: Uint8Array, at: number): boolean {
    const length = packetLength(bytes, at);
    const limit = this.#limit();
    if (length === 0 || length > limit) this.#fault ??= `(${length}), which must be > 0 and <= ${limit}`;
    return this.#fault === undefined;
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const filled = this.#filled + end - start;
    if (filled > this.#held.length) this.#makeRoom(bytes, start, filled);
    this.#held.set(bytes.subarray(start, end), this.#filled);
    this.#filled = filled;
  }

  /** Room for the whole packet, where its length is known. */
  #makeRoom(bytes: Uint8Array, start: number, filled: number): void {
    let whole = filled;
    if (this.#filled >= TCP_LENGTH_BYTES) whole = TCP_LENGTH_BYTES + packetLength(this.#held, 0);
    else if (this.#filled === 0 && filled >= TCP_LENGTH_BYTES) whole = TCP_LENGTH_BYTES + packetLength(bytes, start);
    const held = new Uint8Array(Math.max(whole, filled, 64));
    held.set(this.#held.subarray(0, this.#filled));
    this.#held = held;
  }
}

function packetLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Writes the length field in the two bytes before a packet in packet memory. */
export function writeTcpLength(view: DataView, offset: number, length: number): void {
  view.setUint16(offset - TCP_LENGTH_BYTES, length);
}
