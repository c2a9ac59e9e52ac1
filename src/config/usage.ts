// The text of `--help`, made from the option table.

import type { OptionRow } from './option-row.ts';
import { OPTION_GROUPS } from './option-table.ts';
import { deprecationOf } from './option-words.ts';

const COLUMN = 34;
const WIDTH = 100;

/** Every option, in groups, each with its arguments, what it does, its default, and whether it works here. */
export function usageText(): string {
  const lines = [
    'Every option can stand in a file, without the two dashes. Lines that begin with # or ; are comments.',
    'Marks: (-) accepted without effect   (x) refused   (later) not yet; docs/COMPATIBILITY.md says why.',
  ];
  for (const group of OPTION_GROUPS) {
    lines.push('', `${group.title}:`);
    for (const row of group.rows) lines.push(...usageOf(row));
  }
  return `${lines.join('\n')}\n`;
}

function usageOf(row: OptionRow): string[] {
  const head = `  --${row.name}${row.args === '' ? '' : ` ${row.args}`}`;
  const marks = { works: '', 'no-effect': '(-) ', refused: '(x) ', 'not-yet': '(later) ' } as const;
  const rest = row.default === undefined ? [] : [`[${row.default}]`];
  const words = [`${marks[row.status.kind]}${row.help}`, ...rest, deprecationOf(row)].filter(Boolean).join(' ');
  const text = wrapped(words, WIDTH - COLUMN);
  const indent = ' '.repeat(COLUMN);
  const [first = '', ...more] = text;
  const begin = head.length < COLUMN - 1 ? [head.padEnd(COLUMN) + first] : [head, indent + first];
  return [...begin, ...more.map((line) => indent + line)];
}

const wrapped = (text: string, width: number): string[] => {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
};
