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
  const unread: Unread[] = [];
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
    let content: string;
    try {
      content = read(path);
    } catch (error) {
      unread.push({ line: at + 1, option, path, reason: reasonOf(error) });
      return raw;
    }
    const body = bodyOf(option, content, `${file}:${at + 1}: ${path}`);
    files.push(path);
    const direction = option === WITH_DIRECTION && second !== undefined ? `key-direction ${quoteWord(second)}\n` : '';
    return `${direction}<${option}>\n${body}${body.endsWith('\n') ? '' : '\n'}</${option}>\n`;
  });
  if (unread.length > 0) throw unreadFailure(file, unread);
  return { text: out.join(''), files };
}

/** What a file has, as it stands in a block of this option. `what`: the file, and the line that names it. */
function bodyOf(option: string, content: string, what: string): string {
  const body = BINARY.has(option) ? base64(content) : content.replaceAll('\r\n', '\n');
  if (body.includes('\0') || body.split('\n').some((each) => each.trimStart().startsWith(`</${option}>`))) {
    throw new CommandFailure(ExitCode.unknown, `${what} can't stand in a profile: it is not text`);
  }
  return body;
}

interface Unread {
  readonly line: number;
  readonly option: string;
  readonly path: string;
  readonly reason: string;
}

/** Names every file that is not there or may not be read, so that nobody has to come again for each. */
function unreadFailure(file: string, unread: readonly Unread[]): CommandFailure {
  const [first = '', ...others] = unread.map(
    ({ line, option, path, reason }) => `${file}:${line}: ${option} names ${path}, which can't be read: ${reason}`,
  );
  const missing = unread.filter(({ reason }) => reason.startsWith(IS_MISSING)).length;
  const [them, files, are] = unread.length === 1 ? ['it', 'the file', 'line says'] : ['them', 'the files', 'lines say'];
  return new CommandFailure(
    ExitCode.unknown,
    first,
    missing === unread.length
      ? `The profile is not whole without ${them}: whoever gave it to you has ${files}. Put ${them} where the ${are}.`
      : `Put ${missing > 0 ? `${files} where the ${are}, and ` : ''}a copy beside the profile that its owner may read, or make the profile yours.`,
    others,
  );
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
