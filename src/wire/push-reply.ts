// PUSH_REPLY: options separated by commas, split over several messages when it is long. A fragment ends in
// `push-continuation 2` (more follows) or `push-continuation 1` (the last).

/** More options or characters than this are refused; the largest real replies have some thousand routes. */
const OPTIONS_LIMIT = 65_536;
const CHARACTERS_LIMIT = 4 * 1024 * 1024;
/** The C program fills fragments of 1024 bytes until an option's bytes, its comma not counted, reach into the last 84. */
const FRAGMENT_BYTES = 1024 - 84;

/** Options of one fragment, each as its text with quotes and backslashes left to the option grammar. */
export function splitPushOptions(body: string): string[] {
  const options: string[] = [];
  let start = 0;
  let at = 0;
  while (at <= body.length) {
    const char = body.charAt(at);
    if (at === body.length || char === ',') {
      const option = body.slice(start, at).trim();
      if (option !== '') options.push(option);
      start = at + 1;
    } else if (char === '\\' && at + 1 < body.length) {
      at++;
    } else if ((char === '"' || char === "'") && opensWord(body, at, start)) {
      at = closingQuote(body, at) ?? at;
    }
    at++;
  }
  return options;
}

export type PushReplyVerdict =
  | { readonly complete: true; readonly options: readonly string[] }
  | { readonly complete: false }
  | { readonly problem: 'too-big' };

/** Joins the fragments of a reply, with a bound. */
export class PushReplyJoiner {
  #options: string[] = [];
  #characters = 0;

  handleFragment(body: string): PushReplyVerdict {
    this.#characters += body.length;
    const options = this.#characters > CHARACTERS_LIMIT ? [] : splitPushOptions(body);
    if (this.#characters > CHARACTERS_LIMIT || this.#options.length + options.length > OPTIONS_LIMIT) {
      this.reset();
      return { problem: 'too-big' };
    }
    let more = false;
    for (const option of options) {
      const continuation = /^push-continuation\s+([0-9])$/.exec(option)?.[1];
      if (continuation === undefined) this.#options.push(option);
      else more = continuation === '2';
    }
    if (more) return { complete: false };
    const joined = this.#options;
    this.reset();
    return { complete: true, options: joined };
  }

  /** Forgets what has come so far. */
  reset(): void {
    this.#options = [];
    this.#characters = 0;
  }
}

/** Writes a reply as the texts of its fragments, split where the C program splits. Throws for an option that fits into none. */
export function writePushReply(options: readonly string[]): string[] {
  const encoder = new TextEncoder();
  const fragments: string[] = [];
  let current = 'PUSH_REPLY';
  let currentBytes = current.length;
  for (const option of options) {
    const optionBytes = encoder.encode(option).length;
    if ('PUSH_REPLY'.length + optionBytes >= FRAGMENT_BYTES) {
      throw new RangeError(`the option ${option.slice(0, 40)}… is too long to be pushed`);
    }
    if (currentBytes + optionBytes >= FRAGMENT_BYTES) {
      fragments.push(`${current},push-continuation 2`);
      current = 'PUSH_REPLY';
      currentBytes = current.length;
    }
    current += `,${option}`;
    currentBytes += 1 + optionBytes;
  }
  fragments.push(fragments.length > 0 ? `${current},push-continuation 1` : current);
  return fragments;
}

/** Bytes of one PUSH_UPDATE's options; the C program keeps 84 for what may follow, and 12 for the word. */
const UPDATE_BYTES = 1024 - 84 - 12;

/**
 * Writes PUSH_UPDATE as the texts of its fragments, as full as the C program makes them. Throws RangeError for an option
 * that fits into none, or that would be read as several.
 */
export function writePushUpdate(options: readonly string[]): string[] {
  const encoder = new TextEncoder();
  const fragments: string[][] = [];
  let current: string[] = [];
  let bytes = 0;
  for (const option of options) {
    const optionBytes = encoder.encode(option).length;
    const [only, ...more] = splitPushOptions(option);
    if (only !== option || more.length > 0) throw new RangeError(`"${option.slice(0, 40)}" is not one option`);
    if (optionBytes > UPDATE_BYTES) throw new RangeError(`the option ${option.slice(0, 40)}… is too long to be pushed`);
    if (current.length > 0 && bytes + 1 + optionBytes > UPDATE_BYTES) {
      fragments.push(current);
      current = [];
      bytes = 0;
    }
    bytes += optionBytes + (current.length > 0 ? 1 : 0);
    current.push(option);
  }
  fragments.push(current);
  return fragments.map((fragment, index) => {
    const last = index === fragments.length - 1;
    const mark = fragments.length === 1 ? '' : `,push-continuation ${last ? 1 : 2}`;
    return `PUSH_UPDATE,${fragment.join(',')}${mark}`;
  });
}

/** A quote is one only at the start of a word, as in the option grammar. */
function opensWord(body: string, at: number, start: number): boolean {
  return at === start || /\s/.test(body.charAt(at - 1));
}

/** Where the quote closes; undefined when it does not, and it is an ordinary character then. */
function closingQuote(body: string, at: number): number | undefined {
  const quote = body.charAt(at);
  for (let i = at + 1; i < body.length; i++) {
    if (body.charAt(i) === '\\' && quote === '"') i++;
    else if (body.charAt(i) === quote) return i;
  }
  return undefined;
}
