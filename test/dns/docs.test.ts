import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DNS_ABILITIES } from '../../src/dns/host-dns.ts';
import { DNS_TABLE } from '../../src/tunnel/dns-table.ts';

const text = readFileSync(new URL('../../docs/DNS.md', import.meta.url), 'utf8');
const yes = (value: boolean | undefined): string => (value === undefined ? 'any' : value ? 'yes' : 'no');
const ROUTING = { everything: '`~.`', 'resolve-domains': '`~` each resolve-domain', nothing: 'none' };

describe('docs/DNS.md', () => {
  it('shows the table that decides', () => {
    const rows = DNS_TABLE.map(
      (row) =>
        `| ${yes(row.resolveDomains)} | ${yes(row.searchDomains)} | ${yes(row.onlyItsNetworks)} | ${yes(row.set)} | ${ROUTING[row.routing]} | ${yes(row.isDefault)} |`,
    );
    const shown = text.slice(text.indexOf('<!-- dns table -->'), text.indexOf('<!-- /dns table -->'));
    expect(shown.split('\n').filter((line) => /^\| (yes|no)/.test(line))).toEqual(rows);
  });

  it('says what each way can do', () => {
    for (const [name, { ports, split, dnssec, overTls }] of Object.entries(DNS_ABILITIES)) {
      const line = text.split('\n').find((each) => each.startsWith(`| \`${name}\` |`));
      expect(line?.split(' | ').slice(2).join(' | ')).toBe(`${[ports, split, dnssec, overTls].map(yes).join(' | ')} |`);
    }
  });
});
