import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDnsmasq, parseHosts, parseNsswitch, parseResolvConf } from '../../apps/desktop/explain-files.ts';
import { isTrusted, readManager, readPlan } from '../../apps/desktop/explain-host.ts';
import { decideName, type ResolvedScope, type ResolverFacts } from '../../apps/desktop/explain-name.ts';
import {
  decidingRule,
  explainRoute,
  type RouteFacts,
  ruleText,
  type TunnelSeen,
} from '../../apps/desktop/explain-route.ts';
import { explanationJson, explanationLines } from '../../apps/desktop/explain-words.ts';
import type { PolicyRule, RouteFound } from '../../src/look.ts';

const rule = (priority: number, table: number, over: Partial<PolicyRule> = {}): PolicyRule => ({
  priority,
  action: 'table',
  table,
  goto: undefined,
  from: undefined,
  to: undefined,
  mark: undefined,
  inputDevice: undefined,
  outputDevice: undefined,
  users: undefined,
  suppressLength: undefined,
  inverted: false,
  more: false,
  ...over,
});
const usual = [rule(0, 255), rule(32766, 254), rule(32767, 253)];
const found = (over: Partial<RouteFound> = {}): RouteFound => ({
  kind: 'unicast',
  device: 'eth0',
  gateway: '192.0.2.1',
  source: '192.0.2.2',
  table: 254,
  prefix: '0.0.0.0/0',
  metric: 0,
  ...over,
});

describe('the policy rule that decides', () => {
  const main = found();
  it.each<[string, readonly PolicyRule[], RouteFound, number | undefined]>([
    ['is the one of the table of the answer', usual, main, 32766],
    ['is the one of the local table for an own address', usual, found({ kind: 'local' }), 0],
    ['is the first that fits', [rule(5, 254), ...usual], main, 5],
    ['is none for packets from elsewhere', [rule(5, 254, { from: '10.0.0.0/8' }), ...usual], main, 32766],
    ['is none for another destination', [rule(5, 254, { to: '10.0.0.0/8' }), ...usual], main, 32766],
    ['is one for this destination', [rule(5, 254, { to: '203.0.113.0/24' }), ...usual], main, 5],
    ['is none for marked packets', [rule(5, 254, { mark: { value: 1, mask: 1 } }), ...usual], main, 32766],
    ['fits where the mark is masked away', [rule(5, 254, { mark: { value: 2, mask: 1 } }), ...usual], main, 5],
    [
      'fits all but marked packets (WireGuard)',
      [rule(5, 51820, { mark: { value: 0xca6c, mask: 0xffffffff }, inverted: true }), ...usual],
      found({ table: 51820, device: 'wg0' }),
      5,
    ],
    ['passes over a default route that is suppressed', [rule(5, 254, { suppressLength: 0 }), ...usual], main, 32766],
    [
      'takes a network that is not suppressed',
      [rule(5, 254, { suppressLength: 0 }), ...usual],
      found({ prefix: '203.0.113.0/24' }),
      5,
    ],
    ['is one for this user', [rule(5, 254, { users: [1000, 1000] }), ...usual], main, 5],
    ['is none for another user', [rule(5, 254, { users: [1001, 2000] }), ...usual], main, 32766],
    ['is one for what this machine sends', [rule(5, 254, { inputDevice: 'lo' }), ...usual], main, 5],
    ['is none for what it forwards', [rule(5, 254, { inputDevice: 'eth1' }), ...usual], main, 32766],
    ['is none that looks at what is not known', [rule(5, 254, { more: true }), ...usual], main, 32766],
    ['jumps', [rule(5, 0, { action: 'goto', goto: 10 }), rule(7, 254), rule(12, 254), ...usual], main, 12],
    [
      'refuses',
      [rule(5, 0, { action: 'prohibit' }), ...usual],
      found({ kind: 'prohibit', table: undefined, prefix: undefined }),
      5,
    ],
    ['is not known where nothing answers', usual, found({ kind: 'none', table: undefined }), undefined],
  ])('%s', (_, rules, route, priority) => {
    expect(decidingRule('203.0.113.9', route, rules, 1000)?.priority).toBe(priority);
  });

  it.each<[PolicyRule, string]>([
    [rule(32766, 254), 'from all lookup main'],
    [
      rule(1, 51820, { mark: { value: 0xca6c, mask: 0xffffffff }, inverted: true }),
      'not from all fwmark 0xca6c lookup 51820',
    ],
    [rule(1, 254, { suppressLength: 0 }), 'from all lookup main suppress_prefixlength 0'],
    [rule(1, 0, { action: 'goto', goto: 9 }), 'from all goto 9'],
    [
      rule(1, 77, { from: '10.0.0.0/8', to: '10.1.0.0/16', inputDevice: 'a', outputDevice: 'b', users: [1, 2] }),
      'from 10.0.0.0/8 to 10.1.0.0/16 iif a oif b uidrange 1-2 lookup 77',
    ],
  ])('is written as ip writes it', (value, text) => expect(ruleText(value)).toBe(text));
});

const office: TunnelSeen = {
  name: 'office',
  device: 'tun0',
  ipv6Leak: 'blocked',
  routes: [
    { prefix: '198.51.100.1/32', origin: 'host-route', table: undefined },
    { prefix: '0.0.0.0/1', origin: 'redirect-gateway', table: undefined },
    { prefix: '10.77.0.0/24', origin: 'server', table: undefined },
    { prefix: '10.78.0.0/24', origin: 'client', table: undefined },
    { prefix: '2000::/4', origin: 'ipv6-leak', table: undefined },
  ],
};
const facts = (over: Partial<RouteFacts> = {}): RouteFacts => ({
  tunnels: [office],
  tunnelKind: (device) => (/^(tun|wg)/.test(device) ? 'tun' : undefined),
  rules: () => usual,
  uid: 0,
  ...over,
});

describe('the way of an address', () => {
  const tun = { device: 'tun0', gateway: '10.8.0.1', source: '10.8.0.2' };
  it.each<[string, string, RouteFound, string, RegExp | undefined]>([
    [
      'by a pushed route',
      '10.77.0.1',
      found({ ...tun, prefix: '10.77.0.0/24' }),
      'tunnel',
      /^the server of office pushed/,
    ],
    [
      'by a stated route',
      '10.78.0.1',
      found({ ...tun, prefix: '10.78.0.0/24' }),
      'tunnel',
      /^the profile of office has/,
    ],
    ['by a redirection', '8.8.8.8', found({ ...tun, prefix: '0.0.0.0/1' }), 'tunnel', /takes everything/],
    [
      'to the tunnel itself',
      '10.8.0.1',
      found({ ...tun, prefix: '10.8.0.0/24' }),
      'tunnel',
      /network of office itself/,
    ],
    ['to its server', '198.51.100.1', found({ prefix: '198.51.100.1/32' }), 'direct', /this is the server of office/],
    ['past it', '8.8.8.8', found(), 'direct', undefined],
    ['past it, by a like route of another', '10.77.0.1', found({ prefix: '10.77.0.0/24' }), 'direct', undefined],
    ['to itself', '192.0.2.2', found({ kind: 'local', device: 'lo' }), 'local', undefined],
    ['nowhere', '8.8.8.8', found({ kind: 'none', device: undefined, prefix: undefined }), 'unreachable', undefined],
    [
      'against a block of IPv6',
      '2001:db8::1',
      found({ kind: 'unreachable', device: 'lo', prefix: '2000::/4' }),
      'refused',
      /^IPv6 is blocked while office is up/,
    ],
    [
      'against another refusal',
      '2001:db8::1',
      found({ kind: 'unreachable', prefix: '2001:db8::/32' }),
      'refused',
      undefined,
    ],
  ])('%s', (_, address, route, verdict, because) => {
    const way = explainRoute(address, route, facts());
    expect(way.verdict).toBe(verdict);
    if (because === undefined) expect(way.because).toBeUndefined();
    else expect(way.because).toMatch(because);
  });

  it('into a tunnel of another program is one, too, without a name', () => {
    expect(explainRoute('8.8.8.8', found({ device: 'wg0' }), facts()).tunnel).toEqual({
      name: undefined,
      kind: 'tun',
      device: 'wg0',
    });
  });
});

const link = (device: string | undefined, over: Partial<ResolvedScope> = {}): ResolvedScope => ({
  device,
  servers: [device === undefined ? '9.9.9.9' : `192.0.2.${device.length}`],
  domains: [],
  isDefault: false,
  ...over,
});
const domain = (name: string, routeOnly = false) => ({ name, routeOnly });
const resolver = (over: Partial<ResolverFacts> = {}): ResolverFacts => ({
  sources: ['files', 'dns'],
  hosts: [],
  hostName: 'pc',
  resolvConf: parseResolvConf('nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch home.example\n'),
  resolved: undefined,
  dnsmasq: undefined,
  ...over,
});
const stub = (...scopes: readonly ResolvedScope[]): ResolverFacts =>
  resolver({
    resolvConf: parseResolvConf('nameserver 127.0.0.53\nsearch home.example'),
    resolved: { scopes, fallback: ['1.1.1.1'] },
  });
const dnsmasq = (...lines: readonly string[]): ResolverFacts => {
  const { servers, dbus } = parseDnsmasq(lines);
  return resolver({ resolvConf: parseResolvConf('nameserver 127.0.0.1'), dnsmasq: { servers, more: dbus } });
};

/** `server@link by whom for name` or the kind of the answer. */
function asked(name: string, from: ResolverFacts): string {
  const decision = decideName(name, from);
  if (decision.kind !== 'servers') return decision.kind;
  const servers = decision.servers.map(({ address, device }) =>
    device === undefined ? address : `${address}@${device}`,
  );
  return `${servers.join('+')} by ${decision.by} for ${[decision.name, ...decision.afterwards].join(',')}`;
}

describe('the name server that is asked', () => {
  const tun = link('tun0', { servers: ['10.8.0.1'], domains: [domain('office.example')] });
  const eth = link('eth0', { isDefault: true });
  const all = link('tun1', { servers: ['10.9.0.1'], domains: [domain('', true)], isDefault: true });
  const deeper = link('tun2', { servers: ['10.7.0.1'], domains: [domain('lab.office.example', true)] });
  it.each<[string, string, ResolverFacts, string]>([
    [
      'the first of resolv.conf',
      'a.example',
      resolver(),
      '192.0.2.53 by /etc/resolv.conf for a.example,a.example.home.example',
    ],
    [
      'after the search domains for a short name',
      'a',
      resolver(),
      '192.0.2.53 by /etc/resolv.conf for a.home.example,a',
    ],
    ['for the whole name alone, with a dot at its end', 'a.', resolver(), '192.0.2.53 by /etc/resolv.conf for a'],
    [
      'nobody, for what the hosts file has',
      'A.example',
      resolver({ hosts: parseHosts('10.0.0.1 a.example b') }),
      'hosts-file',
    ],
    ['nobody, for this machine', 'pc', resolver({ sources: ['myhostname', 'dns'] }), 'this-machine'],
    ['nobody, for localhost', 'x.localhost', resolver({ sources: ['myhostname', 'dns'] }), 'this-machine'],
    ['the local network', 'printer.local', resolver({ sources: ['files', 'mdns4_minimal', 'dns'] }), 'multicast'],
    ['nobody, without a source', 'a.example', resolver({ sources: ['files'] }), 'nobody'],
    [
      'the machine itself, without any server',
      'a.',
      resolver({ resolvConf: parseResolvConf('') }),
      '127.0.0.1 by /etc/resolv.conf for a',
    ],
    [
      'the link with the domain',
      'x.office.example',
      stub(eth, tun),
      '10.8.0.1@tun0 by systemd-resolved for x.office.example,x.office.example.home.example',
    ],
    [
      'the link with the domain itself',
      'office.example.',
      stub(eth, tun),
      '10.8.0.1@tun0 by systemd-resolved for office.example',
    ],
    [
      'the longer domain',
      'x.lab.office.example.',
      stub(eth, tun, deeper),
      '10.7.0.1@tun2 by systemd-resolved for x.lab.office.example',
    ],
    ['the link for every name', 'a.example.', stub(eth, all), '10.9.0.1@tun1 by systemd-resolved for a.example'],
    [
      'a domain before every name',
      'x.office.example.',
      stub(all, tun),
      '10.8.0.1@tun0 by systemd-resolved for x.office.example',
    ],
    ['the default link for all else', 'a.example.', stub(eth, tun), '192.0.2.4@eth0 by systemd-resolved for a.example'],
    [
      'no domain that only ends alike',
      'notoffice.example.',
      stub(eth, tun),
      '192.0.2.4@eth0 by systemd-resolved for notoffice.example',
    ],
    [
      'two links at once',
      'a.example.',
      stub(eth, link(undefined, { isDefault: true })),
      '192.0.2.4@eth0+9.9.9.9 by systemd-resolved for a.example',
    ],
    [
      'no link without a server',
      'x.office.example.',
      stub(eth, { ...tun, servers: [] }),
      '192.0.2.4@eth0 by systemd-resolved for x.office.example',
    ],
    ['the fallback', 'a.example.', stub(), '1.1.1.1 by systemd-resolved for a.example'],
    ['nobody, where no link is a default', 'a.example.', stub(tun), 'nobody'],
    [
      'by nss-resolve, with its own search domains',
      'intra',
      { ...stub(eth, tun), sources: ['resolve', 'dns'] },
      '10.8.0.1@tun0 by systemd-resolved for intra.office.example',
    ],
    ['nobody, for a lone label', 'intra', { ...stub(eth), sources: ['resolve', 'dns'] }, 'nobody'],
    [
      'resolv.conf where nss-resolve has nobody to ask',
      'a.',
      resolver({ sources: ['resolve', 'dns'] }),
      '192.0.2.53 by /etc/resolv.conf for a',
    ],
    [
      'the domain of dnsmasq',
      'x.office.example',
      dnsmasq('--server=9.9.9.9', 'server=/office.example/10.8.0.1#5353'),
      '10.8.0.1#5353 by dnsmasq for x.office.example',
    ],
    [
      'the longest domain of dnsmasq',
      'x.a.b',
      dnsmasq('server=/b/10.0.0.1', 'server=/c/a.b/10.0.0.2'),
      '10.0.0.2 by dnsmasq for x.a.b',
    ],
    [
      'all else of dnsmasq',
      'a.example',
      dnsmasq('server=/b/10.0.0.1', 'server=9.9.9.9@eth0'),
      '9.9.9.9 by dnsmasq for a.example',
    ],
    ['dnsmasq itself', 'x.lan', dnsmasq('local=/lan/', 'server=9.9.9.9'), 'nobody'],
    ['nobody known, where dnsmasq has them by D-Bus', 'a.example', dnsmasq('--enable-dbus', '--no-resolv'), 'nobody'],
  ])('is %s', (_, name, from, expected) => expect(asked(name, from)).toBe(expected));

  it.each<[string, ResolverFacts, RegExp]>([
    ['a.example', resolver(), /first server of \/etc\/resolv\.conf; 192\.0\.2\.54 only where it does not answer/],
    ['x.office.example', stub(eth, tun), /^tun0 has the domain office\.example$/],
    ['a.example', stub(all), /^tun1 is asked for every name \(~\.\)$/],
    ['a.example', stub(eth, tun), /^no link has a domain that it is in, and eth0 is asked for all else$/],
    [
      'a.example',
      dnsmasq('server=/example/10.0.0.1', '--enable-dbus'),
      /for example; servers .* by D-Bus are told to nobody/,
    ],
    [
      'a.example',
      resolver({ resolvConf: parseResolvConf('# Made by Sallyport for tun0. What stood here\nnameserver 10.8.0.1') }),
      /which Sallyport wrote for tun0/,
    ],
  ])('is explained for %s', (name, from, because) => expect(decideName(name, from).because).toMatch(because));

  it('is found without harm, whatever is asked and whatever the files say', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (name, text, line) => {
        decideName(
          name,
          resolver({
            sources: parseNsswitch(text),
            hosts: parseHosts(text),
            resolvConf: parseResolvConf(text),
            dnsmasq: { servers: parseDnsmasq([line]).servers, more: false },
          }),
        );
      }),
    );
  });
});

describe('files of the resolver', () => {
  it.each([
    ['hosts: files mymachines resolve [!UNAVAIL=return] dns # x', ['files', 'mymachines', 'resolve', 'dns']],
    ['hosts:files mdns4_minimal [NOTFOUND=return] dns', ['files', 'mdns4_minimal', 'dns']],
    ['passwd: files', ['files', 'dns']],
    [undefined, ['files', 'dns']],
  ])('nsswitch.conf: %j', (text, sources) => expect(parseNsswitch(text)).toEqual(sources));

  it('resolv.conf: at most three servers, the last search, ndots', () => {
    const text = ['1', '2', '3', '4'].map((n) => `nameserver 10.0.0.${n}`);
    expect(parseResolvConf([...text, 'domain a', 'search B.example. c', 'options ndots:2 edns0'].join('\n'))).toEqual({
      servers: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
      search: ['b.example', 'c'],
      ndots: 2,
      madeFor: undefined,
    });
  });

  it('hosts: names of a line, without comments and without what is no address', () => {
    expect(parseHosts('# a\n10.0.0.1 A b # c\nx y\nfe80::1%eth0 d\n')).toEqual([
      { address: '10.0.0.1', names: ['a', 'b'], line: 2 },
      { address: 'fe80::1%eth0', names: ['d'], line: 4 },
    ]);
  });
});

describe('what others tell', () => {
  it('systemd-resolved: servers and domains by link', () => {
    const manager = {
      DNSEx: [
        [0, 2, Uint8Array.of(9, 9, 9, 9), 0, ''],
        [3, 2, Uint8Array.of(10, 8, 0, 1), 5353, 'x'],
        [3, 10, new Uint8Array(16), 53, ''],
        ['x'],
        [4, 2, Uint8Array.of(1), 0, ''],
      ],
      Domains: [[3, 'Office.example', false], [3, '.', true], [7, 'a', false], 'x', [8]],
      FallbackDNSEx: [[0, 2, Uint8Array.of(1, 1, 1, 1), 0, '']],
    };
    expect(readManager(manager, (index) => index === 0, new Map([[3, 'tun0']]))).toEqual({
      scopes: [
        { device: undefined, servers: ['9.9.9.9'], domains: [], isDefault: true },
        {
          device: 'tun0',
          servers: ['10.8.0.1#5353', '::'],
          domains: [
            { index: 3, name: 'office.example', routeOnly: false },
            { index: 3, name: '', routeOnly: true },
          ],
          isDefault: false,
        },
        { device: 'link 7', servers: [], domains: [{ index: 7, name: 'a', routeOnly: false }], isDefault: false },
      ],
      fallback: ['1.1.1.1'],
    });
    expect(readManager({}, () => false, new Map())).toEqual({ scopes: [], fallback: [] });
  });

  it.each([
    [0, 0, true],
    [113, 1000, true],
    [65534, 1000, true],
    [1000, 1000, true],
    [1000, 0, false],
    [1001, 1000, false],
  ])('a dnsmasq of user %d, asked about by %d: %s', (owner, uid, trusted) => {
    expect(isTrusted(`Name:\tdnsmasq\nUid:\t${owner}\t${owner}\t${owner}\t${owner}\n`, uid)).toBe(trusted);
    expect(isTrusted('', uid)).toBe(false);
  });

  it('the control socket: a plan, or nothing that can be used', () => {
    const plan = { device: 'tun0', ipv6Leak: 'blocked', routes: [{ prefix: '10.0.0.0/8', origin: 'server' }, 5, {}] };
    expect(readPlan('office', { plan, journal: [], dns: null })).toMatchObject({
      device: 'tun0',
      routes: [{ prefix: '10.0.0.0/8' }],
    });
    for (const value of [null, undefined, 5, {}, { device: 5 }]) {
      expect(readPlan('office', value)).toBeUndefined();
      expect(readPlan('office', { plan: value })).toBeUndefined();
    }
  });
});

describe('what is said', () => {
  const tunnel = explainRoute(
    '10.77.0.1',
    found({ device: 'tun0', gateway: '10.8.0.1', source: '10.8.0.2', prefix: '10.77.0.0/24' }),
    facts(),
  );
  const decision = decideName(
    'intra.office.example.',
    stub(link('tun0', { servers: ['10.8.0.1'], domains: [domain('office.example')] })),
  );
  const server = explainRoute(
    '10.8.0.1',
    found({ device: 'tun0', gateway: undefined, prefix: '10.8.0.0/24' }),
    facts(),
  );

  it('is one plain sentence first, then the why', () => {
    const explanation = {
      query: 'intra.office.example',
      name: { ...decision, serverRoutes: [server] },
      problem: undefined,
      destinations: [tunnel],
    };
    expect(explanationLines(explanation)).toEqual([
      'intra.office.example (10.77.0.1) goes through the tunnel office (tun0).',
      '  name      10.8.0.1 on tun0 is asked by systemd-resolved for intra.office.example',
      '            tun0 has the domain office.example',
      '            the server 10.8.0.1 is reached through the tunnel office (tun0)',
      '  address   10.77.0.1',
      '  route     10.77.0.0/24 via 10.8.0.1 dev tun0, from 10.8.0.2',
      '  rule      32766 (from all lookup main): 10.77.0.0/24 is the longest match in the table main',
      '  because   the server of office pushed this route',
    ]);
    expect(explanationJson(explanation)).toMatchObject({
      query: 'intra.office.example',
      name: {
        asks: 'systemd-resolved',
        servers: [{ address: '10.8.0.1', device: 'tun0', way: { verdict: 'tunnel' } }],
      },
      addresses: [{ verdict: 'tunnel', tunnel: { name: 'office', device: 'tun0' }, rule: { priority: 32766 } }],
    });
  });

  it.each<[Partial<RouteFound>, RegExp]>([
    [{}, /^8\.8\.8\.8 goes past every tunnel, out of eth0 by way of 192\.0\.2\.1\.$/],
    [{ gateway: undefined }, /out of eth0, on the local network\.$/],
    [{ kind: 'local' }, /^8\.8\.8\.8 is this machine\.$/],
    [{ kind: 'prohibit' }, /a route of this machine refuses it/],
    [{ kind: 'none', device: undefined }, /this machine has no route to it/],
    [{ device: 'wg0' }, /goes through a tunnel \(wg0\) of another program or user\.$/],
  ])('of %j', (route, first) => {
    const destinations = [explainRoute('8.8.8.8', found(route), facts())];
    expect(explanationLines({ query: '8.8.8.8', name: undefined, problem: undefined, destinations })[0]).toMatch(first);
  });

  it('tells a name without an address, and who was asked', () => {
    const lines = explanationLines({
      query: 'x.example',
      name: { ...decision, serverRoutes: [] },
      problem: 'Name or service not known',
      destinations: [],
    });
    expect(lines[0]).toBe('x.example has no address: Name or service not known.');
    expect(lines).toHaveLength(3);
  });
});
