import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNetlinkPort, type NetlinkPort } from '../../src/linux/netlink.ts';
import { createTunPort } from '../../src/linux/tun.ts';
import type { HostRoute, OpenDevice } from '../../src/tunnel/ports.ts';
import { enterPrivateNetwork, privateNetworkRefusal } from '../lab/private-network.ts';

const refusal = privateNetworkRefusal();
if (refusal !== undefined) console.warn(`skipped: netlink and tun devices: ${refusal}`);

const ip = (...words: string[]): string =>
  execFileSync('ip', words, { encoding: 'utf8', timeout: 5_000, stdio: ['ignore', 'pipe', 'ignore'] });
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};
const route = (prefix: string, rest: Partial<HostRoute>): HostRoute => ({
  prefix,
  gateway: undefined,
  device: undefined,
  metric: undefined,
  table: undefined,
  ...rest,
});

describe.skipIf(refusal !== undefined)('the host through the kernel', () => {
  const tun = createTunPort();
  let network: { leave(): void };
  let port: NetlinkPort;
  let device: OpenDevice;
  const open = (name: string, more: { layer?: 'tun' | 'tap'; node?: string; txQueueLength?: number } = {}) =>
    tun.open({ name, layer: 'tun', node: undefined, txQueueLength: undefined, ...more });

  beforeAll(() => {
    network = enterPrivateNetwork();
    port = createNetlinkPort();
    device = open('tun');
  });
  afterAll(() => {
    tun.close(device);
    port.close();
    network.leave();
  });

  describe('tun devices', () => {
    it('opens the first free tunN as a point-to-point device without ARP and without link address', () => {
      const text = ip('link', 'show', device.name);
      expect(device).toMatchObject({ name: 'tun0', persistent: false });
      expect(text).toContain('POINTOPOINT');
      expect(text).toContain('NOARP');
      expect(text).toContain('link/none');
      const second = open('tun', { txQueueLength: 77 });
      expect(second.name).toBe('tun1');
      expect(ip('link', 'show', 'tun1')).toContain('qlen 77');
      tun.close(second);
      expect(() => ip('link', 'show', 'tun1')).toThrow();
    });

    it('opens a tap with a link address', () => {
      const tap = open('tap', { layer: 'tap' });
      expect(tap.name).toBe('tap0');
      expect(ip('link', 'show', 'tap0')).toContain(`link/ether ${port.linkAddressOf('tap0')} `);
      tun.close(tap);
    });

    it('uses a persistent device as it is and says so', () => {
      ip('tuntap', 'add', 'dev', 'kept', 'mode', 'tun');
      const kept = open('kept');
      expect(kept).toMatchObject({ name: 'kept', persistent: true });
      tun.close(kept);
      expect(ip('link', 'show', 'kept')).toContain('kept');
      ip('link', 'del', 'kept');
    });

    it('gives super-packets to whoever knows of them: not out of a tap, nor a persistent device', () => {
      expect(device.offload).toBe('tcp-udp');
      const features = ip('-details', 'link', 'show', device.name);
      expect(features).toContain('vnet_hdr on');
      const tap = open('tap', { layer: 'tap' });
      expect(tap.offload).toBeUndefined();
      tun.close(tap);
      ip('tuntap', 'add', 'dev', 'kept', 'mode', 'tun');
      const kept = open('kept');
      expect([kept.persistent, kept.offload]).toEqual([true, undefined]);
      expect(ip('-details', 'link', 'show', 'kept')).toContain('vnet_hdr off');
      tun.close(kept);
      ip('link', 'del', 'kept');
    });

    it('says which step failed, with the code of the reason', () => {
      expect(codeOf(() => open('tun0'))).toBe('EBUSY');
      expect(() => open('tun0')).toThrow('Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)');
      expect(() => open('tun', { node: '/no/such/node' })).toThrow(
        'Cannot open TUN/TAP dev /no/such/node: No such file or directory (errno=2)',
      );
      expect(codeOf(() => open('a-name-of-sixteen'))).toBe('EINVAL');
    });
  });

  describe('links and addresses', () => {
    it('sets a link up and down, and its MTU', () => {
      port.setMtu('tun0', 1400);
      port.setLinkUp('tun0', true);
      expect(ip('link', 'show', 'tun0')).toMatch(/[<,]UP[,>].* mtu 1400 /);
      port.setLinkUp('tun0', false);
      expect(ip('link', 'show', 'tun0')).not.toMatch(/[<,]UP[,>]/);
      port.setLinkUp('tun0', true);
    });

    it('adds, lists and removes addresses of both families, with broadcast and with a far end', () => {
      port.addAddress('tun0', '10.8.0.2', 24, { broadcast: '10.8.0.255' });
      port.addAddress('tun0', '10.9.0.2', 32, { remote: '10.9.0.1' });
      port.addAddress('tun0', 'fd00:8::2', 64, {});
      const text = ip('addr', 'show', 'tun0');
      expect(text).toContain('inet 10.8.0.2/24 brd 10.8.0.255');
      expect(text).toContain('inet 10.9.0.2 peer 10.9.0.1/32');
      expect(text).toContain('inet6 fd00:8::2/64');
      expect(port.addressesOf('tun0')).toEqual(
        expect.arrayContaining([
          { address: '10.8.0.2', prefixLength: 24 },
          { address: '10.9.0.2', prefixLength: 32 },
          { address: 'fd00:8::2', prefixLength: 64 },
        ]),
      );
      expect(port.addresses()).toEqual(
        expect.arrayContaining(port.addressesOf('tun0').map((address) => ({ device: 'tun0', ...address }))),
      );
      port.removeAddress('tun0', '10.9.0.2', 32, { remote: '10.9.0.1' });
      port.removeAddress('tun0', 'fd00:8::2', 64, {});
      expect(ip('addr', 'show', 'tun0')).not.toMatch(/10\.9\.0\.2|fd00:8::2/);
      expect(codeOf(() => port.removeAddress('tun0', 'fd00:8::2', 64, {}))).toBe('EADDRNOTAVAIL');
    });

    it('names what is not there', () => {
      expect(codeOf(() => port.setLinkUp('tun9', true))).toBe('ENODEV');
      expect(() => port.setLinkUp('tun9', true)).toThrow('Cannot find device tun9: No such device (errno=19)');
      expect(codeOf(() => port.addAddress('tun0', '10.8.0', 24, {}))).toBe('EINVAL');
    });
  });

  describe('routes', () => {
    it('adds a route by device, by gateway, with metric and in another table, and removes each', () => {
      const routes = [
        route('192.168.50.0/24', { device: 'tun0' }),
        route('192.168.51.0/24', { gateway: '10.8.0.1', metric: 50 }),
        route('192.168.52.0/24', { gateway: '10.8.0.1', device: 'tun0', table: 1000 }),
        route('fd00:51::/64', { device: 'tun0', metric: 200 }),
      ];
      for (const each of routes) port.addRoute(each);
      expect(ip('route')).toContain('192.168.50.0/24 dev tun0 scope link');
      expect(ip('route')).toContain('192.168.51.0/24 via 10.8.0.1 dev tun0 metric 50');
      expect(ip('route', 'show', 'table', '1000')).toContain('192.168.52.0/24 via 10.8.0.1 dev tun0');
      expect(ip('-6', 'route')).toContain('fd00:51::/64 dev tun0 metric 200');
      for (const each of routes) expect(codeOf(() => port.addRoute(each))).toBe('EEXIST');
      for (const each of routes) port.removeRoute(each);
      expect(ip('route') + ip('-6', 'route') + ip('route', 'show', 'table', '1000')).not.toMatch(/192\.168\.5|fd00:51/);
      for (const each of routes) expect(codeOf(() => port.removeRoute(each))).toBe('ESRCH');
    });

    it('adds a route that refuses, tells it from others, and removes it', () => {
      const refusing = route('2000::/4', { device: 'lo', type: 'unreachable' });
      port.addRoute(refusing);
      expect(ip('-6', 'route')).toMatch(/^unreachable 2000::\/4 dev lo /m);
      expect(port.routesTo('2000::/4')).toEqual([{ ...refusing, metric: 1024 }]);
      expect(port.lookup('2001:db8::1')).toBeUndefined();
      expect(codeOf(() => port.addRoute(refusing))).toBe('EEXIST');
      port.removeRoute(refusing);
      expect(port.routesTo('2000::/4')).toEqual([]);
      ip('-6', 'route', 'add', 'prohibit', '2000::/4');
      expect(port.routesTo('2000::/4')).toMatchObject([{ type: 'prohibit' }]);
      ip('-6', 'route', 'del', 'prohibit', '2000::/4');
    });

    it('finds a route of the main table also where a rule leads its address to another table', () => {
      const narrow = route('192.168.60.0/24', { device: 'tun0' });
      port.addRoute(narrow);
      ip('route', 'add', '192.168.0.0/16', 'dev', 'tun0', 'table', '1000');
      ip('rule', 'add', 'table', '1000', 'priority', '10');
      try {
        expect(port.routesTo('192.168.60.0/24')).toMatchObject([{ device: 'tun0' }]);
      } finally {
        ip('rule', 'del', 'table', '1000', 'priority', '10');
      }
      port.removeRoute(narrow);
    });

    it('refuses a gateway that nothing leads to', () => {
      expect(codeOf(() => port.addRoute(route('192.168.53.0/24', { gateway: '172.20.0.1' })))).toBe('ENETUNREACH');
    });

    it('looks up how an address is reached', () => {
      ip('link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1');
      ip('link', 'set', 'veth0', 'address', '02:00:00:00:00:aa', 'up');
      ip('addr', 'add', '203.0.113.2/24', 'dev', 'veth0');
      ip('route', 'add', 'default', 'via', '203.0.113.1', 'metric', '100');
      expect(port.lookup('198.51.100.7')).toEqual({
        gateway: '203.0.113.1',
        device: 'veth0',
        deviceIndex: Number(ip('-o', 'link', 'show', 'veth0').split(':')[0]),
        source: '203.0.113.2',
        linkAddress: '02:00:00:00:00:aa',
      });
      expect(port.lookup('10.8.0.77')).toMatchObject({ gateway: undefined, device: 'tun0', linkAddress: undefined });
      expect(port.lookup('2001:db8::1')).toBeUndefined();
      ip('-6', 'route', 'add', 'unreachable', '2001:db8::/32');
      expect(port.lookup('2001:db8::1')).toBeUndefined();
    });

    it('tells the default routes and puts one back exactly as it was', () => {
      ip(
        'route',
        'add',
        'default',
        'via',
        '203.0.113.9',
        'metric',
        '300',
        'proto',
        'dhcp',
        'src',
        '203.0.113.2',
        'mtu',
        '1300',
      );
      const before = ip('route');
      const found = port.defaultRoutes(4);
      expect(found.map(({ gateway, device, metric }) => ({ gateway, device, metric }))).toEqual([
        { gateway: '203.0.113.1', device: 'veth0', metric: 100 },
        { gateway: '203.0.113.9', device: 'veth0', metric: 300 },
      ]);
      for (const each of found) port.removeRoute(each);
      expect(port.defaultRoutes(4)).toEqual([]);
      for (const each of found) port.addRoute(each);
      expect(ip('route')).toBe(before);
    });

    it('tells a default route over two gateways by its first, and puts both back', () => {
      ip('route', 'flush', 'default');
      const hops = ['nexthop', 'via', '203.0.113.1', 'dev', 'veth0', 'nexthop', 'via', '203.0.113.5', 'dev', 'veth0'];
      ip('route', 'add', 'default', ...hops);
      const before = ip('route');
      const [found] = port.defaultRoutes(4);
      expect(found).toMatchObject({ gateway: '203.0.113.1', device: 'veth0', metric: 0 });
      port.removeRoute(found!);
      port.addRoute(found!);
      expect(ip('route')).toBe(before);
    });

    it('puts an IPv6 default route back that goes on ageing', () => {
      writeFileSync('/proc/sys/net/ipv6/conf/veth0/disable_ipv6', '0');
      ip('addr', 'add', 'fd00:33::2/64', 'dev', 'veth0', 'nodad');
      ip('link', 'set', 'veth1', 'up');
      ip('-6', 'route', 'add', 'default', 'via', 'fd00:33::1', 'expires', '500', 'metric', '700');
      const [found] = port.defaultRoutes(6);
      expect(found).toMatchObject({ gateway: 'fd00:33::1', device: 'veth0', metric: 700 });
      port.removeRoute(found!);
      expect(port.defaultRoutes(6)).toEqual([]);
      port.addRoute(found!);
      expect(ip('-6', 'route', 'show', 'default')).toMatch(/via fd00:33::1 dev veth0 metric 700 expires (500|499)sec/);
    });
  });
});
