// Values to bytes with a bound. What we write is ours, so that running over the bound is misuse and throws.

/** Writes big-endian values into a buffer of fixed size. */
export class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacityBytes: number) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#bytes[this.#claim(1)] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#claim(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#claim(4);
    this.#bytes[at] = value >>> 24;
    this.#bytes[at + 1] = value >>> 16;
    this.#bytes[at + 2] = value >>> 8;
    this.#bytes[at + 3] = value;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#claim(value.length));
    return this;
  }

  /** What was written so far, as a copy of its own. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Overwrites everything written, for buffers that held secrets. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  #claim(length: number): number {
    const at = this.#length;
    if (at + length > this.#bytes.length) throw new RangeError(`writer is full at ${this.#bytes.length} bytes`);
    this.#length = at + length;
    return at;
  }
}

/** Joins byte strings. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
