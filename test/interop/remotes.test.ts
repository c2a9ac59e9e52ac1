// Where a client looks for its server, and what it does when nobody is there.

import { expect, it } from 'vitest';
import { tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { itOurs, labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('remotes', () => {
  const lab = useLab();
  const none = ['remote'];
  const dead = '198.51.100.1 1999';
  const live = '198.51.100.1 1194';

  it('are tried in order until one answers', async () => {
    await lab().server();
    const client = await lab().connect({
      without: none,
      lines: [`remote ${dead} udp4`, `remote ${live} udp4`, 'connect-retry 1', 'server-poll-timeout 2'],
    });
    expect(client.text).toMatch(
      /link remote: \[AF_INET\]198\.51\.100\.1:1999[\s\S]*link remote: \[AF_INET\]198\.51\.100\.1:1194/,
    );
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('of connection blocks have their own protocol: from UDP that is dead to TCP', async () => {
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect({
      without: none,
      lines: [
        // Blocks take over what was said before them, not what is said after.
        'server-poll-timeout 2',
        '<connection>',
        `remote ${dead} udp4`,
        '</connection>',
        '<connection>',
        `remote ${live} tcp4`,
        '</connection>',
        'connect-retry 1',
      ],
    });
    expect(client.text).toMatch(/TCP connection established with \[AF_INET\]198\.51\.100\.1:1194/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('that refuse TCP are given up at once for the next', async () => {
    await lab().server({ transport: 'tcp6' });
    const client = await lab().connect({
      without: none,
      lines: [`remote ${dead} tcp4`, `remote ${address.server6} 1194 tcp6`, 'connect-retry 1'],
    });
    expect(client.text).toMatch(/TCP: connect to \[AF_INET\]198\.51\.100\.1:1999 failed: Connection refused/);
  });

  it('may be names', async () => {
    await lab().server();
    const client = await lab().connect({
      without: none,
      lines: ['remote localhost 1999 tcp4', `remote ${live} udp4`, 'connect-retry 1'],
    });
    expect(client.text).toMatch(/TCP: connect to \[AF_INET\]127\.0\.0\.1:1999 failed: Connection refused/);
  });

  it('in random order are each tried once in a round, and not always from the same one on', async () => {
    const ports = [1991, 1992, 1993, 1994, 1995, 1996, 1997, 1998];
    const lines = [
      ...ports.map((port) => `remote ${address.server4} ${port} tcp4`),
      'connect-retry 1',
      'remote-random',
    ];
    const attempt = /Attempting to establish TCP connection with \[AF_INET\]198\.51\.100\.1:(\d+)/;
    const first = new Set<string>();
    // All alike by chance: once in two million.
    for (let run = 0; run < 8 && first.size < 2; run += 1) {
      const client = await lab().client({ without: none, lines });
      first.add(attempt.exec(await client.line(attempt))?.[1] ?? '');
      await client.stop();
    }
    expect(first.size).toBeGreaterThan(1);

    const three = await lab().client({
      without: none,
      lines: [...lines.slice(0, 3), 'connect-retry 1', 'remote-random', 'connect-retry-max 1'],
    });
    await three.exit();
    const tried = three.lines.flatMap((line) => attempt.exec(line)?.[1] ?? []);
    expect([...tried].sort()).toEqual(['1991', '1992', '1993']);
  });

  it('with a name of several addresses are tried address by address', async () => {
    await lab().net.client.setHosts('198.51.100.77 vpn.example\n198.51.100.1 vpn.example\n');
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect({
      without: none,
      lines: ['remote vpn.example 1194 tcp4', 'connect-retry 1', 'connect-timeout 2'],
    });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await client.stop();
  });

  it('whose name does not resolve yet are asked for again', async () => {
    await lab().net.client.setHosts('127.0.0.1 localhost\n');
    await lab().server();
    const client = await lab().client({ without: none, lines: ['remote later.example 1194 udp4', 'connect-retry 1'] });
    await client.line(/RESOLVE: Cannot resolve host address: later\.example:1194 \(/);
    await lab().net.client.setHosts('198.51.100.1 later.example\n');
    await client.line(up);
  });

  it('whose name does not resolve are given up with resolv-retry 0', async () => {
    await lab().net.client.setHosts('127.0.0.1 localhost\n');
    const client = await lab().client({
      without: none,
      lines: ['remote never.example 1194 udp4', 'resolv-retry 0', 'connect-retry 1', 'connect-retry-max 1'],
    });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/RESOLVE: Cannot resolve host address: never\.example:1194/);
  });

  it('that are all dead end the client after connect-retry-max with exit code 1', async () => {
    const client = await lab().client({
      without: none,
      lines: [`remote ${dead} tcp4`, 'connect-retry 1', 'connect-retry-max 2'],
    });
    expect(await client.exit()).toEqual({ code: 1, signal: null });
    expect(client.text).toMatch(/All connections have been connect-retry-max \(2\) times unsuccessful, exiting/);
  });

  it('that are dead are asked with growing pauses', async () => {
    const client = await lab().client({ without: none, lines: [`remote ${dead} tcp4`, 'connect-retry 1 2'] });
    await client.line(/Restart pause, 1 second\(s\)/);
    await client.line(/Restart pause, 2 second\(s\)/);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('see the local address and port that are asked for', async () => {
    const server = await lab().server();
    await lab().connect({ without: ['nobind'], lines: ['lport 2194', `local ${address.client4}`] });
    expect(server.text).toContain(`${address.client4}:2194`);
  });

  it('see the default port of a client that binds', async () => {
    const server = await lab().server();
    await lab().connect({ without: ['nobind'], lines: ['bind'] });
    expect(server.text).toContain(`${address.client4}:1194`);
  });

  itOurs('are not waited for when the signal comes', async () => {
    const client = await lab().client({
      without: none,
      lines: ['remote 198.51.100.77 1194 tcp4', 'connect-timeout 60'],
    });
    await client.line(/Attempting to establish TCP connection/);
    const began = performance.now();
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it.each(['udp4', 'udp6'] as const)('may answer from anywhere under float: %s', async (transport) => {
    await lab().server({ transport });
    const client = await lab().connect({ transport, lines: ['float'] });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('take the buffer sizes and the path MTU discovery that are asked for', async () => {
    await lab().server();
    const client = await lab().connect({ lines: ['sndbuf 300000', 'rcvbuf 400000', 'mtu-disc yes'] });
    expect(client.text).toMatch(/Socket Buffers: R=\[\d+->\d+\] S=\[\d+->\d+\]/);
    // A worker's rehearsal has a socket of its own for some tenths of a second, on loopback.
    const { stdout } = await lab().net.client.run(['ss', '-Oaunm', 'not', 'src', '127.0.0.0/8']);
    const buffers = /rb(\d+),.*?tb(\d+)/.exec(stdout);
    expect(Number(buffers?.[1])).toBeGreaterThanOrEqual(400_000);
    expect(Number(buffers?.[2])).toBeGreaterThanOrEqual(300_000);
  });

  it.each(['udp4', 'tcp4'] as const)(
    'over %s are reached by the rule for the packets with the mark',
    async (transport) => {
      const { client: namespace } = lab().net;
      await lab().server({ transport });
      // The only way to the server is that of marked packets.
      await namespace.ip('route del default');
      await namespace.ip(`route add default via ${address.gateway4} table 77`);
      await namespace.ip('rule add fwmark 7 lookup 77');
      try {
        for (const [mark, reached] of [
          ['mark 8', false],
          ['mark 7', true],
        ] as const) {
          const client = await lab().client({ transport, lines: [mark, 'connect-retry 1', 'connect-retry-max 1'] });
          if (reached) {
            await client.line(up);
            expect(await pings(namespace, tunnel.server4)).toBe(true);
          } else await client.line(/Network is unreachable/);
          await client.stop();
        }
      } finally {
        await namespace.ip('rule del fwmark 7 lookup 77');
        await namespace.ip('route flush table 77');
      }
    },
  );
});
