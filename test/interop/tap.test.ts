// Ethernet in the tunnel: `dev tap` in both roles against the real program, on a network of its own and in a bridge. With
// SALLYPORT_SERVER=openvpn and SALLYPORT_CLIENT=openvpn the C program does what is asked here.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { comparable } from '../lab/host-comparison.ts';
import { type ClientOptions, type Lab, type ServerOptions, tunnel, useLab } from '../lab/lab.ts';
import { device, hostState, type Namespace } from '../lab/net.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import {
  type ClientKind,
  clientUnderTest,
  itOurServer,
  labSuite,
  type PeerVersion,
  type Program,
  serverUnderTest,
} from '../lab/requirements.ts';
import { scriptLog } from '../lab/script-dump.ts';
import { expectHealthy, expectNoLoss, isSilent, pings, serveTraffic } from '../lab/traffic.ts';

const tapServer = (options: ServerOptions = {}): ServerOptions => ({
  ...options,
  without: ['dev', 'topology', ...(options.without ?? [])],
  lines: ['dev tap', ...(options.lines ?? [])],
});

const first = (kind: ClientKind = 'openvpn'): ClientOptions => ({ kind, device: 'tap' });
const second = (lab: Lab, kind: ClientKind = 'openvpn-2.7'): ClientOptions => ({
  kind,
  device: 'tap',
  namespace: lab.net.router,
  certificate: lab.pki.rsa,
});

/** The Ethernet address of a device, as `ip` has it. */
async function linkAddress(namespace: Namespace, name = 'tap0'): Promise<string> {
  const [link] = JSON.parse(await namespace.ip(`-j link show ${name}`)) as [{ address: string }];
  return link.address;
}

const others = ['openvpn', 'openvpn-2.7'] as const;

labSuite('a TAP server', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it('gives addresses, pushes and has a host as the C program', async () => {
    const { client, server } = lab().net;
    const play = async (program: Program) => {
      const process = await lab().serve(tapServer({ program, lines: ['push "route 10.77.0.0 255.255.0.0"'] }));
      const peer = await lab().connect(first());
      const hosts = [comparable(await hostState(server)), comparable(await hostState(client))];
      expect(await pings(client, tunnel.server4)).toBe(true);
      const pushed = pushedOptions(peer);
      await peer.stop();
      expect(await process.stop()).toEqual({ code: 0, signal: null });
      return { hosts, pushed };
    };
    const theirs = await play('openvpn');
    const ours = await play(serverUnderTest);
    expect(theirs.pushed).toContain('ifconfig 10.8.0.2 255.255.255.0');
    expect(ours).toEqual(theirs);
  });

  it.each([
    ['openvpn', 'udp4'],
    ['openvpn-2.7', 'udp6'],
    ['openvpn-2.7', 'tcp4'],
    ['sallyport', 'udp4'],
  ] as const)('carries all that a healthy tunnel carries for %s over %s', async (kind, transport) => {
    await lab().serve(tapServer({ transport }));
    await lab().connect({ ...first(kind), transport });
    await expectHealthy(lab());
  });

  it.each([
    ['the server', ['reneg-sec 0'], ['reneg-sec 2 2']],
    ['the client', ['reneg-sec 2 2'], ['reneg-sec 0']],
  ] as const)('loses no frame while %s asks for new keys', async (_who, client, server) => {
    for (const kind of others) {
      const process = await lab().serve(tapServer({ lines: server }));
      const peer = await lab().connect({ ...first(kind), lines: client });
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      await expectNoLoss(lab().net.client, tunnel.server4, 2500);
      expect(peer.count(/Outgoing Data Channel: Cipher|Outgoing Epoch Data/)).toBeGreaterThanOrEqual(2);
      await peer.stop();
      await process.stop();
    }
  });

  describe('between two clients', () => {
    const meet = async (lines: readonly string[]): Promise<WatchedProcess> => {
      const server = await lab().serve(tapServer({ lines }));
      await lab().connect(first());
      await lab().connect(second(lab()));
      return server;
    };

    it('is the switch, under client-to-client: unicast, broadcast and multicast, and the host hears broadcast too', async () => {
      await meet(['client-to-client']);
      const { client, router, server } = lab().net;
      await server.run(['sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward']);
      expect(await pings(client, '10.8.0.3', { sizeBytes: 1472 })).toBe(true);
      expect(await pings(router, tunnel.client4)).toBe(true);
      expect(await pings(client, 'fd00:8::1001')).toBe(true);
      expect(await pings(client, tunnel.server4)).toBe(true);
      expect(await pings(router, tunnel.server4)).toBe(true);
      await server.run(['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    });

    it('carries nothing without client-to-client', async () => {
      await meet([]);
      const { client, router } = lab().net;
      expect(await pings(client, tunnel.server4)).toBe(true);
      expect(await pings(router, tunnel.server4)).toBe(true);
      expect(await isSilent(client, '10.8.0.3')).toBe(true);
    });

    it('tells status, log and learn-address of Ethernet addresses as the C program does', async () => {
      const play = async (program: Program) => {
        const log = await scriptLog(lab());
        const status = join(lab().dir, `status-${program}`);
        const server = await lab().serve(
          tapServer({
            program,
            without: ['server-ipv6'],
            lines: ['script-security 2', `learn-address ${log.script}`, `status ${status} 1`, 'status-version 2'],
          }),
        );
        const { client } = lab().net;
        const peer = await lab().connect({ ...first(), lines: ['lladdr 02:00:00:00:0a:01'] });
        expect(await pings(client, tunnel.server4)).toBe(true);
        await server.line(/MULTI: Learn: 02:00:00:00:0a:01@0 -> client\//);
        const table = await eventually('the address in the status', async () =>
          (await readFile(status, 'utf8')).split('\n').find((line) => /^ROUTING_TABLE,02:/.test(line)),
        );
        await peer.stop();
        await server.stop();
        const calls = (await log.calls()).map(({ type, args }) => [type, ...args].join(' '));
        return { table: table?.split(',').slice(0, 3), calls };
      };
      const theirs = await play('openvpn');
      const ours = await play(serverUnderTest);
      expect(theirs.calls).toEqual([
        'learn-address add 02:00:00:00:0a:01@0 client',
        'learn-address delete 02:00:00:00:0a:01@0',
      ]);
      expect(ours).toEqual(theirs);
    });

    it('lets a client have as many addresses as max-routes-per-client says', async () => {
      const server = await lab().serve(tapServer({ lines: ['max-routes-per-client 1'] }));
      await lab().connect(first());
      const { client } = lab().net;
      expect(await pings(client, tunnel.server4)).toBe(true);
      await client.ip('link add link tap0 name mv0 type macvlan mode bridge');
      await client.ip('addr add 10.8.0.77/24 dev mv0');
      await client.ip('link set mv0 up');
      await client.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', '-I', 'mv0', tunnel.server4], { anyCode: true });
      await server.line(/MULTI ROUTE: route quota \(1\) exceeded for client\//);
      await server.line(/MULTI: bad source address from client \[[0-9a-f:]{17}@0\], packet dropped/);
    });

    it('gives an address to whoever came with it last', async () => {
      const server = await meet([]);
      const { client, router } = lab().net;
      expect(await pings(client, tunnel.server4)).toBe(true);
      const mac = await linkAddress(client);
      await router.ip(`link set tap0 address ${mac}`);
      expect(await pings(router, tunnel.server4)).toBe(true);
      await server.line(new RegExp(`MULTI: Learn: ${mac}@0 -> client/`));
      await server.line(new RegExp(`MULTI: Learn: ${mac}@0 -> rsa/`));
    });
  });

  it('forgets an address that nobody uses, under stale-routes-check', async () => {
    const log = await scriptLog(lab());
    const server = await lab().serve(
      tapServer({
        without: ['server-ipv6'],
        lines: ['script-security 2', `learn-address ${log.script}`, 'stale-routes-check 1 1'],
      }),
    );
    await lab().connect(first());
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const mac = await linkAddress(lab().net.client);
    await eventually('learn-address delete', async () =>
      (await log.calls()).some(({ args }) => args.join(' ') === `delete ${mac}@0`),
    );
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(server.count(new RegExp(`MULTI: Learn: ${mac}@0`))).toBeGreaterThanOrEqual(2);
  });

  describe('in a bridge', () => {
    const bridged = async (line: string, program: Program = serverUnderTest) => {
      const script = await lab().file(
        'bridge.sh',
        '#!/bin/sh\nip link set "$1" master br0 && ip link set "$1" up\n',
        0o755,
      );
      const { server } = lab().net;
      await server.run([
        'sh',
        '-c',
        'ip link del br0 2>/dev/null; ip link add br0 type bridge && ip link set br0 up && ip addr add 10.8.0.4/24 dev br0',
      ]);
      return lab().serve(
        tapServer({
          program,
          without: ['server', 'server-ipv6'],
          lines: [line, 'script-security 2', `up ${script}`, 'client-to-client'],
        }),
      );
    };

    it.each([...others, 'sallyport'] as const)(
      'gives addresses of its pool, and the bridge answers: %s',
      async (kind) => {
        await bridged('server-bridge 10.8.0.4 255.255.255.0 10.8.0.128 10.8.0.254');
        const peer = await lab().connect({ ...first(kind), lines: ['route 10.88.0.0 255.255.0.0'] });
        expect(pushedOptions(peer)).toEqual(
          expect.arrayContaining(['route-gateway 10.8.0.4', 'ifconfig 10.8.0.128 255.255.255.0']),
        );
        const { client, server } = lab().net;
        expect((await device(client, 'tap0'))?.addresses).toEqual(['10.8.0.128/24']);
        expect(await client.ip('route show 10.88.0.0/16')).toContain('via 10.8.0.4 dev tap0');
        expect(await pings(client, '10.8.0.4', { sizeBytes: 1472 })).toBe(true);
        expect(await pings(server, '10.8.0.128')).toBe(true);
        await server.ip('link del br0');
      },
    );

    it.each([
      ['server-bridge', ['route-gateway dhcp']],
      ['server-bridge nogw', []],
    ])('leaves addresses to another DHCP server under %s', async (line, gateways) => {
      const replies: (readonly string[])[] = [];
      for (const program of ['openvpn', serverUnderTest] as const) {
        const process = await bridged(line, program);
        const peer = await lab().connect(first(clientUnderTest));
        replies.push(pushedOptions(peer));
        const { client } = lab().net;
        // What a DHCP client would do.
        await client.ip('link set tap0 up');
        await client.ip('addr add 10.8.0.200/24 dev tap0');
        expect(await pings(client, '10.8.0.4')).toBe(true);
        await peer.stop();
        await process.stop();
        await lab().net.server.ip('link del br0');
      }
      expect(replies[1]).toEqual(replies[0]);
      expect(replies[1]?.filter((option) => option.startsWith('route-gateway'))).toEqual(gateways);
    });
  });

  itOurServer('drops what a client sends in the name of a group', async () => {
    const server = await lab().serve(tapServer({ without: ['server-ipv6'] }));
    await lab().connect(first());
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(server.count(/MULTI: Learn: ff:/)).toBe(0);
  });
});

labSuite('a TAP client', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));
  const versions: readonly PeerVersion[] = ['2.6', '2.7'];

  it.each(versions)('has a healthy tunnel to a %s server', async (version) => {
    await lab().server(tapServer({ version }));
    await lab().connect(first(clientUnderTest));
    await expectHealthy(lab());
  });

  it.each(versions)('loses no frame while keys are renewed, %s server', async (version) => {
    for (const [client, server] of [
      [['reneg-sec 2 2'], []],
      [['reneg-sec 0'], ['reneg-sec 2 2']],
    ] as const) {
      const process = await lab().server(tapServer({ version, lines: server }));
      const peer = await lab().connect({ ...first(clientUnderTest), lines: client });
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      await expectNoLoss(lab().net.client, tunnel.server4, 2500);
      await peer.stop();
      await process.stop();
    }
  });

  it('sets the address of its device that lladdr names, in the profile or pushed', async () => {
    const { client } = lab().net;
    await lab().server(tapServer({ lines: ['push "lladdr 02:00:00:00:00:77"'] }));
    const pushed = await lab().connect(first(clientUnderTest));
    expect(await linkAddress(client)).toBe('02:00:00:00:00:77');
    await pushed.line(/net_addr_ll_set: lladdr 02:00:00:00:00:77 for tap0/);
    await pushed.stop();
    await lab().connect({
      ...first(clientUnderTest),
      lines: ['lladdr 02:00:00:00:00:55', 'pull-filter ignore lladdr'],
    });
    expect(await linkAddress(client)).toBe('02:00:00:00:00:55');
    expect(await pings(client, tunnel.server4)).toBe(true);
  });
});
