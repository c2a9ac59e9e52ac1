// The text of `--help`, made from the option table.

import type { OptionRow } from './option-row.ts';
import { OPTION_GROUPS } from './option-table.ts';
import { deprecationOf, placeOf, STATUS_WORDS } from './option-words.ts';

const COLUMN = 34;
const WIDTH = 100;
const MARKS = { works: '', 'no-effect': '(-) ', refused: '(x) ', 'not-yet': '(later) ' } as const;

/** Every option, in groups, each with its arguments, what it does, its default, and whether it works here. */
export function usageText(): string {
  const lines = [
    'Every option can stand in a file, without the two dashes. Lines that begin with # or ; are comments.',
    `Marks: ${marksInUse().join('   ')}; sallyport(8) and docs/COMPATIBILITY.md say why.`,
  ];
  for (const group of OPTION_GROUPS) {
    lines.push('', `${group.title}:`);
    for (const row of group.rows) lines.push(...usageOf(row));
  }
  return `${lines.join('\n')}\n`;
}

/** The marks that some row has, with their meaning. */
function marksInUse(): readonly string[] {
  const kinds = new Set(OPTION_GROUPS.flatMap(({ rows }) => rows.map((row) => row.status.kind)));
  return [...kinds].filter((kind) => MARKS[kind] !== '').map((kind) => `${MARKS[kind]}${STATUS_WORDS[kind]}`);
}

function usageOf(row: OptionRow): string[] {
  const head = `  --${row.name}${row.args === '' ? '' : ` ${row.args}`}`;
  const rest = row.default === undefined ? [] : [`[${row.default}]`];
  const words = [`${MARKS[row.status.kind]}${row.help}`, placeOf(row), ...rest, deprecationOf(row)]
    .filter(Boolean)
    .join(' ');
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
