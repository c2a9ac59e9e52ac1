// The README's sentence about what is not there yet, made from the option table.

import { OPTIONS } from '../src/config/option-table.ts';

const BEGIN = '<!-- not yet: written by npm run docs -->';
const END = '<!-- /not yet -->';

/** Options that belong together, and what they are called together; an option of no family is called by its name. */
const FAMILIES: readonly (readonly [options: RegExp, words: string])[] = [
  [/^(?:http|socks)-proxy/, 'HTTP and SOCKS proxies'],
  [/^management/, 'the management interface'],
  [/pkcs11/, 'PKCS#11'],
  [/^(?:plugin|keying-material-exporter)$/, 'plug-ins'],
  [/^vlan-/, 'VLANs'],
];
const WIDTH = 120;

/** `Not yet …`, wrapped; a sentence of its own where everything is there. */
function notYetSentence(): string {
  const later = [...OPTIONS.values()].filter(({ status }) => status.kind === 'not-yet').map(({ name }) => name);
  if (later.length === 0) return 'No option is left for later.';
  const words = later.map((name) => FAMILIES.find(([options]) => options.test(name))?.[1] ?? `\`${name}\``);
  return wrapped(`Not yet (\`(later)\` in \`--help\`): ${[...new Set(words)].join(', ')}.`);
}

/** The README with the sentence in its place. */
export function withNotYet(readme: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`README.md has no place for it: ${BEGIN} … ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${notYetSentence()}\n\n${readme.slice(end)}`;
}

const wrapped = (text: string): string =>
  text.split(' ').reduce((lines, word) => {
    const last = lines.slice(lines.lastIndexOf('\n') + 1);
    if (lines === '') return word;
    return `${lines}${last.length + 1 + word.length > WIDTH ? '\n' : ' '}${word}`;
  }, '');
