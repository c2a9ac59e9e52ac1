import { describe, expect, it } from 'vitest';
import { parsePush } from '../../src/config/push.ts';
import { leftOutLine, onlyItsNetworks } from '../../src/tunnel/only-its-networks.ts';
import { configOf } from './profile.ts';

const of = (...pushed: readonly string[]) => onlyItsNetworks(parsePush(pushed, configOf(), 'push-reply').tunnel);
const networks = (...pushed: readonly string[]) => {
  const { options } = of(...pushed);
  return [...options.routes, ...options.routes6].map(({ network }) => network);
};

describe('only its networks', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['networks stay', ['route 10.20.0.0 255.255.0.0', 'route-ipv6 fd00:20::/48'], ['10.20.0.0', 'fd00:20::/48']],
    ['0.0.0.0/0 goes', ['route 0.0.0.0 0.0.0.0', 'route 10.20.0.0 255.255.0.0'], ['10.20.0.0']],
    ['both halves go', ['route 0.0.0.0 128.0.0.0', 'route 128.0.0.0 128.0.0.0'], []],
    ['one half is no network either', ['route 128.0.0.0 128.0.0.0'], []],
    ['four quarters go', ['0', '64', '128', '192'].map((n) => `route ${n}.0.0.0 192.0.0.0`), []],
    [
      'a network inside a default route stays',
      ['route 0.0.0.0 128.0.0.0', 'route 128.0.0.0 128.0.0.0', 'route 198.51.100.0 255.255.255.0'],
      ['198.51.100.0'],
    ],
    [
      'a private network beside everything else stays',
      ['route 128.0.0.0 128.0.0.0', 'route 64.0.0.0 192.0.0.0', 'route 10.0.0.0 255.0.0.0'],
      ['10.0.0.0'],
    ],
    [
      'quarters inside of the halves go with them',
      [
        ...['0', '128'].map((n) => `route ${n}.0.0.0 128.0.0.0`),
        ...['0', '64', '128', '192'].map((n) => `route ${n}.0.0.0 192.0.0.0`),
        'route 20.0.0.0 255.0.0.0',
      ],
      ['20.0.0.0'],
    ],
    ['the server with the netmask of everything goes', ['route remote_host 0.0.0.0'], []],
    ['the server alone stays', ['route remote_host 255.255.255.255'], ['remote_host']],
    ['eighths inside of 2000::/3 go with it', ['2000::/3', '2000::/4', '3000::/4'].map((p) => `route-ipv6 ${p}`), []],
    ['a way past the tunnel stays', ['route 0.0.0.0 0.0.0.0 net_gateway'], ['0.0.0.0']],
    ['::/0 goes', ['route-ipv6 ::/0', 'route-ipv6 fd00:20::/48'], ['fd00:20::/48']],
    ['2000::/3 goes', ['route-ipv6 2000::/3', 'route-ipv6 2001:db8::/32'], ['2001:db8::/32']],
    [
      '2000::/4 and 3000::/4 go, as does all of fc00::/7',
      ['2000::/4', '3000::/4', 'fc00::/7'].map((p) => `route-ipv6 ${p}`),
      [],
    ],
    ['4000::/2 goes', ['route-ipv6 4000::/2'], []],
  ])('%s', (_, pushed, kept) => {
    expect(networks(...pushed)).toEqual(kept);
  });

  it.each(['redirect-gateway', 'redirect-gateway def1 ipv6', 'redirect-gateway !ipv4 ipv6'])(
    '%s is not taken',
    (line) => {
      const { options, leftOut } = of(line);
      expect(options.redirectGateway).toBeUndefined();
      expect(leftOut).toEqual(['redirect-gateway']);
    },
  );

  it('redirect-private neither takes IPv6 nor blocks the local network', () => {
    const { options } = of('redirect-private ipv6 block-local');
    expect(options.redirectPrivate).toMatchObject({ ipv4: true, ipv6: false, blockLocal: false });
  });

  it('a server without domains is asked for the search domains', () => {
    const { options } = of('dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN corp.example');
    expect(options.dns).toMatchObject([{ addresses: [{ address: '10.8.0.1' }], resolveDomains: ['corp.example'] }]);
    expect(options.dnsSearchDomains).toEqual(['corp.example']);
  });

  it('a server for every name is not taken', () => {
    const { options, leftOut } = of('dhcp-option DNS 10.8.0.1');
    expect(options).toMatchObject({ dns: [], dhcpOptions: [] });
    expect(leftOut).toEqual(['DNS server 10.8.0.1']);
  });

  it('a server for certain domains stays as it is', () => {
    const { options } = of('dns server 1 address 10.8.0.53', 'dns server 1 resolve-domains a.example');
    expect(options.dns).toMatchObject([{ resolveDomains: ['a.example'] }]);
  });

  it('says in one bounded line what was left out', () => {
    expect(leftOutLine([])).toBeUndefined();
    expect(leftOutLine(Array.from({ length: 10 }, (_, n) => `x${n}`))).toMatch(/x7 and 2 more$/);
  });

  it('is decided by the user alone: a server can not push it', () => {
    const { verdicts } = parsePush(['only-its-networks'], configOf(), 'push-reply');
    expect(verdicts.map(({ text }) => text).join()).toContain('cannot be used in this context');
  });
});
