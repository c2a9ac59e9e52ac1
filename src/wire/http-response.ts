// The head of an HTTP response, as a proxy sends it before anything else passes:
//   HTTP/x.y SP status SP reason CRLF | name: value CRLF … | CRLF | what follows belongs to whoever is behind the proxy
// (RFC 9112, sections 2 to 5). A line may end with LF alone.

/** What is kept of a line; the C program keeps 511 characters of the first one and 255 of others, and drops the rest. */
const STATUS_LINE_CHARACTERS = 511;
const LINE_CHARACTERS = 4095;
/** No proxy has more to say before it lets us through; the C program has no bound but its patience. */
const HEAD_BYTES_MAX = 65_536;
const LF = 0x0a;
const CONTROLS = /[\x00-\x1f\x7f-\x9f]/g;

export interface HttpField {
  /** Lower case. */
  readonly name: string;
  /** Read as UTF-8, without white space around it, without control characters. */
  readonly value: string;
}

export interface HttpHead {
  /** Without its end; printable ASCII, what is not is `_`. */
  readonly statusLine: string;
  /** undefined where the second word of the line is no number. */
  readonly status: number | undefined;
  readonly fields: readonly HttpField[];
}

/** Takes a response's head apart as it comes, in any pieces. */
export class HttpHeadReader {
  #statusLine: string | undefined;
  readonly #fields: HttpField[] = [];
  #line: number[] = [];
  #length = 0;
  #whole = false;

  /** The first line, as soon as it is there. */
  get statusLine(): string | undefined {
    return this.#statusLine;
  }

  /**
   * How many of the bytes belong to the head; with `whole` the head is at its end and the others are not its own.
   * `too-long` is the end of it.
   */
  handleBytes(bytes: Uint8Array): { readonly taken: number; readonly whole: boolean } | 'too-long' {
    for (const [index, byte] of bytes.entries()) {
      if (this.#whole) return { taken: index, whole: true };
      if (++this.#length > HEAD_BYTES_MAX) return 'too-long';
      if (byte === LF) this.#endLine();
      else if (this.#line.length < LINE_CHARACTERS) this.#line.push(byte);
    }
    return { taken: bytes.length, whole: this.#whole };
  }

  /** What has been read so far. */
  get head(): HttpHead {
    const statusLine = this.#statusLine ?? '';
    const status = /^\S+\s+(\d{1,9})/.exec(statusLine)?.[1];
    return { statusLine, status: status === undefined ? undefined : Number(status), fields: this.#fields };
  }

  #endLine(): void {
    const text = new TextDecoder()
      .decode(Uint8Array.from(this.#line))
      .replace(/\r$/, '')
      .replaceAll('\t', ' ')
      .replace(CONTROLS, '_');
    this.#line = [];
    if (this.#statusLine === undefined) this.#statusLine = printable(text).slice(0, STATUS_LINE_CHARACTERS);
    else if (text === '') this.#whole = true;
    else {
      const colon = text.indexOf(':');
      if (colon > 0)
        this.#fields.push({ name: text.slice(0, colon).toLowerCase(), value: text.slice(colon + 1).trim() });
    }
  }
}

/** Text of a stranger as it may be logged: printable ASCII, all else is `_`. */
export const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '_');
