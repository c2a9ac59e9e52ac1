// What a server makes of its host and of its clients' networks: topologies, pools, routes between clients and to networks
// behind them. Hosts are compared with what the C program's server leaves.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { comparable } from '../lab/host-comparison.ts';
import { type ClientOptions, type Lab, tunnel, useLab } from '../lab/lab.ts';
import { address, device, hostState, type Namespace } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import { labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';
import { expectTransfer, isSilent, pings, serveTraffic } from '../lab/traffic.ts';

/** A real client; the second one runs on the router and shows another certificate. */
const first: ClientOptions = { kind: 'openvpn' };
const second = (lab: Lab): ClientOptions => ({
  kind: 'openvpn-2.7',
  namespace: lab.net.router,
  certificate: lab.pki.rsa,
});

async function forward(namespace: Namespace, on: boolean): Promise<void> {
  await namespace.run(['sh', '-c', `echo ${on ? 1 : 0} >/proc/sys/net/ipv4/ip_forward`]);
}

async function addresses(namespace: Namespace): Promise<readonly string[] | undefined> {
  return (await device(namespace, 'tun0'))?.addresses;
}

labSuite('a server and its host', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each([
    ['subnet', ['10.8.0.1/24'], ['10.8.0.2/24'], ['10.8.0.3/24']],
    ['net30', ['10.8.0.1 peer 10.8.0.2/32'], ['10.8.0.6 peer 10.8.0.5/32'], ['10.8.0.10 peer 10.8.0.9/32']],
    ['p2p', ['10.8.0.1 peer 10.8.0.2/32'], ['10.8.0.4 peer 10.8.0.1/32'], ['10.8.0.5 peer 10.8.0.1/32']],
  ] as const)(
    'in topology %s have the addresses and routes that the C program gives',
    async (topology, serverAddresses, clientAddresses, secondAddresses) => {
      const { client, router, server } = lab().net;
      const before = comparable(await hostState(server));
      const play = async (program: Program) => {
        const process = await lab().serve({
          program,
          without: ['topology', 'server-ipv6'],
          lines: [`topology ${topology}`],
        });
        const one = await lab().connect(first);
        const two = await lab().connect(second(lab()));
        expect(await addresses(server)).toEqual(serverAddresses);
        expect(await addresses(client)).toEqual(clientAddresses);
        expect(await addresses(router)).toEqual(secondAddresses);
        expect(await pings(client, tunnel.server4)).toBe(true);
        expect(await pings(router, tunnel.server4)).toBe(true);
        expect(await pings(server, clientAddresses[0].split(/[ /]/, 1)[0] ?? '')).toBe(true);
        const hosts = [comparable(await hostState(server)), comparable(await hostState(client))];
        const pushed = pushedOptions(one);
        await one.stop();
        await two.stop();
        expect(await process.stop()).toEqual({ code: 0, signal: null });
        expect(comparable(await hostState(server))).toEqual(before);
        return { hosts, pushed };
      };
      const theirs = await play('openvpn');
      const ours = await play(serverUnderTest);
      expect(ours).toEqual(theirs);
    },
  );

  it('serve IPv6 alone', async () => {
    await lab().serve({ without: ['server'], lines: ['mode server', 'tls-server'] });
    const client = await lab().connect(first);
    expect(await addresses(lab().net.client)).toEqual(['fd00:8::1000/64']);
    expect(await pings(lab().net.client, tunnel.server6)).toBe(true);
    await client.stop();
  });

  it('take the second client further in the pool of IPv6, too', async () => {
    await lab().serve({ without: ['server-ipv6'], lines: ['server-ipv6 fd00:8:1::/112'] });
    await lab().connect(first);
    await lab().connect(second(lab()));
    expect(await addresses(lab().net.client)).toEqual(['10.8.0.2/24', 'fd00:8:1::2/112']);
    expect(await addresses(lab().net.router)).toEqual(['10.8.0.3/24', 'fd00:8:1::3/112']);
    expect(await pings(lab().net.router, 'fd00:8:1::1')).toBe(true);
  });

  it('give addresses of the pool of IPv6 that is named', async () => {
    const { client, router } = lab().net;
    await lab().serve({
      without: ['server-ipv6'],
      lines: ['ifconfig-ipv6 fd00:8::1/64 fd00:8::2', 'ifconfig-ipv6-pool fd00:8::5000/64', 'push tun-ipv6'],
    });
    const one = await lab().connect(first);
    await lab().connect(second(lab()));
    expect(pushedOptions(one)).toContain('ifconfig-ipv6 fd00:8::5000/64 fd00:8::1');
    expect(await addresses(client)).toEqual(['10.8.0.2/24', 'fd00:8::5000/64']);
    expect(await addresses(router)).toEqual(['10.8.0.3/24', 'fd00:8::5001/64']);
    expect(await pings(client, tunnel.server6)).toBe(true);
    expect(await pings(lab().net.server, 'fd00:8::5001')).toBe(true);
  });

  it('push a list longer than a packet whole, in order', async () => {
    const routes = Array.from({ length: 80 }, (_, index) => `route 10.${100 + index}.0.0 255.255.0.0`);
    await lab().serve({ lines: routes.map((route) => `push "${route}"`) });
    for (const kind of ['openvpn', 'openvpn-2.7', 'sallyport'] as const) {
      const client = await lab().connect({ kind });
      expect(pushedOptions(client).filter((option) => option.startsWith('route 10.'))).toEqual(routes);
      expect(await lab().net.client.ip('-4 route show 10.179.0.0/16')).toContain('tun0');
      await client.stop();
    }
  });

  it('keep an MTU of their own and tell it', async () => {
    await lab().serve({ lines: ['tun-mtu 1400'] });
    const client = await lab().connect({ ...first, lines: ['tun-mtu 1400'] });
    expect(pushedOptions(client)).toContain('tun-mtu 1400');
    expect((await device(lab().net.server, 'tun0'))?.mtuBytes).toBe(1400);
    expect((await device(lab().net.client, 'tun0'))?.mtuBytes).toBe(1400);
    await expectTransfer(lab().net.client, tunnel.server4, 1 << 20);
  });

  it.skipIf(serverUnderTest === 'openvpn')('listen on several sockets at once', async () => {
    const { server4, server6 } = address;
    const server = await lab().serve({
      without: ['proto', 'port'],
      lines: [
        `local ${server4} 1194 udp4`,
        `local ${server4} 1195 tcp4-server`,
        `local ${server6} 1196 udp6`,
        'duplicate-cn',
      ],
    });
    await lab().connect({ ...first, device: 'tun1' });
    await lab().connect({ ...first, device: 'tun2', transport: 'tcp4', port: 1195 });
    await lab().connect({ kind: 'openvpn-2.7', device: 'tun3', transport: 'udp6', port: 1196 });
    for (const name of ['tun1', 'tun2', 'tun3']) {
      expect(await pings(lab().net.client, tunnel.server4, { from: name }), name).toBe(true);
    }
    expect(server.count(/Peer Connection Initiated/)).toBe(3);
    expect(server.count(/link local \(bound\): \[AF_INET6?\]/)).toBe(3);
  });

  it('remember who had which address over a restart', async () => {
    const file = join(lab().dir, 'pool.txt');
    const pool = [`ifconfig-pool-persist ${file} 1`];
    const server = await lab().serve({ lines: pool });
    await lab().connect(first);
    const other = await lab().connect(second(lab()));
    expect(await addresses(lab().net.router)).toEqual(['10.8.0.3/24', 'fd00:8::1001/64']);
    await eventually('the pool is written', async () => (await readFile(file, 'utf8')).includes('rsa,'));
    await other.stop();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect(await readFile(file, 'utf8')).toBe('client,10.8.0.2,fd00:8::1000\nrsa,10.8.0.3,fd00:8::1001\n');

    // The other one comes first now, and there is one more line.
    await writeFile(file, `${await readFile(file, 'utf8')}chained,10.8.0.44,fd00:8::102a\n`);
    const again = await lab().serve({ lines: pool });
    await lab().connect(second(lab()));
    expect(await addresses(lab().net.router)).toEqual(['10.8.0.3/24', 'fd00:8::1001/64']);
    await lab().connect({ ...first, device: 'tun4', certificate: lab().pki.chained, lines: ['connect-retry 1'] });
    expect((await device(lab().net.client, 'tun4'))?.addresses).toEqual(['10.8.0.44/24', 'fd00:8::102a/64']);
    await again.stop();
  });

  it("go on writing that file when they have become nobody, in a folder that is root's", async () => {
    const file = join(await lab().directory('pool', 0o755), 'pool.txt');
    const server = await lab().serve({ lines: [`ifconfig-pool-persist ${file} 1`, 'user nobody'] });
    await lab().connect(first);
    await eventually('the pool is written', async () => (await readFile(file, 'utf8')).includes('client,10.8.0.2'));
    expect(server.text).not.toContain('cannot write');
    await server.stop();
  });
});

labSuite('packets between clients', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  describe('that are a hop away', () => {
    it('stay inside the server with client-to-client', async () => {
      const { client, router, server } = lab().net;
      await lab().serve({ lines: ['client-to-client'] });
      await lab().connect(first);
      await lab().connect(second(lab()));
      await forward(server, false);
      const received = async () =>
        (JSON.parse(await server.ip('-j -s link show tun0')) as [{ stats64: { tx: { packets: number } } }])[0].stats64;
      const before = await received();
      expect(await pings(client, '10.8.0.3', { sizeBytes: 1300 })).toBe(true);
      expect(await pings(client, 'fd00:8::1001')).toBe(true);
      await expectTransfer(router, tunnel.client4, 1 << 20);
      // Not one of some hundred packets went through the server's device (a few of IPv6's own may).
      const after = await received();
      expect(after.tx.packets - before.tx.packets).toBeLessThan(20);
      await forward(server, true);
    });

    it('go through the host without it, where the host forwards', async () => {
      const { client, server } = lab().net;
      await lab().serve();
      await lab().connect(first);
      await lab().connect(second(lab()));
      await forward(server, true);
      expect(await pings(client, '10.8.0.3')).toBe(true);
      await forward(server, false);
      expect(await isSilent(client, '10.8.0.3')).toBe(true);
      expect(await pings(client, tunnel.server4)).toBe(true);
      await forward(server, true);
    });
  });

  it('and networks behind a client find their way by iroute', async () => {
    const { client, router, server } = lab().net;
    const ccd = await lab().directory('ccd');
    await writeFile(join(ccd, 'client'), 'iroute 192.168.44.0 255.255.255.0\niroute-ipv6 fd00:44::/64\n');
    await lab().serve({
      lines: [
        `client-config-dir ${ccd}`,
        'client-to-client',
        'route 192.168.44.0 255.255.255.0',
        'route-ipv6 fd00:44::/64',
        'push "route 192.168.44.0 255.255.255.0"',
        'push "route-ipv6 fd00:44::/64"',
      ],
    });
    await client.ip('addr add 192.168.44.1/32 dev lo');
    await client.ip('addr add fd00:44::1/128 dev lo nodad');
    try {
      const one = await lab().connect(first);
      const two = await lab().connect(second(lab()));
      expect(pushedOptions(one)).not.toContain('route 192.168.44.0 255.255.255.0');
      expect(pushedOptions(two)).toContain('route 192.168.44.0 255.255.255.0');
      expect(await pings(server, '192.168.44.1'), 'from the server').toBe(true);
      expect(await pings(server, 'fd00:44::1'), 'from the server, IPv6').toBe(true);
      expect(await pings(router, '192.168.44.1'), 'from another client').toBe(true);
      expect(await pings(client, tunnel.server4, { from: '192.168.44.1' }), 'to the server').toBe(true);
    } finally {
      await client.ip('addr del 192.168.44.1/32 dev lo');
      await client.ip('addr del fd00:44::1/128 dev lo');
    }
  });

  it('are dropped when their source belongs to nobody or to another client', async () => {
    const { client, server } = lab().net;
    const process = await lab().serve({ lines: ['route 192.168.44.0 255.255.255.0'] });
    await client.ip('addr add 192.168.44.1/32 dev lo');
    try {
      await lab().connect(first);
      await lab().connect(second(lab()));
      const silent = async (from: string) => {
        const { stdout } = await client.run(
          ['ping', '-n', '-q', '-c', '2', '-i', '0.1', '-W', '1', '-I', from, tunnel.server4],
          { anyCode: true },
        );
        return / 0 received/.test(stdout);
      };
      expect(await silent('192.168.44.1')).toBe(true);
      await client.ip('addr add 10.8.0.3/32 dev lo');
      expect(await silent('10.8.0.3')).toBe(true);
      await client.ip('addr del 10.8.0.3/32 dev lo');
      await process.line(
        /client\/\S+ MULTI: bad source address from client \[(::ffff:)?192\.168\.44\.1\], packet dropped/,
      );
      expect(await pings(client, tunnel.server4)).toBe(true);
      expect(await pings(server, '10.8.0.3')).toBe(true);
    } finally {
      await client.ip('addr del 192.168.44.1/32 dev lo');
    }
  });
});
