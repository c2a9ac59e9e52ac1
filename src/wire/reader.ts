// Bytes to values with every length checked before it is trusted.
//
// The room `wire/` holds one file for each format on the wire; reader.ts and writer.ts are under all of them. A control
// packet goes through them in this order: opcode → control-packet → (TLS) → key-method-2, then control-message and
// push-reply. wire/in-band has what crosses the data channel beside packets.

const NOTHING = new Uint8Array(0);

/**
 * Reads big-endian values from front to back. The first short read makes the reader `failed`, and from then on every
 * read gives zero or nothing, so that a parser checks once, at its end. Views live as long as the input does.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Bytes not read yet; 0 after a failure. */
  get remaining(): number {
    return this.#failed ? 0 : this.#bytes.length - this.#offset;
  }

  get offset(): number {
    return this.#offset;
  }

  u8(): number {
    return this.#take(1)[0] ?? 0;
  }

  u16(): number {
    const b = this.#take(2);
    return ((b[0] ?? 0) << 8) | (b[1] ?? 0);
  }

  u32(): number {
    const b = this.#take(4);
    return (((b[0] ?? 0) << 24) | ((b[1] ?? 0) << 16) | ((b[2] ?? 0) << 8) | (b[3] ?? 0)) >>> 0;
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    return this.#take(length);
  }

  /** A view of everything that is left. */
  rest(): Uint8Array {
    return this.#take(this.remaining);
  }

  #take(length: number): Uint8Array {
    if (this.#failed || length < 0 || length > this.#bytes.length - this.#offset) {
      this.#failed = true;
      return NOTHING;
    }
    const view = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return view;
  }
}

/** Whether two public values are the same bytes; a secret needs a comparison in constant time. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
