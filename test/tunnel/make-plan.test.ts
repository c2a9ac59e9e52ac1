import { describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/error.ts';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import type { PlannedRoute } from '../../src/tunnel/plan.ts';
import { namesToResolve, type TunnelPlanInput } from '../../src/tunnel/planning.ts';
import { facts, net30, optionsOf, planInput, serverOnLink, subnet, subnet6 } from './profile.ts';

/** A route as `ip route` would say it. */
function shown({ prefix, gateway, device, metric, table }: PlannedRoute): string {
  const words = [prefix];
  if (gateway !== undefined) words.push(`via ${gateway}`);
  if (device !== undefined) words.push(`dev ${device}`);
  if (metric !== undefined) words.push(`metric ${metric}`);
  if (table !== undefined) words.push(`table ${table}`);
  return words.join(' ');
}

function routesOf(lines: readonly string[], over: Partial<TunnelPlanInput> = {}): string[] {
  return makeTunnelPlan(planInput(lines, over)).plan.routes.map(shown);
}

function saidBy(lines: readonly string[], over: Partial<TunnelPlanInput> = {}): string[] {
  return makeTunnelPlan(planInput(lines, over)).log.map(({ text }) => text);
}

const halves = ['0.0.0.0/1 via 10.8.0.1', '128.0.0.0/1 via 10.8.0.1'];
const wholeIpv6 = ['::/3 dev tun', '2000::/4 dev tun', '3000::/4 dev tun', 'fc00::/7 dev tun'];
const pastTheTunnel = '198.51.100.1/32 via 192.0.2.1';

describe('addresses', () => {
  it('are a network with its broadcast address under topology subnet', () => {
    expect(makeTunnelPlan(planInput(subnet6)).plan).toMatchObject({
      topology: 'subnet',
      address4: { local: '10.8.0.2', prefixLength: 24, netmask: '255.255.255.0', broadcast: '10.8.0.255' },
      address6: { local: 'fd00:8::1000', prefixLength: 64, remote: 'fd00:8::1' },
    });
  });

  it.each(['net30', 'p2p'])('are a pair under topology %s', (topology) => {
    const { plan } = makeTunnelPlan(planInput([`topology ${topology}`, 'ifconfig 10.8.0.6 10.8.0.5']));
    expect(plan.address4).toEqual({
      local: '10.8.0.6',
      prefixLength: 32,
      remote: '10.8.0.5',
      netmask: undefined,
      broadcast: undefined,
    });
  });

  it('have no broadcast address in a network of two', () => {
    const { plan } = makeTunnelPlan(planInput(['topology subnet', 'ifconfig 10.8.0.2 255.255.255.254']));
    expect(plan.address4).toMatchObject({ prefixLength: 31, broadcast: undefined });
  });

  it('are refused when the netmask is none', () => {
    expect(() => makeTunnelPlan(planInput(['topology subnet', 'ifconfig 10.8.0.2 10.8.0.1']))).toThrow(SallyportError);
  });

  it('bring the C program’s warning when a pair looks like a netmask', () => {
    expect(saidBy(['topology net30', 'ifconfig 10.8.0.2 255.255.255.0'])[0]).toMatch(
      /^WARNING: Since you are using --dev tun with a point-to-point topology, .*\(255\.255\.255\.0\)/,
    );
  });

  it('bring a warning when the server is inside the tunnel’s own network', () => {
    expect(saidBy(net30, { server: '10.8.0.9' })[0]).toMatch(
      /^WARNING: potential conflict between --remote address \[10\.8\.0\.9\]/,
    );
    expect(saidBy(net30, { server: '10.8.0.9', ifconfigNowarn: true })).toEqual([]);
  });
});

// The routes that OpenVPN 2.6.14 and 2.7.8 leave for the same push.
describe('redirect-gateway', () => {
  it.each<[string, string[], Partial<TunnelPlanInput>]>([
    ['redirect-gateway def1', [pastTheTunnel, ...halves], {}],
    ['redirect-gateway', [pastTheTunnel, '0.0.0.0/0 via 10.8.0.1'], {}],
    ['redirect-gateway def1 local', halves, {}],
    ['redirect-gateway def1 autolocal', [pastTheTunnel, ...halves], {}],
    ['redirect-gateway def1 bypass-dhcp bypass-dns', [pastTheTunnel, ...halves], {}],
    [
      'redirect-gateway def1 block-local',
      [
        pastTheTunnel,
        '192.0.2.1/32 via 192.0.2.1 dev eth0',
        ...halves,
        '192.0.2.128/25 via 10.8.0.1',
        '192.0.2.0/25 via 10.8.0.1',
      ],
      {},
    ],
    ['redirect-gateway def1 !ipv4', [], {}],
    ['redirect-private def1', [pastTheTunnel], {}],
    ['redirect-gateway def1 ipv6', [pastTheTunnel, ...halves, ...wholeIpv6], {}],
    ['redirect-gateway ipv6 !ipv4', wholeIpv6, {}],
    [
      'redirect-gateway def1 ipv6',
      [...halves, '2001:db8:2::1/128 via 2001:db8:1::1 dev eth0 metric 1', ...wholeIpv6],
      { server: '2001:db8:2::1' },
    ],
  ])('%s makes the routes of the C program', (line, routes, over) => {
    expect(routesOf([...subnet6, line], over)).toEqual(routes);
  });

  it('needs no host route under autolocal when the server is on this network', () => {
    const over = { server: '192.0.2.1', facts: serverOnLink };
    expect(routesOf([...subnet, 'redirect-gateway def1 autolocal'], over)).toEqual(halves);
  });

  it('names the device where the server is on this network', () => {
    const over = { server: '192.0.2.1', facts: serverOnLink };
    expect(routesOf([...subnet, 'redirect-gateway def1'], over)).toEqual(['192.0.2.1/32 dev eth0', ...halves]);
  });

  it('does not block this network when the server is on it', () => {
    const over = { server: '192.0.2.1', facts: serverOnLink };
    expect(routesOf([...subnet, 'redirect-gateway def1 block-local'], over)).toHaveLength(3);
  });

  it('takes the default route away exactly as it was, without def1 alone', () => {
    expect(makeTunnelPlan(planInput([...subnet, 'redirect-gateway'])).plan.replacedRoutes).toEqual(
      facts.defaultRoutes4,
    );
    expect(makeTunnelPlan(planInput([...subnet, 'redirect-gateway def1'])).plan.replacedRoutes).toEqual([]);
  });

  it('goes through the remote end of a pair', () => {
    expect(routesOf([...net30, 'redirect-gateway def1']).at(-1)).toBe('128.0.0.0/1 via 10.8.0.5');
  });

  it('is left out without a default route on the host', () => {
    const alone = { ...facts, netGateway4: undefined, serverGateway4: undefined };
    const { plan, log, incomplete } = makeTunnelPlan(planInput([...subnet, 'redirect-gateway def1'], { facts: alone }));
    expect(plan.routes).toEqual([]);
    expect(plan.redirect4).toBe(false);
    expect(incomplete).toBe(true);
    expect(log.at(-1)?.text).toBe(
      'NOTE: unable to redirect IPv4 default gateway -- Cannot read current default gateway from system',
    );
  });

  it('works without a default route where the server needs none', () => {
    const alone = { ...facts, netGateway4: undefined, serverGateway4: undefined };
    expect(routesOf([...subnet, 'redirect-gateway def1 local'], { facts: alone })).toEqual(halves);
    expect(routesOf([...subnet, 'redirect-gateway def1'], { facts: alone, server: '2001:db8:2::1' })).toEqual(halves);
  });

  it('is left out without a gateway in the tunnel', () => {
    expect(saidBy(['topology subnet', 'ifconfig 10.8.0.2 255.255.255.0', 'redirect-gateway def1'])).toContain(
      'NOTE: unable to redirect IPv4 default gateway -- VPN gateway parameter (--route-gateway or --ifconfig) is missing',
    );
  });

  it('leaves IPv6 alone where the tunnel has none', () => {
    expect(routesOf([...subnet, 'redirect-gateway def1 ipv6'])).toEqual([pastTheTunnel, ...halves]);
  });
});

describe('stated routes', () => {
  it.each<[string, string]>([
    ['route 10.9.0.0 255.255.0.0', '10.9.0.0/16 via 10.8.0.1'],
    ['route 10.9.0.7', '10.9.0.7/32 via 10.8.0.1'],
    ['route 10.9.0.0 255.255.0.0 vpn_gateway 77', '10.9.0.0/16 via 10.8.0.1 metric 77'],
    ['route 10.9.0.0 255.255.0.0 net_gateway', '10.9.0.0/16 via 192.0.2.1'],
    ['route 10.9.0.0 255.255.0.0 10.8.0.77 0', '10.9.0.0/16 via 10.8.0.77 metric 0'],
    ['route 10.9.0.0 default default 3', '10.9.0.0/32 via 10.8.0.1 metric 3'],
    ['route remote_host 255.255.255.255 net_gateway', '198.51.100.1/32 via 192.0.2.1'],
    ['route-ipv6 fd00:99::/48', 'fd00:99::/48 dev tun'],
    ['route-ipv6 fd00:99::5/48 fd00:8::77 9', 'fd00:99::/48 dev tun metric 9'],
  ])('%s becomes %s', (line, route) => {
    expect(routesOf([...subnet6, line])).toEqual([route]);
  });

  it('get the default metric and table', () => {
    const lines = ['route-metric 50', 'route-table 7', 'route 10.9.0.0 255.255.0.0', 'route-ipv6 fd00:99::/48'];
    expect(routesOf([...subnet6, ...lines])).toEqual([
      '10.9.0.0/16 via 10.8.0.1 metric 50 table 7',
      'fd00:99::/48 dev tun metric 50 table 7',
    ]);
  });

  it('go through the remote end of a pair', () => {
    expect(routesOf([...net30, 'route 10.9.0.0 255.255.0.0'])).toEqual(['10.9.0.0/16 via 10.8.0.5']);
  });

  it('go to every address of a name', () => {
    const resolved = new Map([['intra.example', ['10.9.0.1', '10.9.0.2']]]);
    expect(routesOf([...subnet, 'route intra.example'], { resolved })).toEqual([
      '10.9.0.1/32 via 10.8.0.1',
      '10.9.0.2/32 via 10.8.0.1',
    ]);
  });

  it('are left out, one by one, where a name has no address', () => {
    const { plan, log, incomplete } = makeTunnelPlan(
      planInput([...subnet, 'route intra.example', 'route 10.9.0.0 255.255.0.0']),
    );
    expect(plan.routes.map(shown)).toEqual(['10.9.0.0/16 via 10.8.0.1']);
    expect(log.map(({ text }) => text)).toEqual([
      'OpenVPN ROUTE: failed to parse/resolve route for host/network: intra.example',
    ]);
    expect(incomplete).toBe(true);
  });

  it('lose bits beyond their netmask, with a word about it', () => {
    const { plan, log } = makeTunnelPlan(planInput([...subnet, 'route 10.9.3.4 255.255.0.0']));
    expect(plan.routes.map(shown)).toEqual(['10.9.0.0/16 via 10.8.0.1']);
    expect(log[0]?.text).toContain('10.9.3.4/16');
  });

  it('say that no gateway is known, in the words of the C program', () => {
    const alone = { ...facts, netGateway4: undefined };
    expect(saidBy(['topology subnet', 'ifconfig 10.8.0.2 255.255.255.0', 'route 10.9.0.0 255.255.0.0'])).toContain(
      'OpenVPN ROUTE: OpenVPN needs a gateway parameter for a --route option and no default was specified by either --route-gateway or --ifconfig options',
    );
    expect(saidBy([...subnet, 'route 10.9.0.0 255.255.0.0 net_gateway'], { facts: alone })).toContain(
      'OpenVPN ROUTE: net_gateway undefined -- unable to get default gateway from system',
    );
  });

  it('warn where the tunnel has no address of their family', () => {
    expect(saidBy([...subnet, 'route-ipv6 fd00:99::/48'])).toEqual([
      expect.stringMatching(/^WARNING: OpenVPN was configured to add an IPv6 route\. However, no IPv6/),
    ]);
  });

  it('need a gateway into a tap device for IPv6', () => {
    const device = { name: 'tap', type: 'tap', node: undefined } as const;
    const line = 'route-ipv6 fd00:99::/48';
    expect(routesOf([...subnet6, line], { device })).toEqual(['fd00:99::/48 via fd00:8::1 dev tap']);
    expect(routesOf([...subnet, line], { device })).toEqual([]);
  });

  it('tell whose they are', () => {
    const profile = optionsOf('route 10.1.0.0 255.255.0.0');
    const pushed = optionsOf(...subnet, 'route 10.2.0.0 255.255.0.0');
    const options = { ...pushed, routes: [...profile.routes, ...pushed.routes] };
    const { plan } = makeTunnelPlan(planInput([], { options, profile }));
    expect(plan.routes.map(({ origin }) => origin)).toEqual(['client', 'server']);
  });
});

describe('the way to the server', () => {
  it('is kept out of a tunnel route that covers it', () => {
    expect(routesOf([...subnet, 'route 198.51.0.0 255.255.0.0'])).toEqual([
      pastTheTunnel,
      '198.51.0.0/16 via 10.8.0.1',
    ]);
    expect(routesOf([...subnet6, 'route-ipv6 2001:db8::/32'], { server: '2001:db8:2::1' })).toEqual([
      '2001:db8:2::1/128 via 2001:db8:1::1 dev eth0 metric 1',
      '2001:db8::/32 dev tun',
    ]);
  });

  it('is left as it is where its own network is more specific than the tunnel’s route', () => {
    const over = { server: '192.0.2.1', facts: serverOnLink };
    expect(routesOf([...subnet, 'route 192.0.0.0 255.255.0.0'], over)).toEqual(['192.0.0.0/16 via 10.8.0.1']);
    expect(routesOf([...subnet, 'route 192.0.2.0 255.255.255.128'], over)[0]).toBe('192.0.2.1/32 dev eth0');
  });

  it('is not doubled where the profile states it', () => {
    const lines = ['route 198.51.0.0 255.255.0.0', 'route 198.51.100.1 255.255.255.255 net_gateway'];
    expect(routesOf([...subnet, ...lines]).filter((route) => route === pastTheTunnel)).toHaveLength(1);
  });

  it('never goes through the tunnel by a route of its own', () => {
    expect(routesOf([...subnet, 'route 198.51.100.1'])).toEqual([]);
    expect(routesOf([...subnet6, 'route-ipv6 2001:db8:2::1/128'], { server: '2001:db8:2::1' })).toEqual([]);
  });

  it('is not touched by routes past the tunnel', () => {
    expect(routesOf([...subnet, 'route 198.51.0.0 255.255.0.0 net_gateway'])).toEqual(['198.51.0.0/16 via 192.0.2.1']);
  });
});

describe('DNS', () => {
  it('comes from dns servers by priority', () => {
    const lines = [
      'dns server 2 address 10.8.0.2',
      'dns server 1 address 10.8.0.1:5353',
      'dns search-domains a.example',
    ];
    expect(makeTunnelPlan(planInput([...subnet, ...lines, 'dhcp-option DNS 10.9.9.9'])).plan.dns).toMatchObject({
      servers: [
        { priority: 1, addresses: [{ address: '10.8.0.1', port: 5353 }] },
        { priority: 2, addresses: [{ address: '10.8.0.2' }] },
      ],
      searchDomains: ['a.example'],
    });
  });

  it('comes from dhcp-option lines where there is no dns server', () => {
    const lines = ['dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN a.example', 'dhcp-option DNS6 fd00:8::1'];
    expect(makeTunnelPlan(planInput([...subnet, ...lines])).plan.dns).toMatchObject({
      servers: [{ addresses: [{ address: '10.8.0.1' }, { address: 'fd00:8::1' }] }],
      searchDomains: ['a.example'],
    });
  });
});

describe('namesToResolve', () => {
  it('lists names once, and neither addresses nor the words for gateways', () => {
    const lines = [
      'route a.example',
      'route a.example 255.255.255.255 net_gateway',
      'route 10.0.0.1',
      'route remote_host',
    ];
    expect(namesToResolve(optionsOf(...lines))).toEqual(['a.example']);
  });
});
