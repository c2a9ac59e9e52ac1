// `sallyport import`: a profile's bytes as they are, but that files it names come along as blocks.

import { dirname, join, resolve } from 'node:path';
import { cleanTerminalText } from '../../src/command.ts';
import { checkProfile } from '../../src/config.ts';
import { bringFiles, utf8 } from './bring-files.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { type LineVerdict, lineVerdicts } from './line-verdicts.ts';
import { type OwnedFile, readerAs, readOwnedFile } from './owner-rights.ts';
import { nameOfFile, nameOfWord } from './profile-name.ts';
import { checkName, findProfile, makeImports, unreadable, writeWhole } from './profiles.ts';

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
