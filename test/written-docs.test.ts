// What is made from the option table: docs/COMPATIBILITY.md, the man page and the record of versions are not stale, and
// they, `--help` and `sallyport check` say the same about every option.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { historyNow, versionAtWork } from '../scripts/option-history.ts';
import { writtenDocs } from '../scripts/write-docs.ts';
import { checkProfile } from '../src/config/check.ts';
import type { OptionRow } from '../src/config/option-row.ts';
import { OPTIONS } from '../src/config/option-table.ts';
import { deprecationOf, placeOf, STATUS_WORDS, sentence, whyOf } from '../src/config/option-words.ts';
import { usageText } from '../src/config/usage.ts';
import { SALLYPORT_VERSION } from '../src/version.ts';

const root = new URL('..', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const docs = writtenDocs(root);
const rows = [...OPTIONS.values()];
const compatibility = read('docs/COMPATIBILITY.md');
const man = read('docs/sallyport.8');

/** Text without the signs of man(7), of a table and of line breaks. */
const plain = (text: string): string =>
  text
    .replaceAll('\\-', '-')
    .replaceAll('\\&...', '…')
    .replaceAll(/\\&|\\\|/g, (sign) => (sign === '\\|' ? '|' : ''))
    .replaceAll(/\s+/g, ' ');

/** The cells of each option's line, by its name. */
const cells = new Map(
  [...compatibility.matchAll(/^\| `([a-z0-9-]+)[^`]*` \| (.*) \|$/gm)].map(([, name = '', rest = '']) => [
    name,
    rest.split(' | '),
  ]),
);

it.each(Object.entries(docs))('%s is what the option table makes of it (else: npm run docs)', (path, text) => {
  expect(read(path)).toBe(text);
});

describe('docs/COMPATIBILITY.md', () => {
  it('has a line for every option, with its answer and the version', () => {
    expect([...cells.keys()]).toHaveLength(rows.length);
    const told = Object.fromEntries([...cells].map(([name, [answer = '']]) => [name, answer]));
    expect(told).toEqual(Object.fromEntries(rows.map(({ name, status }) => [name, STATUS_WORDS[status.kind]])));
    expect([...cells.values()].filter(([, since = '']) => !/^\d+\.\d+\.\d+$/.test(since))).toEqual([]);
  });

  it('says why for everything that does not work', () => {
    const silent = rows.filter((row) => row.status.kind !== 'works' && whyOf(row).length < 10);
    expect(silent).toEqual([]);
    expect(rows.filter((row) => !plain(cells.get(row.name)?.[2] ?? '').includes(plain(whyOf(row))))).toEqual([]);
  });

  it('counts right', () => {
    for (const [kind, words] of Object.entries(STATUS_WORDS)) {
      const count = rows.filter(({ status }) => status.kind === kind).length;
      expect(compatibility).toContain(`| ${words} | ${count} |`);
    }
  });

  it.each(rows.map((row) => [row.name, row] as const))('answers %s as sallyport check does', (name, row) => {
    expect(answerOf(row)).toBe(STATUS_WORDS[row.status.kind]);
    const { reason } = { reason: '', ...row.status };
    expect(cells.get(name)?.[2], reason).toContain(sentence(reason).slice(0, -1).replaceAll('|', '\\|'));
  });
});

/** What `check` says of a profile with this option in it, in the words of the table. */
function answerOf(row: OptionRow): string {
  const words = Array.from({ length: row.minWords }, () => '1').join(' ');
  const line = `${row.name} ${words}`;
  const text = `client\nremote vpn.example.com\nca ca.crt\nremote-cert-tls server\n${line}\n`;
  const { findings } = checkProfile({ text, file: 'x' }, { readText: () => undefined });
  // Some options have no effect at this end: of the option itself that says nothing.
  const own = findings.filter(({ option, origin }) => option === row.name && origin.line === 5);
  const kinds = own
    .filter(({ kind, message }) => kind !== 'ignored' || / has no effect: /.test(message))
    .map(({ kind }) => kind);
  if (row.contexts.includes('ccd-only')) return STATUS_WORDS[row.status.kind];
  if (kinds.includes('refused')) return STATUS_WORDS.refused;
  if (kinds.includes('not-yet')) return STATUS_WORDS['not-yet'];
  if (kinds.includes('ignored')) return STATUS_WORDS['no-effect'];
  return STATUS_WORDS.works;
}

describe('the man page', () => {
  it('has every option with the sentence, default and answer that --help and COMPATIBILITY.md have', () => {
    const page = plain(man);
    const usage = plain(usageText());
    const missing = rows.filter(
      (row) =>
        !new RegExp(`--${row.name}(?![a-z0-9-])`).test(page) ||
        !page.includes(row.help) ||
        !usage.includes(row.help) ||
        !usage.includes(deprecationOf(row)) ||
        !usage.includes(placeOf(row)) ||
        !page.includes(plain(placeOf(row))) ||
        !plain(cells.get(row.name)?.[2] ?? '').includes(row.help) ||
        (row.default !== undefined && !page.includes(`Default: ${row.default}.`)) ||
        !page.includes(plain(whyOf(row))) ||
        !page.includes(plain(deprecationOf(row))),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it('has no control line that man(7) does not know, and no bare dash in front of an option', () => {
    const controls = man.split('\n').filter((line) => /^[.']/.test(line));
    const known = /^\.(\\"|TH|SH|SS|TP|P|B|BI|BR)( |$)/;
    expect(controls.filter((line) => !known.test(line))).toEqual([]);
    expect(man.split('\n').filter((line) => /(?<!\\)-/.test(line) && !/^\.(\\"|TH)/.test(line))).toEqual([]);
  });

  const checkers = ['docs/sallyport.1', 'docs/sallyport.8']
    .map((path) => fileURLToPath(new URL(path, root)))
    .flatMap((file) => [
      ['man', '--warnings', '-l', file],
      ['mandoc', '-T', 'lint', '-W', 'warning', file],
    ])
    .filter(([program = '']) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0);

  it.each(checkers)('gives %s nothing to complain about', (program, ...args) => {
    const { stdout, stderr, error } = spawnSync(program as string, args, {
      env: { ...process.env, LC_ALL: 'C.UTF-8', MANPAGER: 'cat', PAGER: 'cat' },
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(error).toBeUndefined();
    expect(program === 'man' ? stderr : `${stdout}${stderr}`).toBe('');
  });
});

describe('the record of versions', () => {
  it('keeps what is answered as before, and notes the version of what changed', () => {
    const now = historyNow({ dev: ['works', '0.0.1'], proto: ['not-yet', '0.0.1'] }, '9.0.0');
    expect(now.dev).toEqual(['works', '0.0.1']);
    expect(now.proto).toEqual(['works', '9.0.0']);
    expect(Object.keys(now)).toHaveLength(rows.length);
  });

  it('counts from the next version while something is unreleased', () => {
    expect(versionAtWork('# Changelog\n\n## 0.1.0\n')).toBe(SALLYPORT_VERSION);
    expect(versionAtWork('# Changelog\n\n## Unreleased\n\n## 0.1.0\n')).toBe('0.2.0');
  });
});
