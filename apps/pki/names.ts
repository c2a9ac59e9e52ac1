// Names of servers and clients. A name becomes a common name, a file name (issued/NAME.crt) and, on a server, the name of
// a file in client-config-dir: what any of these could misread is refused.

import { clean, refuse } from './refuse.ts';

/** X.520's bound on a common name. */
const MAX_NAME_LENGTH = 64;
/** private/ca.key is the authority's own. */
const RESERVED = ['ca'];

/** The name as given, or a refusal that says what is wrong with it. */
export function checkName(name: string): string {
  const shown = `'${clean(name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name)}'`;
  const rule =
    'A name has letters, digits and . _ - @ only, begins with a letter or digit, and has at most 64 of them.';
  if (name === '') refuse('the name is empty', rule);
  if (name.length > MAX_NAME_LENGTH) refuse(`the name ${shown} has ${name.length} characters`, rule);
  if (!/^[A-Za-z0-9][A-Za-z0-9._@-]*$/.test(name)) refuse(`${shown} can't be the name of a certificate`, rule);
  if (name.endsWith('.')) refuse(`${shown} can't be the name of a certificate: it ends with a dot`, rule);
  if (RESERVED.includes(name.toLowerCase())) refuse(`${shown} is the authority's own name here`, 'Choose another one.');
  return name;
}

/** Refuses a new name that differs from one in use only by case: on many file systems both would be one file. */
export function checkCase(name: string, inUse: Iterable<string>): void {
  for (const other of inUse) {
    if (other !== name && other.toLowerCase() === name.toLowerCase()) {
      refuse(`'${name}' differs from '${clean(other)}' only by upper and lower case`, 'Choose another name.');
    }
  }
}
