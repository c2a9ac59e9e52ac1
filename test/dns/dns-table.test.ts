import { describe, expect, it } from 'vitest';
import { DNS_ABILITIES } from '../../src/dns/host-dns.ts';
import type { DnsServerWanted, DnsWanted } from '../../src/tunnel/dns-port.ts';
import { decideDns } from '../../src/tunnel/dns-table.ts';

const server = (more: Partial<DnsServerWanted> = {}): DnsServerWanted => ({
  priority: 0,
  addresses: [{ address: '10.8.0.1', port: undefined }],
  resolveDomains: [],
  dnssec: undefined,
  transport: undefined,
  sni: undefined,
  ...more,
});
const wanted = (more: Partial<DnsWanted> = {}): DnsWanted => ({
  servers: [server()],
  searchDomains: [],
  onlyItsNetworks: false,
  ...more,
});
const { resolved, file, dnsmasq } = DNS_ABILITIES;

describe('what a tunnel gets of the resolver', () => {
  it.each<[string, Partial<DnsWanted>, object]>([
    ['a server without domains is asked for everything', {}, { isDefault: true, routing: ['.'], search: [] }],
    [
      'search domains are searched beside it',
      { searchDomains: ['office.example'] },
      { isDefault: true, routing: ['.'], search: ['office.example'] },
    ],
    [
      'a server with domains is asked for them alone',
      { servers: [server({ resolveDomains: ['lab.example', 'office.example'] })], searchDomains: ['office.example'] },
      { isDefault: false, routing: ['lab.example'], search: ['office.example'] },
    ],
    [
      'the resolve-domain of a single dot is everything',
      { servers: [server({ resolveDomains: ['.'] })] },
      { isDefault: true, routing: ['.'] },
    ],
    [
      'a tunnel for its own networks only answers for its search domains and no more',
      { onlyItsNetworks: true, searchDomains: ['office.example'] },
      { isDefault: false, routing: [], search: ['office.example'] },
    ],
  ])('%s', (_title, stated, setting) => {
    expect(decideDns(wanted(stated), resolved)).toMatchObject({ kind: 'set', setting, widened: false });
  });

  it('sets nothing for a tunnel for its own networks only that names no domain', () => {
    expect(decideDns(wanted({ onlyItsNetworks: true }), resolved).kind).toBe('none');
  });

  it('asks the tunnel for every name where the host can only do that, but not a tunnel for its own networks', () => {
    const split = { servers: [server({ resolveDomains: ['lab.example'] })] };
    expect(decideDns(wanted(split), file)).toMatchObject({ kind: 'set', widened: true, setting: { isDefault: true } });
    expect(decideDns(wanted({ ...split, onlyItsNetworks: true }), file).kind).toBe('none');
    expect(decideDns(wanted(split), dnsmasq)).toMatchObject({ kind: 'set', widened: false });
  });

  it.each<[string, Partial<DnsServerWanted>, boolean, boolean, boolean]>([
    ['DNS over TLS', { transport: 'DoT' }, true, false, false],
    ['DNS over HTTPS', { transport: 'DoH' }, false, false, false],
    ['DNSSEC', { dnssec: 'yes' }, true, false, false],
    ['optional DNSSEC', { dnssec: 'optional' }, true, false, false],
    ['no DNSSEC', { dnssec: 'no' }, true, true, true],
    ['a port', { addresses: [{ address: '10.8.0.1', port: 5353 }] }, true, false, true],
    ['the usual port', { addresses: [{ address: '10.8.0.1', port: 53 }] }, true, true, true],
  ])('passes over a server that the host cannot use: %s', (_title, more, byResolved, byFile, byDnsmasq) => {
    const other = server({ priority: 9, addresses: [{ address: '10.8.0.9', port: undefined }] });
    const both = wanted({ servers: [server(more), other] });
    for (const [abilities, usable] of [
      [resolved, byResolved],
      [file, byFile],
      [dnsmasq, byDnsmasq],
    ] as const) {
      expect(decideDns(both, abilities)).toMatchObject({ priority: usable ? 0 : 9 });
    }
    expect(decideDns(wanted({ servers: [server({ transport: 'DoH' })] }), resolved)).toEqual({
      kind: 'none',
      reason: 'setting DNS failed, no compatible server profile',
    });
  });

  it('keeps names that are none out of the files of the host', () => {
    const names = ['good.example', 'a b', 'x\nnameserver 6.6.6.6', '$(id)', 'Ünï.example'];
    const decision = decideDns(
      wanted({ searchDomains: names, servers: [server({ resolveDomains: names })] }),
      resolved,
    );
    expect(decision).toMatchObject({ setting: { search: ['good.example'], routing: [] } });
  });
});
