// Bytes of a management client to lines. Pure. Nothing grows: a line that gets too long is dropped as it comes, and told
// once its end is there.

/** Bytes of a line without its end; the C program's buffer. */
const LINE_BYTES = 1024;

export type ReadLine = { readonly kind: 'line'; readonly text: string } | { readonly kind: 'too-long' };

export class LineReader {
  #line = '';
  #tooLong = false;

  /** Takes what a read gave; yields the lines that are complete. Unprintable ASCII is left out, as by the C program. */
  *push(bytes: Uint8Array): Generator<ReadLine> {
    for (const byte of bytes) {
      if (byte === 0x0a) {
        yield this.#finish();
      } else if ((byte >= 0x20 && byte !== 0x7f) || byte === 0x0d || byte === 0x09) {
        if (this.#line.length < LINE_BYTES) this.#line += String.fromCharCode(byte);
        else this.#tooLong = true;
      }
    }
  }

  /** Half a line of a client that went away is nobody's. */
  reset(): void {
    this.#line = '';
    this.#tooLong = false;
  }

  #finish(): ReadLine {
    const bytes = Uint8Array.from(this.#line.replace(/\r+$/, ''), (c) => c.charCodeAt(0));
    const tooLong = this.#tooLong;
    this.reset();
    return tooLong ? { kind: 'too-long' } : { kind: 'line', text: new TextDecoder().decode(bytes) };
  }
}
