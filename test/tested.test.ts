import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { testedTable, withTable } from '../scripts/tested.ts';

const facts = {
  interopFiles: ['matrix.test.ts', 'upstream.test.ts'],
  versions: { '2.7': '2.7.8' },
  release: '2.7.7',
  without: '`--x`',
};
const passed = (meta: object = {}, status = 'passed') => ({ status, fullName: 'a case', meta });
const report = (matrix = [passed({ peers: ['2.7', '2.6'] }), passed({ peers: [] })]) => ({
  testResults: [
    { name: '/x/test/wire/a.test.ts', assertionResults: [passed(), passed(), passed()] },
    { name: '/x/test/interop/matrix.test.ts', assertionResults: matrix },
    { name: '/x/test/interop/upstream.test.ts', assertionResults: [passed({ peers: ['2.7'], upstreamCases: 20 })] },
  ],
});

it('counts cases by subject and by the real programs that took part', () => {
  const table = testedTable(report(), facts);
  expect(table).toContain('| what | cases | 2.7.8 | 2.6 | 2.6, deaf | 2.5 |');
  expect(table).toMatch(/^\| ciphers.* \| 2 \| 1 \| 1 \| {2}\| {2}\|$/m);
  expect(table).toMatch(/^\| OpenVPN's own test scripts \| 20 \| 20 \|/m);
  expect(table).toMatch(/^\| together \| 22 \| 21 \| 1 \|/m);
  expect(table).toContain('3 unit tests');
  expect(table).toContain('without `--x`, which is not built yet.');
});

it.each([
  ['failed', /1 cases did not pass/],
  ['pending', /1 cases did not pass/],
])('takes no run with a case that %s', (status, words) => {
  expect(() => testedTable(report([passed({}, status)]), facts)).toThrow(words);
});

it('takes no run that left a suite out', () => {
  const other = { ...facts, interopFiles: [...facts.interopFiles, 'life.test.ts'] };
  expect(() => testedTable(report(), other)).toThrow('not a whole run: life.test.ts did not run');
});

it('puts the table where the README has a place for it, again and again', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const once = withTable(readme, 'a table');
  expect(once).toContain('\na table\n');
  expect(withTable(once, 'a table')).toBe(once);
  expect(() => withTable('# nothing', 'x')).toThrow('no place');
});
