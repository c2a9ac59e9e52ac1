// Why a process in the background ended before its tunnel was up, out of its log.

import { readFileSync } from 'node:fs';
import { cleanTerminalText } from '../../src/command.ts';
import { CommandFailure, ExitCode } from './failure.ts';
import type { CommandIo } from './io.ts';
import { logPath } from './places.ts';

/** `error`: what the system said of it. */
export function startFailure(name: string, io: CommandIo, error: string | undefined): CommandFailure {
  let lines: readonly string[] = [];
  try {
    lines = readFileSync(logPath(io.places, name), 'utf8').split('\n').filter(Boolean);
  } catch {
    // There is no log, then there is nothing to say of it.
  }
  const told = lines
    .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))
    .filter((line) => !/^(Exiting due to fatal error|Use --help|Sallyport |library versions|WARNING|NOTE)/.test(line));
  const reason = error ?? told.filter((line) => !line.startsWith('  ')).at(-1) ?? 'it ended before it was ready';
  const hint = told
    .filter((line) => line.startsWith('  '))
    .at(-1)
    ?.trim();
  return new CommandFailure(
    ExitCode.activation,
    `${name} could not be started: ${cleanTerminalText(reason)}`,
    hint === undefined ? `sallyport log ${name} has all of it.` : cleanTerminalText(hint),
  );
}
