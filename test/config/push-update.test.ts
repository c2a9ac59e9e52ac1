import { describe, expect, it } from 'vitest';
import type { TunnelOptions } from '../../src/config/config.ts';
import { parsePush } from '../../src/config/push.ts';
import { parsePushUpdate } from '../../src/config/push-update.ts';
import { configOf } from '../tunnel/profile.ts';

const PUSHED = [
  'topology subnet',
  'ifconfig 10.8.0.2 255.255.255.0',
  'ifconfig-ipv6 fd00:8::2/64 fd00:8::1',
  'route-gateway 10.8.0.1',
  'route-metric 7',
  'route 10.20.0.0 255.255.0.0',
  'route-ipv6 fd00:20::/48',
  'redirect-gateway def1',
  'dhcp-option DNS 10.8.0.1',
  'dns server 1 address 10.8.0.53',
  'dns search-domains a.example',
  'tun-mtu 1400',
  'block-ipv6',
  'ping 10',
  'peer-id 3',
];

/** What becomes of a tunnel with all of the above, and what is logged. */
function update(options: readonly string[], ...lines: string[]) {
  const config = configOf(...lines);
  const before = parsePush(PUSHED, config, 'push-reply').tunnel;
  const { tunnel, verdicts, rejected } = parsePushUpdate(options, before, config);
  const changed = Object.fromEntries(
    Object.entries(tunnel).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name as keyof TunnelOptions]),
    ),
  );
  return { changed, log: verdicts.map(({ text }) => text), rejected };
}

describe('an update', () => {
  it.each<[string, Record<string, unknown>]>([
    ['-route', { routes: [] }],
    ['-route-ipv6', { routes6: [] }],
    ['-ifconfig', { ifconfig: undefined }],
    ['-ifconfig-ipv6', { ifconfigIpv6: undefined }],
    ['-route-gateway', { routeGateway: undefined }],
    ['-route-metric', { routeMetric: undefined }],
    ['-redirect-gateway', { redirectGateway: undefined }],
    ['-redirect-private', { redirectGateway: undefined }],
    ['-dhcp-option', { dhcpOptions: [] }],
    ['-dns', { dns: [], dnsSearchDomains: [] }],
    ['-topology', { topology: undefined }],
    ['-tun-mtu', { tunMtuBytes: undefined }],
    ['-block-ipv6', { blockIpv6: false }],
    ['-?route', { routes: [] }],
    ['  -route', { routes: [] }],
    ['-push-continuation', {}],
  ])('with %j takes away what stands under that name, and nothing else', (option, changed) => {
    expect(update([option])).toMatchObject({ changed, rejected: undefined });
    expect(Object.keys(update([option]).changed)).toEqual(Object.keys(changed));
  });

  it('replaces what stands under a name, once for all options of that name', () => {
    const { changed } = update([
      'route 10.30.0.0 255.255.0.0',
      'route 10.40.0.0 255.255.0.0',
      'ifconfig 10.8.0.9 255.255.255.0',
    ]);
    expect(changed).toMatchObject({
      routes: [{ network: '10.30.0.0' }, { network: '10.40.0.0' }],
      ifconfig: { local: '10.8.0.9' },
    });
    expect(Object.keys(changed).sort()).toEqual(['ifconfig', 'routes']);
  });

  it('replaces the routes of the profile too, as C does', () => {
    expect(update(['route 10.30.0.0 255.255.0.0'], 'route 10.99.0.0 255.255.0.0').changed.routes).toHaveLength(1);
  });

  it.each([
    ['dns server 2 address 10.9.9.9', { dns: [{ priority: 2 }], dnsSearchDomains: [] }],
    ['dhcp-option DNS 10.9.9.9', { dhcpOptions: [['DNS', '10.9.9.9']] }],
    ['redirect-private', { redirectGateway: undefined, redirectPrivate: {} }],
    ['tun-mtu 1300', { tunMtuBytes: 1300 }],
    ['?tun-mtu 1300', { tunMtuBytes: 1300 }],
    ['topology p2p', { topology: 'p2p' }],
  ])('with %j replaces', (option, changed) => {
    expect(update([option]).changed).toMatchObject(changed);
    expect(update([option]).rejected).toBeUndefined();
  });

  it('takes away and sets again in the order in which it says so', () => {
    expect(update(['-route', 'route 10.30.0.0 255.255.0.0']).changed).toMatchObject({ routes: [{}] });
    expect(update(['route 10.30.0.0 255.255.0.0', '-route']).changed).toMatchObject({ routes: [] });
  });

  it.each(['ping 20', '-ping', 'cipher AES-128-GCM', 'wurst', 'routes', '?-route', '-', '?', '--route', '- route', ''])(
    'with %j is refused as a whole: the client has to reconnect',
    (option) => {
      const { rejected, log, changed } = update([option, '-route']);
      expect(rejected).toMatchObject({ code: 'SALLYPORT_PUSH', retry: true });
      expect(log).toEqual([`Pushed option is not updatable: '${option}'.`]);
      expect(Object.keys(changed)).toEqual([]);
    },
  );

  it.each(['?ping 20', '-?ping', '?wurst'])('leaves %j out, which is dispensable, and takes the rest', (option) => {
    const { rejected, log, changed } = update([option, '-route']);
    expect(rejected).toBeUndefined();
    expect(log[0]).toBe(`Pushed dispensable option is not updatable: '${option}'. Ignoring.`);
    expect(Object.keys(changed)).toEqual(['routes']);
  });

  it.each(['-route 10.20.0.0', '-keepalive', 'route', 'ifconfig 10.8.0.9'])(
    'complains about %j and takes the rest',
    (option) => {
      const { rejected, log, changed } = update([option, '-dns']);
      expect(rejected).toBeUndefined();
      expect(log.join('\n')).toMatch(/Options error: /);
      expect(Object.keys(changed)).toEqual(['dns', 'dnsSearchDomains']);
    },
  );

  it('takes no routes under route-nopull', () => {
    const { changed, log, rejected } = update(['-route', 'redirect-gateway', 'tun-mtu 1300'], 'route-nopull');
    expect(Object.keys(changed)).toEqual(['tunMtuBytes']);
    expect(log.filter((line) => line.includes('cannot be used in this context'))).toHaveLength(2);
    expect(rejected).toBeUndefined();
  });

  it('is filtered by name without its marks; what is filtered away and not dispensable refuses it', () => {
    const reject = 'pull-filter reject "route 10.30"';
    expect(update(['route 10.30.0.0 255.255.0.0'], reject).rejected).toMatchObject({ code: 'SALLYPORT_PUSH' });
    expect(update(['?route 10.30.0.0 255.255.0.0', '-dns'], reject)).toMatchObject({
      rejected: undefined,
      changed: { dns: [] },
    });
    expect(Object.keys(update(['-route'], 'pull-filter ignore route').changed)).toEqual([]);
  });

  it('that leaves a DNS server without an address is refused', () => {
    expect(update(['dns server 3 sni a.example']).rejected).toBeDefined();
  });

  it('takes no MTU beyond the limit of the profile', () => {
    expect(update(['tun-mtu 9000']).changed).toMatchObject({ tunMtuBytes: 1600 });
  });

  it('is read within a bound', () => {
    const { changed, log } = update(Array.from({ length: 20_002 }, () => 'route 10.30.0.0 255.255.0.0'));
    expect(changed.routes).toHaveLength(20_000);
    expect(log).toContain('Options error: only the first 20000 of 20002 pushed options are read');
  });
});
