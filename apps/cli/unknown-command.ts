// A lone word is the name of a profile, as with the C program. One that looks like a command and is no file was likely
// meant as a command.

import { existsSync } from 'node:fs';

/** What to say beside the C program's words about the command line, if a command that does not exist was asked for. */
export function unknownCommandAdvice([first = '']: readonly string[]): string | undefined {
  if (!/^[a-z][a-z-]*$/.test(first) || existsSync(first)) return undefined;
  return `There is no file and no command of the name ${first}. --help lists the commands.`;
}
