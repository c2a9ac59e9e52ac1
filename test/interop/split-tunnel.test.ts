// "Only its networks" against servers that push everything: the default route and the name servers of this host stay as
// they were, the tunnel's networks and names go into it.

import { afterEach, describe, expect, it } from 'vitest';
import { DnsHost, hasResolvers, type Resolver } from '../lab/dns-host.ts';
import { tunnel, useLab } from '../lab/lab.ts';
import { address, hostState } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { isOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const push = (...options: readonly string[]) => options.map((option) => `push "${option}"`);
const EVERYTHING = push(
  'redirect-gateway def1 ipv6',
  'route 0.0.0.0 0.0.0.0',
  'route 10.77.0.0 255.255.255.0',
  'route-ipv6 fd00:77::/64',
  'route-ipv6 2000::/3',
);
const OLD_DNS = push('dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN office.example');
const OPEN_DNS = push('dhcp-option DNS 10.8.0.1');
const SPLIT_DNS = push('dns server 1 address 10.8.0.1', 'dns server 1 resolve-domains lab.example');

describe.skipIf(!isOurs)('only its networks', () => {
  labSuite('of a server that pushes everything', () => {
    const lab = useLab();
    let host: DnsHost | undefined;
    afterEach(async () => {
      await host?.end();
      host = undefined;
    });

    const way = async (to: string) => (await lab().net.client.ip(`route get ${to}`)).replace(/\s+/g, ' ');

    it.each(['2.5', '2.6', '2.7'] as const)(
      'go into the tunnel, and nothing else, with OpenVPN %s',
      async (version) => {
        await lab().server({ version, lines: EVERYTHING });
        const before = await hostState(lab().net.client);
        const client = await lab().connect({ lines: ['only-its-networks'] });
        expect(
          client.count(
            /only-its-networks: left out redirect-gateway, route 0\.0\.0\.0 0\.0\.0\.0, route-ipv6 2000::\/3$/,
          ),
        ).toBe(1);
        for (const [to, device] of [
          [address.office4, 'tun0'],
          [address.office6, 'tun0'],
          [tunnel.server4, 'tun0'],
          [address.world4, 'outer0'],
          [address.world6, 'outer0'],
          ['2001:db8::1', 'outer0'],
          [address.server4, 'outer0'],
        ] as const) {
          expect(await way(to), to).toMatch(new RegExp(` dev ${device} `));
        }
        for (const to of [address.office4, address.office6, address.world4, address.world6]) {
          expect(await pings(lab().net.client, to, { count: 1 }), to).toBe(true);
        }
        expect(client.count(/IPv6 (goes past|to the Internet is blocked)/)).toBe(0);
        expect(await client.stop()).toEqual({ code: 0, signal: null });
        expect(await hostState(lab().net.client)).toEqual(before);
      },
    );

    it('stay the only ones over a restart that keeps the device', async () => {
      await lab().server({ lines: EVERYTHING });
      const client = await lab().connect({ lines: ['only-its-networks', 'persist-tun', 'connect-retry 1'] });
      const mark = client.mark();
      client.signal('SIGUSR1');
      await client.line(/Initialization Sequence Completed/, { from: mark });
      expect(await way(address.world4)).toContain(' dev outer0 ');
      expect(await pings(lab().net.client, address.office4, { count: 1 })).toBe(true);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
    });

    const SPLITTING = ['resolved', 'dnsmasq on the bus', 'dnsmasq with a file'] as const;

    async function begin(resolver: Resolver, dns: readonly string[]) {
      await lab().server({ lines: [...EVERYTHING, ...dns] });
      host = await DnsHost.start(lab(), resolver);
      const before = await host.state();
      const client = await lab().connect({ prefix: host.prefix, lines: ['only-its-networks'] });
      return { host, before, client };
    }

    describe.skipIf(!hasResolvers)('and its names', () => {
      it.each(
        SPLITTING.flatMap((resolver) => [
          [resolver, 'its search domain', OLD_DNS, 'a.office.example'] as const,
          [resolver, 'its domain', SPLIT_DNS, 'a.lab.example'] as const,
        ]),
      )('are asked of it by %s for %s, and no other', async (resolver, _, dns, name) => {
        const { host, before, client } = await begin(resolver, dns);
        await eventually('the tunnel is asked', async () => (await host.asks(name)) === 'tunnel');
        expect(await host.asks('any.example')).toBe('local');
        expect(await client.stop()).toEqual({ code: 0, signal: null });
        expect(await host.state()).toBe(before);
        expect(await host.asks(name)).toBe('local');
      });

      it.each([...SPLITTING, 'file', 'resolvconf', 'openresolv'] as const)(
        'are none where the server is for every name: %s is left alone',
        async (resolver) => {
          const { host, before, client } = await begin(resolver, OPEN_DNS);
          expect(await host.state()).toBe(before);
          expect(await host.asks('any.example')).toBe('local');
          expect(client.text).toMatch(/only-its-networks: left out .*DNS server 10\.8\.0\.1/);
          expect(await client.stop()).toEqual({ code: 0, signal: null });
          expect(await host.state()).toBe(before);
        },
      );

      it.each(['file', 'resolvconf', 'openresolv'] as const)(
        'are not asked of it where %s can not tell them from others, which is said',
        async (resolver) => {
          const { host, before, client } = await begin(resolver, OLD_DNS);
          expect(await host.state()).toBe(before);
          expect(client.count(/WARNING: DNS is not set: /)).toBe(1);
          expect(await client.stop()).toEqual({ code: 0, signal: null });
        },
      );

      it.each(SPLITTING)('of two tunnels are each asked of their own, by %s', async (resolver) => {
        await lab().server({ lines: [...EVERYTHING, ...SPLIT_DNS] });
        await lab().server({
          port: 1195,
          without: ['server', 'server-ipv6'],
          lines: [
            'server 10.9.0.0 255.255.255.0',
            ...push(
              'redirect-gateway def1',
              'route 10.78.0.0 255.255.255.0',
              'dns server 1 address 10.9.0.1',
              'dns server 1 resolve-domains other.example',
            ),
          ],
        });
        host = await DnsHost.start(lab(), resolver);
        host.answers(lab().net.server, '10.9.0.1', '203.0.113.3');
        const before = await host.state();
        const asks = (name: string) => host?.address(name);
        const one = await lab().connect({ prefix: host.prefix, lines: ['only-its-networks'] });
        const two = await lab().connect({ prefix: host.prefix, lines: ['only-its-networks'], port: 1195 });
        await eventually('both are asked', async () => {
          return (await asks('a.lab.example')) === '203.0.113.2' && (await asks('a.other.example')) === '203.0.113.3';
        });
        expect(await asks('any.example')).toBe('203.0.113.1');
        expect([await way('10.77.0.1'), await way('10.78.0.1')]).toEqual([
          expect.stringContaining(' dev tun0 '),
          expect.stringContaining(' dev tun1 '),
        ]);
        expect(await one.stop()).toEqual({ code: 0, signal: null });
        expect(await asks('a.lab.example')).toBe('203.0.113.1');
        expect(await asks('a.other.example')).toBe('203.0.113.3');
        expect(await two.stop()).toEqual({ code: 0, signal: null });
        expect(await host.state()).toBe(before);
      });
    });

    it('are named where this host has them, too', async () => {
      await lab().server({ lines: push('route 192.0.2.0 255.255.255.0', 'route 192.0.0.0 255.255.0.0') });
      const before = await hostState(lab().net.client);
      const client = await lab().connect({ lines: ['only-its-networks'] });
      expect(
        client.count(
          /WARNING: the network 192\.0\.2\.0\/24, pushed by the server, is the local network of outer0 as well: .*the gateway 192\.0\.2\.1 among it/,
        ),
      ).toBe(1);
      expect(
        client.count(/WARNING: the network 192\.0\.0\.0\/16, .* holds the local network 192\.0\.2\.0\/24 of outer0/),
      ).toBe(1);
      // What the warning says of the addresses is what the kernel does.
      expect(await way('192.0.2.77')).toContain(' dev tun0 ');
      expect(await pings(lab().net.client, tunnel.server4, { count: 1 })).toBe(true);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await hostState(lab().net.client)).toEqual(before);
    });
  });
});
