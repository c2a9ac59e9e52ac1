import { describe, expect, it } from 'vitest';
import { parsePush } from '../../src/config/push.ts';
import { parsePushUpdate } from '../../src/config/push-update.ts';
import { Host } from '../../src/tunnel/host.ts';
import { type Ipv6LeakRule, ipv6LeakRule, leavesIpv6Beside } from '../../src/tunnel/ipv6-leak.ts';
import { makeTunnelPlan } from '../../src/tunnel/make-plan.ts';
import type { TunnelPlanInput } from '../../src/tunnel/planning.ts';
import { clientConfig, SUCCESS } from '../lab/client-lab.ts';
import { FakeHost } from './fake-host.ts';
import { configOf, facts, planInput, subnet, subnet6 } from './profile.ts';

const DEF1 = 'redirect-gateway def1';
const blocked = ['::/3', '2000::/4', '3000::/4'];

function planOf(lines: readonly string[], over: Partial<TunnelPlanInput> = {}) {
  const { plan, log } = makeTunnelPlan(planInput(lines, { ipv6Leak: 'block', ...over }));
  const refusing = plan.routes.filter(({ type }) => type === 'unreachable').map(({ prefix }) => prefix);
  return { plan, refusing, said: log.map(({ text }) => text) };
}

describe('IPv6 beside a tunnel', () => {
  it.each<[string, readonly string[]]>([
    ['redirect-gateway def1', [...subnet, DEF1]],
    ['redirect-gateway', [...subnet, 'redirect-gateway']],
    ['a default route', [...subnet, 'route 0.0.0.0 0.0.0.0']],
    ['four quarters', [...subnet, ...[0, 64, 128, 192].map((n) => `route ${n}.0.0.0 192.0.0.0`)]],
    ['an IPv6 address and networks of its own', [...subnet6, DEF1, 'route-ipv6 fd00:20::/48']],
    ['half of IPv6', [...subnet6, DEF1, 'route-ipv6 2000::/4']],
    ['IPv6 in another table', [...subnet6, DEF1, 'route-table 100', 'route-ipv6 ::/0']],
  ])('is blocked where the tunnel has %s', (_, lines) => {
    const { plan, refusing, said } = planOf(lines);
    expect(refusing).toEqual(blocked);
    expect(plan.ipv6Leak).toBe('blocked');
    expect(said.filter((line) => /^NOTE: IPv6 to the Internet is blocked/.test(line))).toHaveLength(1);
  });

  it.each<[string, readonly string[], Partial<TunnelPlanInput>]>([
    ['some networks only', [...subnet, 'route 10.20.0.0 255.255.0.0'], {}],
    ['one half of IPv4', [...subnet, 'route 0.0.0.0 128.0.0.0'], {}],
    ['a default route past it', [...subnet, 'route 0.0.0.0 0.0.0.0 net_gateway'], {}],
    ['all IPv4 in another table', [...subnet, 'route-table 100', 'route 0.0.0.0 0.0.0.0'], {}],
    ['IPv6, too', [...subnet6, 'redirect-gateway def1 ipv6'], {}],
    ['all of 2000::/3', [...subnet6, DEF1, 'route-ipv6 2000::/3'], {}],
    ['redirect-private', [...subnet, 'redirect-private def1'], {}],
    ['all, on a host without IPv6', [...subnet, DEF1], { facts: { ...facts, addresses: [] } }],
  ])('is no matter where the tunnel has %s', (_, lines, over) => {
    for (const ipv6Leak of ['block', 'warn'] as const) {
      const { plan, refusing, said } = planOf(lines, { ...over, ipv6Leak });
      expect(refusing).toEqual([]);
      expect(plan.ipv6Leak).toBeUndefined();
      expect(said.filter((line) => line.includes('IPv6'))).toEqual([]);
    }
  });

  it.each<[Ipv6LeakRule, RegExp | undefined]>([
    ['warn', /^WARNING: IPv6 goes past the tunnel, .* out of eth0, .*\(block-ipv6-leak yes blocks it/],
    ['not-ours', /^WARNING: IPv6 goes past the tunnel, .*\(under route-noexec/],
    ['allow', undefined],
  ])('is told of by the rule %s, and nothing changed', (ipv6Leak, warning) => {
    const { plan, refusing, said } = planOf([...subnet, DEF1], { ipv6Leak });
    expect(refusing).toEqual([]);
    expect(plan.ipv6Leak).toBe('open');
    if (warning === undefined) expect(said).toEqual([]);
    else expect(said).toEqual([expect.stringMatching(warning)]);
  });

  it('is no leak worth a warning where there is no way out for it', () => {
    const { plan, said } = planOf([...subnet, DEF1], { ipv6Leak: 'warn', facts: { ...facts, netGateway6: undefined } });
    expect([plan.ipv6Leak, said]).toEqual([undefined, []]);
  });

  it('is blocked also where it has no way out yet: one may come while the tunnel is up', () => {
    expect(planOf([...subnet, DEF1], { facts: { ...facts, netGateway6: undefined } }).refusing).toEqual(blocked);
  });

  it('keeps a way to the server of the VPN, first of all', () => {
    const { plan } = planOf([...subnet, DEF1], { server: '2001:db8:5::1' });
    const routes6 = plan.routes.filter(({ prefix }) => prefix.includes(':'));
    expect(routes6[0]).toMatchObject({ prefix: '2001:db8:5::1/128', gateway: '2001:db8:1::1', device: 'eth0' });
    expect(routes6.slice(1).map(({ prefix }) => prefix)).toEqual(blocked);
  });

  it('is left where IPv4 itself goes over it, and that is told', () => {
    const translated = { ...facts, serverGateway4: { ...facts.netGateway4!, device: 'clat' } };
    const { refusing, said } = planOf([...subnet, DEF1], { facts: translated });
    expect(refusing).toEqual([]);
    expect(said.join()).toMatch(/WARNING: IPv6 is not blocked .*464XLAT/);
    expect(planOf([...subnet, DEF1], { facts: translated, server: '2001:db8:5::1' }).refusing).toEqual(blocked);
  });

  it.each<[boolean | undefined, boolean, boolean, Ipv6LeakRule]>([
    [undefined, false, false, 'warn'],
    [undefined, true, false, 'block'],
    [true, false, false, 'block'],
    [false, false, false, 'allow'],
    [false, true, false, 'allow'],
    [true, false, true, 'not-ours'],
    [undefined, true, true, 'not-ours'],
    [false, false, true, 'allow'],
  ])('block-ipv6-leak %s with block-ipv6 %s and route-noexec %s is %s', (blockIpv6Leak, blockIpv6, noexec, rule) => {
    expect(ipv6LeakRule({ blockIpv6Leak, blockIpv6, routeNoexec: noexec })).toBe(rule);
  });

  it('can be asked about by who sets the routes', () => {
    const of = (...prefixes: readonly string[]) => prefixes.map((prefix) => ({ prefix, table: undefined }));
    expect(leavesIpv6Beside(of('0.0.0.0/1', '128.0.0.0/1'), [])).toBe(true);
    expect(leavesIpv6Beside(of('0.0.0.0/0'), of('2000::/4', '3000::/4'))).toBe(false);
    expect(leavesIpv6Beside(of('10.0.0.0/8'), [])).toBe(false);
  });
});

describe('block-ipv6-leak', () => {
  it.each([
    ['yes', true],
    ['no', false],
  ])('%s is read', (word, value) => expect(configOf(`block-ipv6-leak ${word}`).blockIpv6Leak).toBe(value));

  it('is not stated by default, and takes nothing else', () => {
    expect(configOf().blockIpv6Leak).toBeUndefined();
    expect(() => configOf('block-ipv6-leak maybe')).toThrow(/Bad --block-ipv6-leak parameter.*Write yes or no/);
  });

  it('is decided by the user alone: a server can not push it', () => {
    const { verdicts } = parsePush(['block-ipv6-leak no'], configOf(), 'push-reply');
    expect(verdicts.map(({ text }) => text).join()).toContain('cannot be used in this context');
  });
});

/** A tunnel on a host in memory, opened and routed. */
async function opened(lines: readonly string[], pushed: readonly string[], fake = new FakeHost()) {
  const config = clientConfig('remote 198.51.100.1', ...lines);
  const before = fake.state();
  const log: string[] = [];
  const host = new Host(config, {
    devices: fake.device,
    network: fake.network,
    scripts: { run: async () => SUCCESS },
    privileges: { chroot: () => {}, changeIdentity: () => [] },
    resolver: { resolve: async () => [] },
    log: (_flags, text) => log.push(text),
    pid: 1,
    startUnixSeconds: 1,
    unique: 'ab12',
    configFile: undefined,
  });
  const request = (tunnel: ReturnType<typeof parsePush>['tunnel']) => ({
    profile: config.connections[0]!,
    tunnel,
    remote: { family: 4, address: Uint8Array.of(198, 51, 100, 1), port: 1194, scopeId: 0 } as const,
    letGo: async () => {},
    signal: new AbortController().signal,
  });
  let { tunnel } = parsePush(pushed, config, 'push-reply');
  await host.open(request(tunnel));
  await host.route();
  return {
    host,
    log,
    refusing: () => fake.routes.filter(({ type }) => type === 'unreachable').map(({ prefix }) => prefix),
    update: async (...options: readonly string[]) => {
      tunnel = parsePushUpdate(options, tunnel, config).tunnel;
      await host.update(request(tunnel));
    },
    close: async () => {
      await host.close({ signal: 'SIGTERM', signalText: '', keep: false }, async () => {});
      return fake.state() === before;
    },
  };
}

describe('IPv6 on a host', () => {
  it('is blocked while the tunnel is up, and not afterwards', async () => {
    const { refusing, close } = await opened(['block-ipv6-leak yes'], [...subnet, DEF1]);
    expect(refusing()).toEqual(blocked);
    expect(await close()).toBe(true);
  });

  it('is blocked and left again as a redirection comes and goes', async () => {
    const { refusing, update, close } = await opened(['block-ipv6-leak yes'], subnet);
    expect(refusing()).toEqual([]);
    await update(DEF1);
    expect(refusing()).toEqual(blocked);
    await update('ifconfig-ipv6 fd00:8::2/64 fd00:8::1', 'redirect-gateway def1 ipv6');
    expect(refusing()).toEqual([]);
    await update('-redirect-gateway');
    expect(refusing()).toEqual([]);
    await update(DEF1);
    expect(refusing()).toEqual(blocked);
    expect(await close()).toBe(true);
  });

  it('stays blocked until the last of two tunnels is gone, whichever goes first', async () => {
    const fake = new FakeHost();
    const one = await opened(['block-ipv6-leak yes'], [...subnet, DEF1], fake);
    const two = await opened(
      ['block-ipv6-leak yes', 'dev tun7'],
      ['topology subnet', 'ifconfig 10.9.0.2 255.255.255.0', 'route-gateway 10.9.0.1', DEF1],
      fake,
    );
    expect(two.refusing()).toEqual([...blocked, ...blocked]);
    await one.close();
    expect(two.refusing()).toEqual(blocked);
    await two.close();
    expect(two.refusing()).toEqual([]);
  });

  it('is blocked by block-ipv6, which a server may push', async () => {
    const { refusing, close } = await opened([], [...subnet, DEF1, 'block-ipv6']);
    expect(refusing()).toEqual(blocked);
    expect(await close()).toBe(true);
  });

  it.each<[readonly string[], boolean]>([
    [[], true],
    [['block-ipv6-leak no'], false],
    [['block-ipv6-leak yes', 'route-noexec'], true],
    [['only-its-networks'], false],
  ])('stays open with %j, and that is told: %s', async (lines, told) => {
    const { refusing, log, close } = await opened(lines, [...subnet, DEF1]);
    expect(refusing()).toEqual([]);
    expect(log.filter((line) => line.startsWith('WARNING: IPv6 goes past the tunnel'))).toHaveLength(told ? 1 : 0);
    expect(await close()).toBe(true);
  });
});
