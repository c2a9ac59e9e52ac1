// The line grammar of OpenVPN's option files, as the C program reads it: words, quotes, backslashes, comments and inline
// blocks. Text becomes `LexedLine`s; what an option means is the business of `collect-lines.ts` and the build files.
//
//   line    = [ ws ] [ word *( ws word ) ] [ ws ] [ comment ]
//   word    = *char | '"' *char '"' | "'" *char "'"       a quote inside an unquoted word is an ordinary character
//   comment = ( "#" | ";" ) anything                      only where a word could begin
//   escape  = "\" followed by "\", '"' or white space     everywhere except between single quotes
//   inline  = "<name>" NL *( any line NL ) [ ws ] "</name>" …
//
// Facts (limits, what counts as white space, words that are dropped) observed with OpenVPN 2.6.14 and 2.7.8.

import type { Origin } from './config.ts';

/** Words that are read from one line, the option's name among them; what follows is dropped. */
export const WORD_LIMIT = 16;
/** Bytes of one word. */
const WORD_BYTES_LIMIT = 256;
/** Bytes of one line with its newline; a line of this length or more is an error. */
const LINE_BYTES_LIMIT = 256;
/** Bytes of a whole file or inline block: beyond it nobody wrote a configuration. */
const TEXT_BYTES_LIMIT = 16 * 1024 * 1024;

export type LexedWords =
  | { readonly ok: true; readonly words: readonly string[]; readonly truncated: boolean }
  | { readonly ok: false; readonly problem: string };

/** One line with something on it. The words are as written: no `--` removed, a block's name without its brackets. */
export interface LexedLine {
  readonly words: readonly string[];
  /** The text of the `<name>` block that began here, lines ended by `\n`; undefined for an ordinary line. */
  readonly inline: string | undefined;
  /** More than `WORD_LIMIT` words stood there; the rest was dropped. */
  readonly truncated: boolean;
  readonly origin: Origin;
}

/** A line that has no meaning: the message is complete except for "Options error: ". */
export interface LexicalError {
  readonly message: string;
  readonly advice: string;
  readonly origin: Origin;
}

export interface LexedText {
  readonly lines: readonly LexedLine[];
  readonly errors: readonly LexicalError[];
}

const isSpace = (c: string): boolean =>
  c === ' ' || c === '\t' || c === '\r' || c === '\n' || c === '\v' || c === '\f' || c === '';

/** Splits one line into words. `where` is `file:line` for the messages. Never throws. */
export function lexLine(line: string, where: string): LexedWords {
  const words: string[] = [];
  let state: 'between' | 'plain' | 'double' | 'single' = 'between';
  let word = '';
  let backslash = false;
  let truncated = false;
  for (let i = 0; i <= line.length; i++) {
    const c = i < line.length ? (line[i] as string) : '';
    if (!backslash && c === '\\' && state !== 'single') {
      backslash = true;
      continue;
    }
    let out: string | undefined;
    let done = false;
    if (state === 'between') {
      // An escaped blank between two words does not begin one.
      if (!isSpace(c)) {
        if (c === ';' || c === '#') break;
        if (words.length === WORD_LIMIT) {
          truncated = true;
          break;
        }
        if (!backslash && c === '"') state = 'double';
        else if (!backslash && c === "'") state = 'single';
        else {
          out = c;
          state = 'plain';
        }
      }
    } else if (state === 'plain') {
      if (!backslash && isSpace(c)) done = true;
      else out = c;
    } else if (state === 'double') {
      if (!backslash && c === '"') done = true;
      else out = c;
    } else if (c === "'") done = true;
    else out = c;

    if (done) {
      words.push(word);
      word = '';
      state = 'between';
    }
    if (backslash && out !== undefined && out !== '' && out !== '\\' && out !== '"' && !isSpace(out)) {
      return {
        ok: false,
        problem: `Bad backslash ('\\') usage in ${where}: remember that backslashes are treated as shell-escapes`,
      };
    }
    backslash = false;
    if (out !== undefined) word += out;
    if (word.length > WORD_BYTES_LIMIT / 4 && utf8Length(word) > WORD_BYTES_LIMIT) {
      return {
        ok: false,
        problem: `Parameter at ${where} is too long (${WORD_BYTES_LIMIT} chars max): ${word.slice(0, 60)}…`,
      };
    }
  }
  if (state === 'double') return { ok: false, problem: `No closing quotation (") in ${where}` };
  if (state === 'single') return { ok: false, problem: `No closing single quotation (') in ${where}` };
  if (state === 'plain') return { ok: false, problem: `Residual parse state (2) in ${where}` };
  return { ok: true, words, truncated };
}

/** Splits a whole file or block into lines with their inline blocks. All errors are collected. Never throws. */
export function lexText(text: string, file: string): LexedText {
  const lines: LexedLine[] = [];
  const errors: LexicalError[] = [];
  if (text.length > TEXT_BYTES_LIMIT) {
    const message = `In ${file}:1: the text has ${text.length} characters, ${TEXT_BYTES_LIMIT} are allowed`;
    return {
      lines,
      errors: [{ message, advice: 'Check that this is an OpenVPN configuration.', origin: { file, line: 1 } }],
    };
  }
  const raw = (text.startsWith('\ufeff') ? text.slice(1) : text).split('\n');
  // `split` makes an empty last line out of a final newline.
  if (raw[raw.length - 1] === '') raw.pop();
  for (let index = 0; index < raw.length; index++) {
    const line = raw[index] as string;
    const origin: Origin = { file, line: index + 1 };
    const where = `${file}:${index + 1}`;
    const refuse = (message: string, advice: string): void => {
      errors.push({ message, advice, origin });
    };
    if (line.includes('\0')) {
      refuse(`In ${where}: the line contains a NUL character`, 'Save the file as plain text (UTF-8, not UTF-16).');
      continue;
    }
    // The last line may lack its newline, which counts.
    const ended = index < raw.length - 1 || text.endsWith('\n');
    const lengthBytes = utf8Length(line) + (ended ? 1 : 0);
    if (lengthBytes >= LINE_BYTES_LIMIT) {
      refuse(
        `In ${where}: Maximum option line length (${LINE_BYTES_LIMIT}) exceeded, line starts with ${clip(line)}`,
        isPem(line)
          ? 'Key material goes between <ca> and </ca> (or the block of its option), each tag on a line of its own.'
          : 'Put long values into a file or an inline block and name that.',
      );
      continue;
    }
    const lexed = lexLine(line, where);
    if (!lexed.ok) {
      refuse(
        lexed.problem,
        lexed.problem.startsWith('Bad backslash')
          ? 'Write \\\\ for one backslash, or put the value between single quotes.'
          : 'Close the quotation on the same line, or put a backslash before a quotation mark that is meant as itself.',
      );
      continue;
    }
    const first = lexed.words[0];
    if (first === undefined) continue;
    const name = blockName(lexed.words);
    if (name === undefined) {
      lines.push({ words: lexed.words, inline: undefined, truncated: lexed.truncated, origin });
      continue;
    }
    const end = endOfBlock(raw, index + 1, name);
    if (end === undefined) {
      refuse(`Endtag </${name}> missing`, `Add a line </${name}> where the block that starts at ${where} ends.`);
      break;
    }
    const body = raw.slice(index + 1, end).map((each) => (each.endsWith('\r') ? each.slice(0, -1) : each));
    if (body.some((each) => each.includes('\0'))) {
      refuse(`In ${where}: the block <${name}> contains a NUL character`, 'Inline blocks hold text; use base64.');
    } else {
      const inline = body.map((each) => `${each}\n`).join('');
      lines.push({ words: [name], inline, truncated: false, origin });
    }
    index = end;
  }
  return { lines, errors };
}

/** One word as it has to be written for `lexLine` to give it back, quoted only if needed. */
export function quoteWord(word: string): string {
  if (word !== '' && !/[\s"'\\#;]/.test(word)) return word;
  return `"${word.replace(/[\\"]/g, (c) => `\\${c}`)}"`;
}

/** The name of the block that a line of these words opens; undefined for an ordinary line. */
export function blockName([word = '', ...others]: readonly string[]): string | undefined {
  const name = word.replace(/^--(?=.)/, '');
  const opens = others.length === 0 && name.length >= 2 && name.startsWith('<') && name.endsWith('>');
  return opens ? name.slice(1, -1) : undefined;
}

/** Whether a line ends the block of this name, whatever else is on it. */
export const isBlockEnd = (line: string, name: string): boolean =>
  line.replace(/^[ \t\r\v\f]+/, '').startsWith(`</${name}>`);

const endOfBlock = (raw: readonly string[], from: number, name: string): number | undefined => {
  for (let at = from; at < raw.length; at++) if (isBlockEnd(raw[at] as string, name)) return at;
  return undefined;
};

const isPem = (line: string): boolean => line.includes('-----BEGIN') || /^[A-Za-z0-9+/=]{200,}/.test(line);

// Shown in messages: never a whole secret, never a control character.
const clip = (line: string): string => `${line.slice(0, 20).replace(/[\0-\x1f\x7f]/g, '_')}…`;

/** Length in UTF-8 without encoding it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x800) bytes += 2;
    else if (unit >= 0x80) bytes += 1;
    // The second half of a pair is paid for by the first: four bytes for two units.
    if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(i + 1))) i++;
  }
  return bytes;
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
