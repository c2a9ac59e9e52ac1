// The network changes under a tunnel: it goes on, with the same session where that is possible.

import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import { address, type Namespace } from '../lab/net.ts';
import { run } from '../lab/process.ts';
import { clientUnderTest, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

const { client4, clientSpare4, gateway4, server4, world4 } = address;

labSuite('a tunnel whose network changes', () => {
  const lab = useLab();

  // The C program does nothing by itself.
  const ours = it.skipIf(clientUnderTest !== 'sallyport');

  const newAddress = async (namespace: Namespace): Promise<void> => {
    await namespace.ip(`addr del ${client4}/24 dev outer0`);
    await namespace.ip(`addr add ${clientSpare4}/24 dev outer0`);
    await namespace.ip(`route replace default via ${gateway4}`);
  };
  /** Milliseconds until a host answers again; fails after five seconds. */
  const backAfter = async (namespace: Namespace, host: string): Promise<number> => {
    const startMs = performance.now();
    while (performance.now() - startMs < 5000) {
      if (await pings(namespace, host)) return performance.now() - startMs;
    }
    throw new Error(`${host} does not answer any more`);
  };

  ours.each([
    ['2.6', [], []],
    ['2.7', [], []],
    ['2.6', ['push "redirect-gateway def1"'], []],
    ['2.6', [], ['workers 2']],
  ] as const)('goes on with its session after a new address, with OpenVPN %s %s %s', async (version, server, lines) => {
    const { client: namespace } = lab().net;
    const serving = await lab().server({ version, lines: server });
    const client = await lab().connect({ lines });
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    const mark = client.mark();
    await newAddress(namespace);
    await client.line(new RegExp(`the way to the server is outer0 .*from ${clientSpare4}`), { from: mark });
    expect(await backAfter(namespace, tunnel.server4)).toBeLessThan(3000);
    await client.line(/the server has answered/, { from: mark });
    expect(await pings(namespace, server.length > 0 ? world4 : tunnel.server4)).toBe(true);
    expect(client.count(/Initialization Sequence Completed/)).toBe(1);
    expect(serving.count(/Peer Connection Initiated/)).toBe(1);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  ours('goes on after its link was down and up, with the route to the server past the tunnel', async () => {
    const { client: namespace } = lab().net;
    await lab().server({ lines: ['push "redirect-gateway def1"'] });
    const client = await lab().connect();
    const mark = client.mark();
    await namespace.ip('link set outer0 down');
    await client.line(/the network is gone/, { from: mark });
    await namespace.ip('link set outer0 up');
    await namespace.ip(`route replace default via ${gateway4}`);
    await client.line(/the network is back/, { from: mark });
    expect(await backAfter(namespace, world4)).toBeLessThan(4000);
    expect(await namespace.ip(`route show ${server4}`)).toContain(`via ${gateway4}`);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(await namespace.ip(`route show ${server4}`)).toBe('');
  });

  ours('follows the default route to another uplink, and its route to the server with it', async () => {
    const { client: namespace, router } = lab().net;
    const serving = await lab().server({ lines: ['push "redirect-gateway def1"'] });
    await run([
      'ip',
      'link',
      'add',
      'second0',
      'netns',
      namespace.name,
      'type',
      'veth',
      'peer',
      'name',
      'second1',
      'netns',
      router.name,
    ]);
    await namespace.ip('addr add 192.168.9.2/24 dev second0');
    await namespace.ip('link set second0 up');
    await router.ip('addr add 192.168.9.1/24 dev second1');
    await router.ip('link set second1 up');
    await lab().net.server.ip('route add 192.168.9.0/24 via 198.51.100.2');
    try {
      const client = await lab().connect();
      const mark = client.mark();
      await namespace.ip('route replace default via 192.168.9.1');
      await client.line(/the way to the server is second0 via 192\.168\.9\.1 from 192\.168\.9\.2 now/, { from: mark });
      await namespace.ip('link set outer0 down');
      expect(await backAfter(namespace, world4)).toBeLessThan(4000);
      expect(await namespace.ip(`route show ${server4}`)).toContain('via 192.168.9.1');
      expect(client.count(/Initialization Sequence Completed/)).toBe(1);
      expect(serving.count(/Peer Connection Initiated/)).toBe(1);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
      expect(await namespace.ip(`route show ${server4}`)).toBe('');
    } finally {
      await lab().net.server.ip('route del 192.168.9.0/24 via 198.51.100.2');
      await namespace.ip('link del second0');
      await namespace.ip('link set outer0 up');
    }
  });

  // The C program takes data from another address in a new session only.
  ours.each([
    ['sallyport', []],
    ['sallyport', ['float']],
    ['openvpn', []],
    ['openvpn-2.7', ['float']],
  ] as const)('between two equal ends goes on where the other one may float: %s %s', async (program, mine) => {
    const { client: namespace } = lab().net;
    const equal = ['server', 'server-ipv6', 'topology', 'client'];
    const theirs = ['tls-server', `ifconfig ${tunnel.server4} ${tunnel.client4}`, 'float'];
    const other = await lab().startServer({ program, without: equal, lines: theirs });
    const lines = ['tls-client', `ifconfig ${tunnel.client4} ${tunnel.server4}`, ...mine];
    const client = await lab().connect({ without: equal, lines });
    await other.line(/Initialization Sequence Completed/);
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    const mark = client.mark();
    // Packets that meet the moment without a way must not keep back those that ask the other end.
    const traffic = namespace.watch(['ping', '-n', '-q', '-i', '0.01', '-c', '400', tunnel.server4], {
      name: 'traffic',
    });
    await newAddress(namespace);
    await client.line(new RegExp(`the way to the server is outer0 .*from ${clientSpare4}`), { from: mark });
    await traffic.kill();
    expect(await backAfter(namespace, tunnel.server4)).toBeLessThan(4000);
    await client.line(program === 'sallyport' ? /the server has answered/ : /SIGUSR1\[soft,network-changed\]/, {
      from: mark,
    });
    expect(client.count(/Initialization Sequence Completed/)).toBe(program === 'sallyport' ? 1 : 2);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  // The router is on the server's own network.
  ours.each(['tcp4', 'udp4'] as const)('reaches a server of its own network there, by %s', async (transport) => {
    const { router } = lab().net;
    await lab().server({ transport, lines: ['push "redirect-gateway def1"'] });
    await router.ip('route add default via 198.51.100.9');
    try {
      const client = await lab().connect({ transport, namespace: router, without: ['persist-tun'] });
      expect(await pings(router, tunnel.server4)).toBe(true);
      await router.ip('link add noise0 type veth peer name noise1'); // has it look
      await router.ip('link del noise0');
      await setTimeout(1500); // for nothing to happen
      expect(await router.ip(`route show ${server4}`)).toContain('dev outer');
      expect(await router.ip(`route show ${server4}`)).not.toContain('via');
      expect(client.count(/the way to the server/)).toBe(0);
      expect(client.count(/Initialization Sequence Completed/)).toBe(1);
      expect(await client.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await router.ip('route del default');
    }
  });

  ours('is connected anew at once over TCP', async () => {
    const { client: namespace } = lab().net;
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect({ transport: 'tcp4' });
    const mark = client.mark();
    await newAddress(namespace);
    await client.line(/SIGUSR1\[soft,network-changed\] received/, { from: mark });
    expect(await backAfter(namespace, tunnel.server4)).toBeLessThan(4000);
    expect(client.count(/Restart pause/)).toBe(0);
  });

  ours('does not mind what else comes and goes', async () => {
    const { client: namespace } = lab().net;
    await lab().server();
    const client = await lab().connect();
    const mark = client.mark();
    for (let i = 0; i < 10; i++) {
      await namespace.ip('link add noise0 type veth peer name noise1');
      await namespace.ip('addr add 172.30.0.1/24 dev noise0');
      await namespace.ip('link set noise0 up');
      await namespace.ip('route add 172.31.0.0/16 dev noise0');
      await namespace.ip('link del noise0');
    }
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    expect(client.text.slice(mark)).not.toMatch(/NOTE: the|SIGUSR1/);
  });
});
