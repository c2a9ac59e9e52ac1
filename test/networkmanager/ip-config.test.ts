// A tunnel as the three dictionaries that NetworkManager takes, and what the client may say of one.

import { describe, expect, it } from 'vitest';
import { IP4_TYPES, type IpConfigRules, ipConfigOf, typedDictionary } from '../../apps/networkmanager/ip-config.ts';
import { readTunnelFacts, type TunnelFacts, tunnelFacts } from '../../apps/networkmanager/tunnel-facts.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { socketAddress } from '../../src/ip/socket-address.ts';
import { BusVariant } from '../../src/tunnel/bus-port.ts';
import type { PlannedRoute, TunnelPlan } from '../../src/tunnel/plan.ts';

const bytes = (text: string): Uint8Array => parseAddress(text) ?? new Uint8Array();
/** The address as NetworkManager has it in memory. */
const number = (text: string): number => new Uint32Array(Uint8Array.from(bytes(text)).buffer)[0] ?? 0;

const facts: TunnelFacts = {
  remote: '203.0.113.1',
  device: 'tun0',
  mtuBytes: 1420,
  address4: { local: '10.91.0.2', prefixLength: 24, remote: undefined },
  address6: { local: 'fd91::1000', prefixLength: 64 },
  gateway4: '10.91.0.1',
  gateway6: 'fd91::1',
  routes: [
    { prefix: '10.0.0.0/8', gateway: '10.91.0.1', metric: undefined },
    { prefix: '172.30.0.0/16', gateway: '10.91.0.1', metric: 70 },
    { prefix: 'fd20::/64', gateway: 'fd91::1', metric: undefined },
  ],
  redirect4: 'taken',
  redirect6: 'unsaid',
  dns: ['10.0.0.53', '10.0.0.54', 'fd20::53'],
  wins: ['10.0.0.60'],
  searchDomains: ['corp.example'],
  routingDomains: ['lab.example'],
  notes: [],
};
const rules: IpConfigRules = {
  neverDefault4: false,
  neverDefault6: false,
  takesDefaultRoute: true,
  blocksIpv6Leak: true,
  banner: undefined,
};
const signatures = (dictionary: Readonly<Record<string, BusVariant>> | undefined) =>
  Object.fromEntries(Object.entries(dictionary ?? {}).map(([name, { signature }]) => [name, signature]));
const values = (dictionary: Readonly<Record<string, BusVariant>> | undefined) =>
  Object.fromEntries(Object.entries(dictionary ?? {}).map(([name, { value }]) => [name, value]));

describe('what NetworkManager is told', () => {
  it('is all that was pushed, in its types', () => {
    const { config, ip4, ip6 } = ipConfigOf(facts, { ...rules, banner: 'Welcome' });
    expect(values(config)).toEqual({
      gateway: number('203.0.113.1'),
      tundev: 'tun0',
      mtu: 1420,
      'has-ip4': true,
      'has-ip6': true,
      'can-persist': true,
      banner: 'Welcome',
    });
    expect(values(ip4)).toEqual({
      address: number('10.91.0.2'),
      prefix: 24,
      'internal-gateway': number('10.91.0.1'),
      routes: [
        [number('10.0.0.0'), 8, number('10.91.0.1'), 0],
        [number('172.30.0.0'), 16, number('10.91.0.1'), 70],
      ],
      dns: [number('10.0.0.53'), number('10.0.0.54')],
      nbns: [number('10.0.0.60')],
      domains: ['corp.example', '~lab.example'],
      'never-default': false,
    });
    expect(values(ip6)).toEqual({
      address: bytes('fd91::1000'),
      prefix: 64,
      'internal-gateway': bytes('fd91::1'),
      routes: [[bytes('fd20::'), 64, bytes('fd91::1'), 0]],
      dns: [bytes('fd20::53')],
      domains: ['corp.example', '~lab.example'],
      'never-default': false,
    });
    expect(signatures(config).gateway).toBe('u');
    expect(signatures(ip4)).toMatchObject({
      address: 'u',
      routes: 'aau',
      dns: 'au',
      domains: 'as',
      'never-default': 'b',
    });
    expect(signatures(ip6)).toMatchObject({ address: 'ay', routes: 'a(ayuayu)', dns: 'aay' });
  });

  it('has the bytes of an address in network order', () => {
    if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) return;
    const { ip4 } = ipConfigOf(
      { ...facts, address4: { local: '10.91.0.1', prefixLength: 24, remote: undefined } },
      rules,
    );
    expect(ip4?.address?.value).toBe(16_800_522);
  });

  it('has the other end of a point-to-point tunnel, and an outer address of IPv6', () => {
    const { config, ip4 } = ipConfigOf(
      { ...facts, remote: '2001:db8::1', address4: { local: '10.8.0.6', prefixLength: 32, remote: '10.8.0.5' } },
      rules,
    );
    expect(values(ip4)).toMatchObject({ prefix: 32, ptp: number('10.8.0.5') });
    expect(config.gateway).toEqual(new BusVariant('ay', bytes('2001:db8::1')));
  });

  it.each([
    ['taken', true, false],
    ['taken', false, false],
    ['unsaid', true, false],
    ['unsaid', false, true],
    ['private', true, true],
    ['private', false, true],
  ] as const)(
    'of a default route that is %s (default-route=always: %s): never-default %s',
    (redirect4, always, never) => {
      const { ip4 } = ipConfigOf({ ...facts, redirect4 }, { ...rules, takesDefaultRoute: always });
      expect(ip4?.['never-default']?.value).toBe(never);
    },
  );

  it('has no IPv4 where the tunnel has none', () => {
    const { config, ip4 } = ipConfigOf({ ...facts, address4: undefined }, rules);
    expect(config['has-ip4']?.value).toBe(false);
    expect(ip4).toBeUndefined();
  });
});

describe('IPv6 beside a tunnel without it', () => {
  const four = { ...facts, address6: undefined };

  it('goes into the tunnel, by an address of our own and a default route', () => {
    const { config, ip6, blocksIpv6 } = ipConfigOf(four, rules);
    expect(blocksIpv6).toBe(true);
    expect(config['has-ip6']?.value).toBe(true);
    expect(values(ip6)).toEqual({
      address: bytes('fd73:616c:6c79:706f:7274:0:a5b:2'),
      prefix: 128,
      'never-default': false,
    });
  });

  it.each([
    ['the tunnel has IPv6 itself', facts, {}],
    ['the connection has turned it off', four, { blocksIpv6Leak: false }],
    ['the connection is for its own networks', four, { neverDefault4: true }],
    ['the server does not want the default route', { ...four, redirect4: 'private' }, {}],
    ['the default route is not taken', { ...four, redirect4: 'unsaid' }, { takesDefaultRoute: false }],
  ] as const)('is left alone where %s', (_, told, more) => {
    const { blocksIpv6, config } = ipConfigOf(told, { ...rules, ...more });
    expect(blocksIpv6).toBe(false);
    expect(config['has-ip6']?.value).toBe(told.address6 !== undefined);
  });
});

describe('a tunnel for its own networks only', () => {
  const only = { ...rules, neverDefault4: true, neverDefault6: true };

  it('has its name servers for its domains', () => {
    const { ip4, withoutDns } = ipConfigOf(facts, only);
    expect(ip4?.dns).toBeDefined();
    expect(withoutDns).toBe(false);
  });

  it.each([
    ['and has no domain: it has none', only, true],
    ['of IPv4, and everything of IPv6: it keeps them', { ...only, neverDefault6: false }, false],
    ['for everything: it keeps them', rules, false],
  ])('%s', (_, told, without) => {
    const { ip4, ip6, withoutDns } = ipConfigOf({ ...facts, searchDomains: [], routingDomains: [] }, told);
    expect(withoutDns).toBe(without);
    expect(ip4?.dns === undefined && ip6?.dns === undefined).toBe(without);
  });

  it('takes IPv6 along where all of IPv4 goes through it', () => {
    const pushed = { ...rules, takesDefaultRoute: false };
    expect(ipConfigOf(facts, pushed).ip6?.['never-default']?.value).toBe(false);
    expect(ipConfigOf(facts, { ...pushed, blocksIpv6Leak: false }).ip6?.['never-default']?.value).toBe(true);
    expect(ipConfigOf({ ...facts, redirect4: 'unsaid' }, pushed).ip6?.['never-default']?.value).toBe(true);
  });
});

describe('facts of a plan', () => {
  const route = (prefix: string, more: Partial<PlannedRoute> = {}): PlannedRoute => ({
    prefix: prefix as PlannedRoute['prefix'],
    gateway: '10.8.0.1',
    statedGateway: '10.8.0.1',
    device: undefined,
    metric: undefined,
    table: undefined,
    origin: 'server',
    ...more,
  });
  const plan: TunnelPlan = {
    device: 'tun0',
    layer: 'tun',
    topology: 'subnet',
    mtuBytes: 1500,
    linkAddress: undefined,
    address4: {
      local: '10.8.0.2',
      prefixLength: 24,
      remote: undefined,
      netmask: '255.255.255.0',
      broadcast: undefined,
    },
    address6: undefined,
    replacedRoutes: [],
    routes: [],
    dns: { servers: [], searchDomains: [] },
    redirect4: false,
    redirect6: false,
    blockIpv6: false,
    vpnGateway4: '10.8.0.1',
    vpnGateway6: undefined,
    netGateway4: '192.0.2.1',
    netGateway6: undefined,
    ipv6Leak: undefined,
  };
  const remote = socketAddress(bytes('203.0.113.1'), 1194);
  const server = (addresses: { address: string; port: number | undefined }[], more = {}) => ({
    ...{ priority: 0, addresses, resolveDomains: [], dnssec: undefined, transport: undefined, sni: undefined },
    ...more,
  });

  it('are its networks, and neither the way to the server nor a default route', () => {
    const { routes, redirect4 } = tunnelFacts(
      {
        ...plan,
        redirect4: true,
        routes: [
          route('203.0.113.1/32', { origin: 'host-route', gateway: '192.0.2.1' }),
          route('0.0.0.0/1', { origin: 'redirect-gateway' }),
          route('10.77.0.0/24', { metric: 7 }),
          route('0.0.0.0/0'),
        ],
      } as TunnelPlan,
      remote,
      [],
    );
    expect(routes).toEqual([{ prefix: '10.77.0.0/24', gateway: '10.8.0.1', metric: 7 }]);
    expect(redirect4).toBe('taken');
  });

  it('say that a default route is not to be taken, or nothing', () => {
    expect(tunnelFacts({ ...plan, redirect4: true } as TunnelPlan, remote, []).redirect4).toBe('private');
    expect(tunnelFacts(plan, remote, []).redirect4).toBe('unsaid');
    expect(tunnelFacts({ ...plan, routes: [route('0.0.0.0/0')] } as TunnelPlan, remote, []).redirect4).toBe('taken');
  });

  it('leave out, with a note, what NetworkManager can not be told', () => {
    const told = tunnelFacts(
      {
        ...plan,
        routes: [route('10.1.0.0/16', { gateway: '192.0.2.1' }), route('10.2.0.0/16', { table: 7 })],
        dns: {
          servers: [
            server([{ address: '10.0.0.1', port: 853 }], { transport: 'DoT' }),
            server([
              { address: '10.0.0.2', port: 5353 },
              { address: '10.0.0.3', port: 53 },
            ]),
            server([{ address: '10.0.0.4', port: undefined }], {
              resolveDomains: ['lab.example', 'corp.example', '.'],
            }),
          ],
          searchDomains: ['corp.example'],
        },
      } as TunnelPlan,
      remote,
      ['dhcp-option WINS 10.0.0.9', 'dhcp-option DNS 10.0.0.4', 'dhcp-option WINS nonsense'],
    );
    expect(told).toMatchObject({
      remote: '203.0.113.1',
      routes: [{ prefix: '10.2.0.0/16' }],
      dns: ['10.0.0.3', '10.0.0.4'],
      wins: ['10.0.0.9'],
      searchDomains: ['corp.example'],
      routingDomains: ['lab.example'],
    });
    expect(told.notes.join('\n')).toMatch(/10\.1\.0\.0\/16 past the tunnel.*\n.*10\.2\.0\.0\/16.*\n.*DoT\n.*5353/);
  });

  it('come through JSON as they are', () => {
    const told = tunnelFacts(plan, remote, []);
    expect(readTunnelFacts(JSON.parse(JSON.stringify(told)))).toEqual(told);
    expect(readTunnelFacts(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
  });
});

describe('facts that somebody else tells', () => {
  const route = { prefix: '10.0.0.0/8', gateway: '10.8.0.1' };

  it.each([
    ['nothing', undefined],
    ['a text', 'tun0'],
    ['no outer address', { ...facts, remote: 'vpn.example' }],
    ['an MTU that none has', { ...facts, mtuBytes: 10 }],
    ['an MTU that is no number', { ...facts, mtuBytes: '1500' }],
    ['an address of the other family', { ...facts, address4: { local: 'fd00::1', prefixLength: 24 } }],
    ['a prefix of no length', { ...facts, address4: { local: '10.0.0.1', prefixLength: 33 } }],
    ['a gateway that is a name', { ...facts, gateway4: 'gw' }],
    ['a gateway of the other family', { ...facts, gateway6: '10.0.0.1' }],
    ['a route to nowhere', { ...facts, routes: [{ prefix: 'lan' }] }],
    ['a route of two families', { ...facts, routes: [{ prefix: 'fd00::/64', gateway: '10.0.0.1' }] }],
    ['a route of a strange metric', { ...facts, routes: [{ ...route, metric: -1 }] }],
    ['more routes than any tunnel has', { ...facts, routes: Array.from({ length: 5000 }, () => route) }],
    ['a name server that is a name', { ...facts, dns: ['dns.example'] }],
    ['a domain with a line break', { ...facts, searchDomains: ['a\nnameserver 6.6.6.6'] }],
    ['a domain of another script', { ...facts, routingDomains: ['~.'] }],
    ['more domains than anybody searches', { ...facts, searchDomains: Array.from({ length: 999 }, () => 'a') }],
    ['a default route that is maybe', { ...facts, redirect4: 'maybe' }],
  ])('are not taken where they have %s', (_, value) => expect(readTunnelFacts(value)).toBeUndefined());
});

describe('what others may have us say', () => {
  it('has the types of the interface, and no other names', () => {
    const given = { address: 7, routes: [[1, 2, 3, 4]], gateway: bytes('fd00::1'), evil: 'x', __proto__: { dns: [] } };
    expect(signatures(typedDictionary(given, IP4_TYPES))).toEqual({ address: 'u', routes: 'aau', gateway: 'ay' });
    expect(typedDictionary('x', IP4_TYPES)).toEqual({});
  });
});
