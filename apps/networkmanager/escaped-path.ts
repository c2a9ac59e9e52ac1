// File names as libnm writes them into vpn.data: UTF-8, and what is none, control characters and backslashes as escapes.
//
//   \\  \"  \b \f \n \r \t \v   the character    \1 … \777   one byte in octal, of up to three digits
//   any other character after a backslash stands for itself

import { badArguments, shown } from './plugin-error.ts';

const LETTERS: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };
const PATH_BYTES_LIMIT = 4096;

/** The bytes of the name. Throws PluginError for what is no absolute path; `key` names whose value it is. */
export function unescapePath(value: string, key: string): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let at = 0; at < value.length; ) {
    const character = String.fromCodePoint(value.codePointAt(at) ?? 0);
    at += character.length;
    if (character !== '\\') {
      bytes.push(...encoder.encode(character));
      continue;
    }
    const octal = /^[0-7]{1,3}/.exec(value.slice(at, at + 3))?.[0];
    if (octal !== undefined) {
      bytes.push(Number.parseInt(octal, 8) & 0xff);
      at += octal.length;
      continue;
    }
    const next = value[at];
    if (next === undefined) break;
    const letter = Object.hasOwn(LETTERS, next) ? LETTERS[next] : undefined;
    if (letter !== undefined) {
      bytes.push(letter);
      at += 1;
    }
    // Another one stands for itself, and is read as such in the next round, but for a backslash.
    if (next === '\\') {
      bytes.push(0x5c);
      at += 1;
    }
  }
  if (bytes[0] !== 0x2f) throw badArguments(`vpn.data ${key}: "${shown(value)}" is no absolute path`);
  if (bytes.includes(0) || bytes.length > PATH_BYTES_LIMIT) {
    throw badArguments(`vpn.data ${key}: "${shown(value)}" can't be the name of a file`);
  }
  return Uint8Array.from(bytes);
}
