// Files that a profile names, as blocks of the profile. Bytes stay what they are: the text is Latin-1, which gives every byte a
// character and takes it back.

import { lexLine } from '../../src/command.ts';
import { OPTIONS, quoteWord } from '../../src/config.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import { reasonOf } from './profiles.ts';

/** Its second word is no part of the file: it becomes `key-direction`. */
const WITH_DIRECTION = 'tls-auth';
/** Files that are read in binary: as a block they are base64. */
const BINARY = new Set(['pkcs12']);
/** What could stand as a block and is no key, certificate or login. */
const NOT_BROUGHT = new Set(['connection', 'config']);
/** In the system's words, of Node and of `cat`. */
const IS_MISSING = 'No such file';

/** The text with blocks in the place of lines that name files. Throws CommandFailure with line and file. */
export function bringFiles(
  text: string,
  file: string,
  read: (path: string) => string,
): { readonly text: string; readonly files: readonly string[] } {
  const files: string[] = [];
  let block: string | undefined;
  const out = text.split(/(?<=\n)/).map((raw, at) => {
    const line = raw.replace(/\r?\n$/, '');
    const trimmed = line.trim();
    if (block !== undefined) {
      if (trimmed.startsWith(`</${block}>`)) block = undefined;
      return raw;
    }
    const opened = /^<([a-z0-9-]+)>$/.exec(trimmed)?.[1];
    if (opened !== undefined) {
      block = opened;
      return raw;
    }
    const lexed = lexLine(utf8(trimmed), file);
    // What is no line to the parser is kept, and the check says what is wrong with it.
    const words = lexed.ok ? lexed.words : [];
    const option = (words[0] ?? '').replace(/^--/, '');
    const [, path, second] = words;
    const row = OPTIONS.get(option);
    if (path === undefined || path.startsWith('[') || row?.contexts.includes('inline') !== true) return raw;
    if (NOT_BROUGHT.has(option) || second === 'dir' || row.side === 'server') return raw;
    const body = bodyOf(option, path, `${file}:${at + 1}`, read);
    files.push(path);
    const direction = option === WITH_DIRECTION && second !== undefined ? `key-direction ${quoteWord(second)}\n` : '';
    return `${direction}<${option}>\n${body}${body.endsWith('\n') ? '' : '\n'}</${option}>\n`;
  });
  return { text: out.join(''), files };
}

/** What the file has, as it stands in a block of this option. `where`: the line that names it. */
function bodyOf(option: string, path: string, where: string, read: (path: string) => string): string {
  let content: string;
  try {
    content = read(path);
  } catch (error) {
    const reason = reasonOf(error);
    throw new CommandFailure(
      ExitCode.unknown,
      `${where}: ${option} names ${path}, which can't be read: ${reason}`,
      reason.startsWith(IS_MISSING)
        ? 'The profile is not whole without it: whoever gave it to you has the file. Put it where the line says.'
        : 'Put a copy beside the profile that its owner may read, or make the profile yours.',
    );
  }
  const body = BINARY.has(option) ? base64(content) : content.replaceAll('\r\n', '\n');
  if (body.includes('\0') || body.split('\n').some((each) => each.trimStart().startsWith(`</${option}>`))) {
    throw new CommandFailure(ExitCode.unknown, `${where}: ${path} can't stand in a profile: it is not text`);
  }
  return body;
}

/** Text whose bytes stand in as many characters. */
export const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

function base64(latin1: string): string {
  const lines =
    Buffer.from(latin1, 'latin1')
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `${lines.join('\n')}\n`;
}
