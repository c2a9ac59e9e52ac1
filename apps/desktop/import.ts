// `sallyport import`: a profile's bytes as they are, but that files it names come along as blocks.

import { dirname, join, resolve } from 'node:path';
import { cleanTerminalText, lexLine } from '../../src/command.ts';
import { checkProfile, OPTIONS, quoteWord } from '../../src/config.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { type LineVerdict, lineVerdicts } from './line-verdicts.ts';
import { type OwnedFile, readerAs, readOwnedFile } from './owner-rights.ts';
import { nameOfFile, nameOfWord } from './profile-name.ts';
import { checkName, findProfile, makeImports, reasonOf, unreadable, writeWhole } from './profiles.ts';

export async function importProfile(
  file: string,
  { name, force }: { readonly name: string | undefined; readonly force: boolean },
  io: CommandIo,
): Promise<number> {
  const source = resolve(io.directory, file);
  const chosen = name === undefined ? nameOfFile(file) : nameOfWord(name);
  checkName(chosen);
  const there = findProfile({ ...io.places, profiles: [io.places.imports] }, chosen);
  if (there !== undefined && !force) {
    throw new CommandFailure(
      ExitCode.unknown,
      `there is ${there.path} already`,
      'Choose another --name, or write over it with --force.',
    );
  }
  const { bytes, uid } = readSource(source);
  const folder = dirname(source);
  const readNamed = readerAs(uid, io.uid);
  // Byte for byte: Latin-1 gives every byte a character and takes it back.
  const brought = bringFiles(bytes.toString('latin1'), source, (path) =>
    readNamed(resolve(folder, path)).toString('latin1'),
  );
  const text = utf8(brought.text);
  const { findings } = checkProfile(
    { text, file: source },
    { readText: (path) => readNamed(resolve(folder, path)).toString('utf8') },
  );
  const verdicts = lineVerdicts(text, source, findings);
  io.write(verdicts.map(verdictText).join(''));
  for (const path of brought.files) io.write(`brought along: ${cleanTerminalText(path)}\n`);
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0 && !force) {
    const [first] = errors;
    throw new CommandFailure(
      ExitCode.unknown,
      `not imported: ${errors.length === 1 ? 'an error' : `${errors.length} errors`}; ${file}:${first?.origin.line}: ${first?.message}`,
      first?.advice ?? 'Correct it, or import it as it is with --force.',
    );
  }
  const target = there?.path ?? join(io.places.imports, `${chosen}.conf`);
  makeImports(io.places);
  writeWhole(target, Buffer.from(brought.text, 'latin1'), force);
  const runs = verdicts.filter(({ runs }) => runs !== undefined);
  for (const { option, runs: command } of runs) {
    io.write(`runs a program, with the rights of the tunnel: ${option} ${cleanTerminalText(command ?? '')}\n`);
  }
  io.write(`imported as ${chosen}: ${target}\n`);
  return ExitCode.ok;
}

function readSource(path: string): OwnedFile {
  try {
    return readOwnedFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** `  12 works           remote vpn.example.org 1194`, and below it what there is to say. */
export function verdictText({ line, text, verdict, notes }: LineVerdict): string {
  const more = notes.map((note) => `${' '.repeat(21)}${cleanTerminalText(note)}\n`).join('');
  return `${String(line).padStart(4)} ${verdict.padEnd(15)} ${cleanTerminalText(text.slice(0, 200))}\n${more}`;
}

/** Options whose second word is no part of the file, and what it becomes. */
const DIRECTION = 'tls-auth';
/** Files that are read in binary: as a block they are base64. */
const BINARY = new Set(['pkcs12']);
/** What could stand as a block and is no key, certificate or login. */
const NOT_BROUGHT = new Set(['connection', 'config']);

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
    const body = BINARY.has(option) ? base64(content) : content.replaceAll('\r\n', '\n');
    if (body.includes('\0') || body.split('\n').some((each) => each.trimStart().startsWith(`</${option}>`))) {
      throw new CommandFailure(ExitCode.unknown, `${file}:${at + 1}: ${path} can't stand in a profile: it is not text`);
    }
    files.push(path);
    const direction = option === DIRECTION && second !== undefined ? `key-direction ${quoteWord(second)}\n` : '';
    return `${direction}<${option}>\n${body}${body.endsWith('\n') ? '' : '\n'}</${option}>\n`;
  });
  if (unread.length > 0) throw unreadFailure(file, unread);
  return { text: out.join(''), files };
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

/** In the system's words, of Node and of `cat`. */
const IS_MISSING = 'No such file';

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

const base64 = (latin1: string): string =>
  `${(
    Buffer.from(latin1, 'latin1')
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join('\n')}\n`;
