// The files of `auth-user-pass` and `askpass`: a line with the user name, a line with the password.

import { statSync } from 'node:fs';
import { SallyportError } from '../error.ts';
import { FileRefusal, readBoundedFile } from './read-file.ts';

export interface FileCredentials {
  readonly username: string;
  /** undefined: the file has none, and it has to be asked for. */
  readonly password: string | undefined;
}

/** The C program's bound for either line. */
const MAX_LINE_BYTES = 4095;
const MAX_FILE_BYTES = 65_536;

/** Reads user name and password; `prefix` is `Auth` in messages, as in the prompts. */
export function readCredentialsFile(path: string, prefix: string, warn: (text: string) => void): FileCredentials {
  return parseCredentials(readLines(path, prefix, warn), prefix, path);
}

/** The same from an inline block. */
export function parseInlineCredentials(text: string, prefix: string): FileCredentials {
  return parseCredentials(splitLines(text), prefix, '[[INLINE]]');
}

/** Reads the one password of an `askpass` file. */
export function readPasswordFile(path: string, prefix: string, warn: (text: string) => void): string {
  const [password = ''] = readLines(path, prefix, warn);
  if (password !== '') return password;
  throw configError(`Error reading password from ${prefix} authfile: ${path}`, 'its first line has to be the password');
}

/** Warns, in the C program's words, when others than the owner may touch a secret file. */
export function warnIfAccessible(path: string, warn: (text: string) => void): void {
  try {
    const stat = statSync(path);
    if (stat.isFile() && (stat.mode & 0o077) !== 0) warn(`WARNING: file '${path}' is group or others accessible`);
  } catch {
    // Whether it can be read is told by whoever reads it.
  }
}

function parseCredentials(lines: readonly string[], prefix: string, path: string): FileCredentials {
  const [username, password] = lines;
  if (username === undefined)
    throw configError(
      `Error reading username from ${prefix} authfile: ${path}`,
      'its first line has to be the user name',
    );
  if (username === '')
    throw configError(
      `ERROR: username from ${prefix} authfile '${path}' is empty`,
      'its first line has to be the user name',
    );
  return { username, password: password === undefined || password === '' ? undefined : password };
}

function readLines(path: string, prefix: string, warn: (text: string) => void): readonly string[] {
  warnIfAccessible(path, warn);
  let bytes: Buffer;
  try {
    bytes = readBoundedFile(path, MAX_FILE_BYTES);
  } catch (cause) {
    const { code = 'unreadable' } = cause as NodeJS.ErrnoException;
    const why = cause instanceof FileRefusal ? cause.message : code;
    throw new SallyportError(`Error opening '${prefix}' auth file: ${path} (${why})`, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
      hint: 'the file must exist and be readable for the user that starts the program',
      cause,
    });
  }
  return splitLines(bytes.toString('utf8').replace(/^\ufeff/, ''));
}

/** Lines without their ends, control characters removed; no last empty line. */
function splitLines(text: string): readonly string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/[\x00-\x1f\x7f]/g, '').slice(0, MAX_LINE_BYTES));
}

const configError = (message: string, hint: string): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config', hint });
