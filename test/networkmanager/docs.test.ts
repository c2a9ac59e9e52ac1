// docs/NETWORKMANAGER.md has the keys as the service has them.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DATA_KEYS, SECRET_KEYS } from '../../apps/networkmanager/key-table.ts';

const text = readFileSync(new URL('../../docs/NETWORKMANAGER.md', import.meta.url), 'utf8');

it.each([
  ['vpn.data', DATA_KEYS],
  ['vpn.secrets', SECRET_KEYS],
] as const)('the document has every key of %s, in its words', (place, keys) => {
  const [, table = ''] = text.split(`| key of ${place} | what becomes of it |\n| --- | --- |\n`);
  const rows = table.split('\n\n')[0]?.trimEnd().split('\n');
  expect(rows).toEqual(keys.map(({ name, becomes }) => `| \`${name}\` | ${becomes} |`));
});

it('names the keys of our own as such', () => {
  const own = DATA_KEYS.filter((row) => 'own' in row).map(({ name }) => name);
  expect(own.length).toBe(5);
  expect(DATA_KEYS.slice(-5).map(({ name }) => name)).toEqual(own);
});
