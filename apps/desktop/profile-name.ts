// Names of profiles. A name becomes part of paths that root opens and of lines on terminals, so it has letters, digits and a
// few signs only, of any script: no control, no blank, nothing invisible, in one spelling (NFC).

const BEGINNING = String.raw`[\p{L}\p{N}_]`;
const SIGN = String.raw`[\p{L}\p{M}\p{N}_.@+-]`;
const NAME = new RegExp(`^${BEGINNING}${SIGN}*$`, 'u');
const NO_SIGNS = /[^\p{L}\p{M}\p{N}_.@+-]+/gu;
const NO_BEGINNING = /^[^\p{L}\p{N}_]+/u;

/** In UTF-8. The socket of the name has to fit into 107 with its folder. */
const NAME_BYTES = 64;
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** A word of a person as a name: letters that were typed in parts are put together. */
export const nameOfWord = (word: string): string => word.normalize('NFC');

/** Why a word can't be a profile's name; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'a name is missing';
  if (bytesOf(name) > NAME_BYTES) return 'a name has 64 bytes at most (a letter outside of ASCII has several)';
  if (name.includes('/')) return 'a name has no slash';
  if (name.includes('..')) return "a name has no '..'";
  if (!NAME.test(name)) return 'a name has letters, digits and _ . @ + - and begins with a letter, a digit or _';
  if (name !== nameOfWord(name)) return 'a name has its letters in one piece (Unicode NFC)';
  return undefined;
}

/** A name made of a file's: without folder and ending, other characters replaced by a dash. */
export function nameOfFile(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1).replace(/\.(ovpn|conf)$/i, '');
  const name = nameOfWord(base)
    .replace(NO_SIGNS, '-')
    .replace(/\.{2,}/g, '.')
    .replace(NO_BEGINNING, '');
  const short = shortened(name);
  return short === '' ? 'profile' : short;
}

/** As many whole characters as there is room for. */
function shortened(name: string): string {
  let short = '';
  for (const character of name) {
    if (bytesOf(short + character) > NAME_BYTES) break;
    short += character;
  }
  return short;
}
