// Names of profiles. A name becomes part of paths that root opens, so it has letters, digits and a few signs only.

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$/;

/** Why a word can't be a profile's name; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'a name is missing';
  if (name.length > 64) return 'a name has 64 characters at most';
  if (name.includes('/')) return 'a name has no slash';
  if (name.includes('..')) return "a name has no '..'";
  if (!NAME.test(name)) return 'a name has letters, digits and _ . @ + - and begins with a letter, a digit or _';
  return undefined;
}

/** A name made of a file's: without folder and ending, other characters replaced by a dash. */
export function nameOfFile(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1).replace(/\.(ovpn|conf)$/i, '');
  const name = base
    .replace(/[^A-Za-z0-9_.@+-]+/g, '-')
    .replace(/\.{2,}/g, '.')
    .replace(/^[^A-Za-z0-9_]+/, '')
    .slice(0, 64);
  return name === '' ? 'profile' : name;
}
