import { describe, expect, it } from 'vitest';
import { applySteps } from '../../src/tunnel/apply-steps.ts';
import { followUplink } from '../../src/tunnel/follow-uplink.ts';
import { Journal } from '../../src/tunnel/journal.ts';
import type { HostRoute } from '../../src/tunnel/ports.ts';
import { FakeHost } from './fake-host.ts';

const nothing = { metric: undefined, table: undefined };
const wlan = { device: 'wlan0', address: '10.1.1.2', prefixLength: 24, remote: undefined };

/** A host with a standing route to a server, past a tunnel: `follow` asks it to follow the default route. */
async function standing(prefix: HostRoute['prefix'], gateway: string | undefined) {
  const host = new FakeHost();
  for (const own of ['192.0.2.0/24', '2001:db8:1::/64'] as const)
    host.routes.push({ prefix: own, gateway: undefined, device: 'eth0', ...nothing });
  const journal = new Journal();
  const log = () => {};
  const route: HostRoute = { prefix, gateway, device: 'eth0', ...nothing };
  const ports = { device: host.device, network: host.network, runHook: async () => {} };
  await applySteps([{ kind: 'add-route', route, shownGateway: undefined }], journal, ports, log);
  const server = prefix.slice(0, prefix.indexOf('/'));
  return {
    host,
    follow: () => followUplink(server, 'tun0', { journal, network: host.network, log }),
    way: () => host.network.routesTo(prefix).map((found) => `${found.gateway ?? 'on link'} ${found.device}`),
    /** The kernel takes these routes with a link that goes down, and leaves the addresses. */
    forget: (...prefixes: string[]) => {
      host.routes = host.routes.filter((other) => !prefixes.includes(other.prefix));
    },
    /** The host leaves eth0 for a network without the server. */
    move() {
      host.devices.set('wlan0', { up: true, mtuBytes: 1500 });
      host.addresses = [...host.addresses.filter(({ device }) => device !== 'eth0'), wlan];
      const others = host.routes.filter(({ prefix: other }) => !other.endsWith('/0'));
      host.routes = [
        ...others,
        { prefix: '0.0.0.0/0', gateway: '10.1.1.1', device: 'wlan0', ...nothing },
        { prefix: '::/0', gateway: 'fe80::1', device: 'wlan0', ...nothing },
      ];
    },
  };
}

describe('the route to the server', () => {
  it.each<[string, HostRoute['prefix'], string | undefined]>([
    ['of the own network stays there, whatever the default route is', '192.0.2.9/32', undefined],
    ['that is the gateway itself stays as it is', '192.0.2.1/32', undefined],
    ['of the own network stays there over IPv6', '2001:db8:1::9/128', undefined],
    ['elsewhere stays where the default route leads', '198.51.100.1/32', '192.0.2.1'],
  ])('%s', async (_title, prefix, gateway) => {
    const { host, follow, way } = await standing(prefix, gateway);
    const before = host.state();
    expect(follow()).toBe(false);
    expect(host.state()).toBe(before);
    expect(way()).toEqual([`${gateway ?? 'on link'} eth0`]);
  });
  it('of the own network comes back with the link, and is not asked of a link that is down', async () => {
    const { follow, way, forget, host } = await standing('192.0.2.9/32', undefined);
    const link = host.routes.filter(({ device }) => device === 'eth0');
    forget(...link.map(({ prefix }) => prefix));
    expect(follow()).toBe(false);
    expect(way()).toEqual([]);
    host.routes = link.filter(({ prefix }) => prefix !== '192.0.2.9/32');
    expect(follow()).toBe(true);
    expect(way()).toEqual(['on link eth0']);
    expect(follow()).toBe(false);
  });
  it('of the own network goes by another uplink while the link is down', async () => {
    const { follow, way, forget, host } = await standing('192.0.2.9/32', undefined);
    forget('192.0.2.9/32', '192.0.2.0/24', '0.0.0.0/0');
    host.addresses.push(wlan);
    host.devices.set('wlan0', { up: true, mtuBytes: 1500 });
    host.routes.push({ prefix: '0.0.0.0/0', gateway: '10.1.1.1', device: 'wlan0', ...nothing });
    expect(follow()).toBe(true);
    expect(way()).toEqual(['10.1.1.1 wlan0']);
  });
  it.each<[string, HostRoute['prefix'], string | undefined, string]>([
    ['of a network that the host has left', '192.0.2.9/32', undefined, '10.1.1.1 wlan0'],
    ['of a network that the host has left, over IPv6', '2001:db8:1::9/128', undefined, 'fe80::1 wlan0'],
    ['elsewhere', '198.51.100.1/32', '192.0.2.1', '10.1.1.1 wlan0'],
  ])('follows the default route: to a server %s', async (_title, prefix, gateway, after) => {
    const { host, follow, way, move } = await standing(prefix, gateway);
    move();
    host.network.addRoute = (route) => void host.routes.push(route);
    expect(follow()).toBe(true);
    expect(way()).toEqual([after]);
    expect(follow()).toBe(false);
  });
});
