// What becomes of each line of a profile, in one word: from the option table and from what `check` finds. Pure.

import { type Finding, lexText, OPTIONS, type OptionRow } from '../../src/config.ts';

export type Verdict = 'works' | 'without effect' | 'not yet' | 'refused' | 'pushed only' | 'unknown' | 'wrong';

export interface LineVerdict {
  readonly line: number;
  readonly option: string;
  /** The words, without what stands in a block, and without passwords. */
  readonly text: string;
  readonly verdict: Verdict;
  readonly notes: readonly string[];
  /** A program that is run with the tunnel's rights. */
  readonly runs: string | undefined;
}

/** One for every line that is no comment; lines of nested files and of connection blocks are not among them. */
export function lineVerdicts(text: string, file: string, findings: readonly Finding[]): readonly LineVerdict[] {
  return lexText(text, file).lines.map(({ words: all, inline, origin }) => {
    const words = all[0] === 'setenv' && all[1] === 'opt' ? all.slice(2) : all;
    const option = (words[0] ?? '').replace(/^--(?=.)/, '');
    const row = OPTIONS.get(option);
    const own = findings.filter((each) => each.origin.file === file && each.origin.line === origin.line);
    return {
      line: origin.line,
      option,
      text: inline === undefined ? words.join(' ') : `<${option}> …`,
      verdict: verdictOf(row, own),
      notes: own.filter(({ severity }) => severity !== 'notice').map(({ message }) => message),
      runs: row !== undefined && runsProgram(row) ? words.slice(1).join(' ') : undefined,
    };
  });
}

function verdictOf(row: OptionRow | undefined, findings: readonly Finding[]): Verdict {
  if (row?.contexts.includes('pushed-only')) return 'pushed only';
  const error = findings.find(({ severity }) => severity === 'error');
  if (row === undefined) return 'unknown';
  if (error?.kind === 'refused' || row.status.kind === 'refused') return 'refused';
  if (row.status.kind === 'not-yet') return 'not yet';
  if (error !== undefined) return 'wrong';
  if (row.status.kind === 'no-effect' || findings.some(({ kind }) => kind === 'ignored')) return 'without effect';
  return 'works';
}

const runsProgram = (row: OptionRow): boolean =>
  (row.classes.includes('script') && row.args.startsWith('cmd')) || row.classes.includes('plugin');
