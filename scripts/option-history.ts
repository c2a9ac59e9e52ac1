// Since which Sallyport an option is answered as it is: a record beside this file, written when an answer changes.

import { readFileSync } from 'node:fs';
import { OPTIONS } from '../src/config/option-table.ts';
import { SALLYPORT_VERSION } from '../src/version.ts';

/** By option: how it is answered, and since which version. */
export type OptionHistory = Readonly<Record<string, readonly [status: string, since: string]>>;

export const HISTORY_FILE = 'scripts/option-history.json';

export const readHistory = (root: URL): OptionHistory =>
  JSON.parse(readFileSync(new URL(HISTORY_FILE, root), 'utf8')) as OptionHistory;

/** The version that what is unreleased will have. */
export function versionAtWork(changelog: string): string {
  if (!/^## Unreleased$/m.test(changelog)) return SALLYPORT_VERSION;
  const [major = 0, minor = 0] = SALLYPORT_VERSION.split('.').map(Number);
  return `${major}.${minor + 1}.0`;
}

/** The record brought up to the option table: what is answered otherwise than it says is so since `version`. */
export const historyNow = (before: OptionHistory, version: string): OptionHistory =>
  Object.fromEntries(
    [...OPTIONS.values()]
      .map(({ name, status }) => [name, status.kind] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, kind]) => {
        const known = before[name];
        return [name, known?.[0] === kind ? known : [kind, version]] as const;
      }),
  );

/** One line an option, so that a change is one line of a diff. */
export const formatHistory = (history: OptionHistory): string =>
  `{\n${Object.entries(history)
    .map(
      ([name, [status, since]]) => `  ${JSON.stringify(name)}: [${JSON.stringify(status)}, ${JSON.stringify(since)}]`,
    )
    .join(',\n')}\n}\n`;
