import { describe, expect, it } from 'vitest';
import { quotaLine, RouteTable, routeAddress } from '../../src/server/route-table.ts';

const table = (): RouteTable<number> => new RouteTable(['10.8.0.1', 'fd00:8::1']);

describe('the table of routes', () => {
  it.each([
    ['10.8.0.2', 'add'],
    ['192.168.44.0/24', 'add'],
    ['fd00:8::1000', 'add'],
    ['fd00:44::/64', 'add'],
    ['0.0.0.0/0', 'add'],
    ['::/7', 'add'],
    ['10.8.0.1', 'local'],
    ['fd00:8::1', 'local'],
    ['0.0.0.0', 'unlearnable'],
    ['0.0.0.0/8', 'unlearnable'],
    ['::/64', 'unlearnable'],
    ['255.255.255.255', 'unlearnable'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'unlearnable'],
    ['nonsense', 'unlearnable'],
    ['02:00:00:00:00:01@0', 'add'],
    ['ff:ff:ff:ff:ff:ff@0', 'unlearnable'],
    ['33:33:00:00:00:01@0', 'unlearnable'],
    ['00:00:00:00:00:00@0', 'unlearnable'],
  ] as const)('says of %s: %s', (address, verdict) => {
    expect(table().check(1, address, 256)).toBe(verdict);
  });

  it('knows what it has, and whom another client would take it from', () => {
    const routes = table();
    expect(routes.learn(1, '10.8.0.2', 100)).toBeUndefined();
    expect(routes.check(1, '10.8.0.2', 256)).toBe('known');
    expect(routes.check(2, '10.8.0.2', 256)).toBe('update');
    expect(routes.learn(2, '10.8.0.2', 200)).toBe(1);
    expect(routes.addressesOf(1)).toEqual([]);
    expect(routes.addressesOf(2)).toEqual(['10.8.0.2']);
    expect(routes.entries()).toEqual([{ address: '10.8.0.2', owner: 2, learnedUnixSeconds: 200 }]);
  });

  it('gives a client so many routes and no more', () => {
    const routes = table();
    routes.learn(1, '10.8.0.2', 0);
    expect(routes.check(1, '10.0.0.0/8', 2)).toBe('add');
    routes.learn(1, '10.0.0.0/8', 0);
    expect(routes.check(1, '10.1.0.0/16', 2)).toBe('quota');
    expect(routes.check(1, '10.0.0.0/8', 2)).toBe('known');
    expect(routes.check(2, '10.0.0.0/8', 0)).toBe('quota');
    expect(quotaLine(2, 'client/udp4:192.0.2.2:1')).toBe(
      'MULTI ROUTE: route quota (2) exceeded for client/udp4:192.0.2.2:1 (see --max-routes-per-client option)',
    );
  });

  it('counts a route that another client took no longer', () => {
    const routes = table();
    routes.learn(1, '10.0.0.0/8', 0);
    routes.learn(2, '10.0.0.0/8', 0);
    expect(routes.check(1, '10.1.0.0/16', 1)).toBe('add');
  });

  it('shows a dead client’s routes to nobody, and tells of them when they are reaped', () => {
    const routes = table();
    routes.learn(1, '10.8.0.2', 0);
    routes.learn(1, '192.168.44.0/24', 0);
    routes.learn(2, '10.8.0.3', 0);
    routes.release(1);
    expect(routes.entries().map(({ address }) => address)).toEqual(['10.8.0.3']);
    expect(routes.addressesOf(1)).toEqual([]);
    expect(routes.check(3, '10.8.0.2', 256)).toBe('update');
    expect(routes.reap()).toEqual(['10.8.0.2', '192.168.44.0/24']);
    expect(routes.reap()).toEqual([]);
    expect(routes.check(3, '10.8.0.2', 256)).toBe('add');
    routes.release(9);
  });

  it('does not reap a dead route that somebody has taken over', () => {
    const routes = table();
    routes.learn(1, '10.8.0.2', 0);
    routes.release(1);
    expect(routes.learn(2, '10.8.0.2', 10)).toBeUndefined();
    expect(routes.reap()).toEqual([]);
    expect(routes.entries()).toHaveLength(1);
  });

  it.each([
    ['192.168.9.9/32', '192.168.9.9'],
    ['192.168.9.9/24', '192.168.9.0/24'],
    ['fd00::9/128', 'fd00::9/128'],
    ['fd00::9/64', 'fd00::/64'],
    ['10.8.0.2', '10.8.0.2'],
    ['x/y', 'x/y'],
  ])('names %s as %s', (text, expected) => {
    expect(routeAddress(text)).toBe(expected);
  });
});
