// Packets in a TCP stream: u16 length (not counting itself), then the packet. The reader keeps at most one packet and
// gives the same packets however the stream was cut.

/** Bytes of the length field. */
export const TCP_LENGTH_BYTES = 2;

/** Cuts a stream into packets, in memory of its own of one packet at most. */
export class TcpFrameReader {
  readonly #maxPacketBytes: number;
  readonly #buffer: Uint8Array;
  #filled = 0;
  #broken = false;

  /** A length of 0 or above `maxPacketBytes` breaks the stream for good. */
  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
    this.#buffer = new Uint8Array(TCP_LENGTH_BYTES + maxPacketBytes);
  }

  /** Whether a packet has begun that is not yet whole. */
  get pending(): boolean {
    return this.#filled > 0;
  }

  /**
   * Takes the next piece of the stream. Each whole packet is passed on as a view that lives until `onPacket` returns.
   * False when the stream is broken (BAD_FRAME); nothing after that is read.
   */
  handleBytes(bytes: Uint8Array, onPacket: (packet: Uint8Array) => void): boolean {
    let at = 0;
    while (at < bytes.length && !this.#broken) {
      const missing = this.#missing();
      const taken = Math.min(missing, bytes.length - at);
      this.#buffer.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (taken < missing) break;
      if (this.#filled === TCP_LENGTH_BYTES) {
        const length = this.#packetLength();
        this.#broken = length === 0 || length > this.#maxPacketBytes;
      } else {
        const packet = this.#buffer.subarray(TCP_LENGTH_BYTES, this.#filled);
        this.#filled = 0;
        onPacket(packet);
      }
    }
    return !this.#broken;
  }

  /** Bytes that the length field, or the packet behind it, still needs. */
  #missing(): number {
    const whole = this.#filled < TCP_LENGTH_BYTES ? TCP_LENGTH_BYTES : TCP_LENGTH_BYTES + this.#packetLength();
    return whole - this.#filled;
  }

  #packetLength(): number {
    return (this.#buffer[0]! << 8) | this.#buffer[1]!;
  }
}

/** Writes the length field in the two bytes before a packet in packet memory. */
export function writeTcpLength(view: DataView, offset: number, length: number): void {
  view.setUint16(offset - TCP_LENGTH_BYTES, length);
}
