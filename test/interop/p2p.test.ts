// A tunnel between two equal ends (tls-server and tls-client with addresses of their own, nothing pushed), each role
// against the real program and against ourselves. With SALLYPORT_SERVER=openvpn and SALLYPORT_CLIENT=openvpn the C
// program does what is asked here.

import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, type Lab, type ServerOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { address, device } from '../lab/net.ts';
import { eventually, type WatchedProcess } from '../lab/process.ts';
import { httpProxy, socksProxy } from '../lab/proxies.ts';
import {
  type ClientKind,
  clientUnderTest,
  isOurServer,
  isOurs,
  itOurServer,
  itOurs,
  labSuite,
  type Program,
  serverUnderTest,
} from '../lab/requirements.ts';
import { writeAgedClientKey } from '../lab/static-keys.ts';
import { expectHealthy, expectNoLoss, pings, serveTraffic } from '../lab/traffic.ts';

const SERVER6 = `ifconfig-ipv6 ${tunnel.server6}/64 ${tunnel.client6}`;
const CLIENT6 = `ifconfig-ipv6 ${tunnel.client6}/64 ${tunnel.server6}`;

const passive = (program: Program, { lines = [], ...options }: ServerOptions = {}): ServerOptions => ({
  program,
  ...options,
  without: ['server', 'server-ipv6', 'topology', ...(options.without ?? [])],
  lines: ['tls-server', `ifconfig ${tunnel.server4} ${tunnel.client4}`, SERVER6, ...lines],
});

const active = (kind: ClientKind, { lines = [], ...options }: ClientOptions = {}): ClientOptions => ({
  kind,
  ...options,
  without: ['client', ...(options.without ?? [])],
  lines: ['tls-client', `ifconfig ${tunnel.client4} ${tunnel.server4}`, CLIENT6, ...lines],
});

async function meet(lab: Lab, server: ServerOptions, client: ClientOptions): Promise<[WatchedProcess, WatchedProcess]> {
  const one = await lab.startServer(server);
  const other = await lab.connect(client);
  await one.line(up);
  return [one, other];
}

/** Who meets whom: our server and each other client, our client and each other server, and ourselves. */
const pairs: readonly (readonly [Program, ClientKind])[] = [
  [serverUnderTest, 'openvpn'],
  [serverUnderTest, 'openvpn-2.7'],
  ['openvpn', clientUnderTest],
  ['openvpn-2.7', clientUnderTest],
  [serverUnderTest, clientUnderTest],
];

/** Each role and each version once. */
const fewer = [pairs[0], pairs[3], pairs[4]].filter((pair) => pair !== undefined);

/** What is asked of the program under test, and of the real one beside it. */
const asked: readonly Program[] = isOurServer ? ['openvpn-2.7', serverUnderTest] : [serverUnderTest];

labSuite('two equal ends', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each(pairs)('have a healthy tunnel: %s as TLS server, %s as TLS client', async (server, client) => {
    const told = { lines: ['verb 7'] };
    const [one, other] = await meet(lab(), passive(server, told), active(client, told));
    expect((await device(lab().net.server, 'tun0'))?.addresses).toEqual([
      `${tunnel.server4} peer ${tunnel.client4}/32`,
      `${tunnel.server6}/64`,
    ]);
    await expectHealthy(lab());
    for (const end of [one, other]) {
      expect(
        end.count(/Data Channel: cipher 'AES-256-GCM'|Cipher 'AES-256-GCM' initialized|Epoch Data key/),
      ).toBeGreaterThan(0);
      expect(end.count(/used inconsistently|present in (local|remote) config but missing/)).toBe(0);
    }
    expect(one.count(/No server certificate verification/), 'a TLS server has no server').toBe(0);
    expect(await other.stop()).toEqual({ code: 0, signal: null });
    expect(await one.stop()).toEqual({ code: 0, signal: null });
    expect(await device(lab().net.server, 'tun0')).toBeUndefined();
  });

  it.each(pairs)('agree on what both can: %s as TLS server, %s as TLS client', async (server, client) => {
    const [one, other] = await meet(
      lab(),
      passive(server, { lines: ['data-ciphers CHACHA20-POLY1305:AES-128-GCM'] }),
      active(client, { lines: ['data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305'] }),
    );
    const result =
      /P2P mode NCP negotiation result: TLS_export=1, DATA_v2=1, (?:peer-id|rx-peer-id) (\d+).*cipher=CHACHA20-POLY1305/;
    const ids = await Promise.all([one, other].map(async (end) => result.exec(await end.line(result))?.[1]));
    expect(ids[0]).toBe(ids[1]);
    expect(await pings(lab().net.client, tunnel.server4, { sizeBytes: 1300 })).toBe(true);
  });

  it.each(pairs)('come under a key of the client’s own (tls-crypt-v2): %s, %s', async (server, client) => {
    const { v2Client, v2Server } = lab().keys;
    const fixed = { without: ['nobind'], lines: ['port 1194', `tls-crypt-v2 ${v2Client}`] };
    const [one, other] = await meet(
      lab(),
      passive(server, { lines: [`tls-crypt-v2 ${v2Server}`, 'reneg-sec 2 2'] }),
      active(client, fixed),
    );
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
    await other.kill();
    const mark = one.mark();
    await lab().connect(active(client, fixed));
    await one.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  itOurServer('leave a packet unanswered whose key is not under theirs (tls-crypt-v2)', async () => {
    const { v2Server, v2ForeignClient, shared } = lab().keys;
    const one = await lab().startServer(passive(serverUnderTest, { lines: [`tls-crypt-v2 ${v2Server}`] }));
    for (const line of [`tls-crypt-v2 ${v2ForeignClient}`, `tls-crypt ${shared}`]) {
      const other = await lab().client(active('openvpn', { lines: [line, 'hand-window 3', 'connect-retry-max 1'] }));
      await other.line(/TLS Error: TLS key negotiation failed/);
      await other.stop();
    }
    expect(one.count(/TLS: Initial packet from/)).toBe(0);
  });

  it.each(asked)('take no key that is too old (tls-crypt-v2-max-age): %s', async (server) => {
    const { v2Server, v2Client } = lab().keys;
    const one = await lab().startServer(
      passive(server, { lines: [`tls-crypt-v2 ${v2Server}`, 'tls-crypt-v2-max-age 30'] }),
    );
    const old = `${lab().dir}/old-v2.key`;
    await writeAgedClientKey(old, v2Server, Math.trunc(Date.now() / 1000) - 40 * 86_400);
    const late = await lab().client(active('openvpn', { lines: [`tls-crypt-v2 ${old}`] }));
    await one.line(/ERROR: Client key is too old\.$/);
    await one.line(/TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/);
    await late.kill();
    expect(late.count(up)).toBe(0);
    await lab().connect(active('openvpn', { lines: [`tls-crypt-v2 ${v2Client}`] }));
    await one.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it.each(asked)('ask a program about a key (tls-crypt-v2-verify): %s', async (server) => {
    const { v2Server, v2Client } = lab().keys;
    const refuses = `${lab().dir}/refuses-${server}`;
    const seen = `${lab().dir}/seen-${server}`;
    const judge = await lab().file(
      'judge.sh',
      `#!/bin/sh\necho "$# $script_type $metadata_type $(wc -c <"$metadata_file")" >>${seen}\n[ ! -e ${refuses} ]\n`,
      0o755,
    );
    const one = await lab().startServer(
      passive(server, { lines: [`tls-crypt-v2 ${v2Server}`, 'script-security 2', `tls-crypt-v2-verify ${judge}`] }),
    );
    await lab().net.server.run(['touch', refuses]);
    const late = await lab().client(active('openvpn', { lines: [`tls-crypt-v2 ${v2Client}`] }));
    await one.line(/TLS CRYPT V2 VERIFY SCRIPT ERROR/);
    await one.line(/TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/);
    await lab().net.server.run(['rm', refuses]);
    // The same client goes on asking.
    await one.line(/TLS CRYPT V2 VERIFY SCRIPT OK/);
    await Promise.all([one.line(up), late.line(up)]);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const [first] = (await readFile(seen, 'utf8')).split('\n');
    expect(first).toBe('0 tls-crypt-v2-verify 1 8');
  });

  it.each([
    ['an HTTP proxy', 'tcp4', 'http', pairs[0]],
    ['an HTTP proxy', 'tcp4', 'http', pairs[3]],
    ['a SOCKS proxy', 'tcp4', 'socks', pairs[3]],
    ['a SOCKS proxy', 'udp4', 'socks', pairs[2]],
    ['a SOCKS proxy', 'udp4', 'socks', pairs[3]],
    ['a SOCKS proxy', 'udp4', 'socks', pairs[4]],
  ] as const)('meet through %s over %s', async (_what, transport, kind, pair) => {
    const [server, client] = pair ?? [serverUnderTest, clientUnderTest];
    if (kind === 'http') await httpProxy(lab());
    else await socksProxy(lab());
    const line = kind === 'http' ? `http-proxy ${address.gateway4} 3128` : `socks-proxy ${address.gateway4} 1080`;
    const [one, other] = await meet(
      lab(),
      passive(server, { transport, lines: ['reneg-sec 2 2'] }),
      active(client, { transport, lines: [line] }),
    );
    await one.line(/Peer Connection Initiated with \[AF_INET\](?!192\.0\.2\.2:)/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
    await other.stop();
  });

  it.each(fewer)('keep to the fallback with an end that does not negotiate: %s, %s', async (server, client) => {
    const deaf = ['cipher AES-256-CBC', 'auth SHA256', 'data-ciphers AES-256-CBC'];
    await meet(lab(), passive(server, { lines: deaf }), active(client, { lines: deaf }));
    await expectHealthy(lab());
  });

  it.each([
    ['tcp4', pairs[0]],
    ['tcp4', pairs[3]],
    ['tcp4', pairs[4]],
    ['udp6', pairs[1]],
    ['udp6', pairs[2]],
  ] as const)('meet over %s', async (transport, pair) => {
    const [server, client] = pair ?? [serverUnderTest, clientUnderTest];
    await meet(lab(), passive(server, { transport }), active(client, { transport }));
    await expectHealthy(lab());
  });

  it.each(fewer)('carry Ethernet: %s as TLS server, %s as TLS client', async (server, client) => {
    const tap = (end: string) => ['dev tap', `ifconfig ${end} 255.255.255.0`];
    await meet(
      lab(),
      {
        ...passive(server),
        without: ['server', 'server-ipv6', 'topology', 'dev'],
        lines: ['tls-server', ...tap(tunnel.server4), SERVER6],
      },
      { ...active(client), without: ['client', 'dev'], lines: ['tls-client', ...tap(tunnel.client4), CLIENT6] },
    );
    // Ethernet neighbours find each other first.
    await eventually('the neighbour', () => pings(lab().net.client, tunnel.server4));
    await expectHealthy(lab());
  });

  it.each(pairs)('lose no packet while either end asks for new keys: %s, %s', async (server, client) => {
    for (const [one, other] of [
      [['reneg-sec 2 2'], ['reneg-sec 0']],
      [['reneg-sec 0'], ['reneg-sec 2 2']],
    ] as const) {
      const [first, second] = await meet(lab(), passive(server, { lines: one }), active(client, { lines: other }));
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      await expectNoLoss(lab().net.client, tunnel.server4, 2500);
      for (const end of [first, second]) {
        expect(end.count(/Outgoing Data Channel: Cipher|Outgoing Epoch Data/)).toBeGreaterThanOrEqual(2);
      }
      await second.stop();
      await first.stop();
    }
  });

  it.each(fewer)('meet when both know where the other is, whoever begins: %s, %s', async (server, client) => {
    const both = { lines: ['port 1194', `remote ${address.client4} 1194`] };
    const one = await lab().startServer(passive(server, both));
    const other = await lab().connect(active(client, { without: ['nobind'], lines: ['port 1194'] }));
    await one.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await other.stop();
  });

  it.each(pairs)('come together again when the client was restarted without a word: %s, %s', async (server, client) => {
    const fixed = { without: ['nobind'], lines: ['port 1194'] };
    const [one, other] = await meet(lab(), passive(server), active(client, fixed));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await other.kill();
    const mark = one.mark();
    await lab().connect(active(client, fixed));
    await one.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.server, tunnel.client4)).toBe(true);
  });

  it.each(pairs)('come together again when the server was restarted without a word: %s, %s', async (server, client) => {
    const [one, other] = await meet(lab(), passive(server), active(client, { lines: ['keepalive 1 4'] }));
    await one.kill();
    const mark = other.mark();
    const again = await lab().startServer(passive(server));
    await other.line(/Inactivity timeout \(--ping-restart\), restarting/, { from: mark });
    await other.line(up, { from: mark });
    await again.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it.each(fewer)('begin anew on SIGUSR1 and keep the device under persist-tun: %s, %s', async (server, client) => {
    const [one, other] = await meet(lab(), passive(server), active(client, { lines: ['persist-tun', 'persist-key'] }));
    const [mark, before] = [other.mark(), one.mark()];
    other.signal('SIGUSR1');
    await other.line(/Preserving previous (TUN\/TAP|tun\/tap) instance/, { from: mark });
    await other.line(up, { from: mark });
    await one.line(up, { from: before });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  // The C program fits mssfix only where there are fragments to fit.
  it.skipIf(!isOurs).each([...new Set(fewer.map(([server]) => server))])(
    'fit themselves to a narrow path that ICMP tells of, with a TLS server %s',
    async (server) => {
      const { client, router } = lab().net;
      await router.ip('link set outer1 mtu 1300');
      try {
        const lines = ['mtu-disc yes'];
        const [, other] = await meet(lab(), passive(server), active(clientUnderTest, { lines }));
        await client.run(['ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '1', '-s', '1332', tunnel.server4], {
          anyCode: true,
        });
        await other.line(/UDPv4 \[EMSGSIZE Path-MTU=1300\]: Message too long \(fd=\d+,code=90\)/);
        await other.line(/Note adjusting 'mssfix 1492 mtu' to 'mssfix 1300 mtu' according to path MTU discovery/);
        await other.stop();
      } finally {
        await router.ip('link set outer1 mtu 1500');
        await client.ip('route flush cache');
      }
    },
  );

  // The C program lets a peer begin anew elsewhere, and does not go along with its data.
  const moving = [pairs[0], pairs[4]].filter((pair) => pair !== undefined);
  it.skipIf(!isOurServer).each(moving)('follow a peer that moves under float: %s, %s', async (server, client) => {
    const [one] = await meet(lab(), passive(server, { lines: ['float'] }), active(client));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const { client: namespace } = lab().net;
    await namespace.ip(`addr del ${address.client4}/24 dev outer0`);
    await namespace.ip(`addr add ${address.clientSpare4}/24 dev outer0`);
    await namespace.ip(`route replace default via ${address.gateway4}`);
    await pings(namespace, tunnel.server4);
    expect(await pings(namespace, tunnel.server4)).toBe(true);
    expect(one.count(/Initialization Sequence Completed/)).toBe(1);
  });

  it.each(fewer)('tell each other of their end by explicit-exit-notify: %s, %s', async (server, client) => {
    const [one, other] = await meet(lab(), passive(server), active(client, { lines: ['explicit-exit-notify 1'] }));
    const mark = one.mark();
    expect(await other.stop()).toEqual({ code: 0, signal: null });
    await one.line(/SIGUSR1\[soft,remote-exit\] received|exit message received by peer/, { from: mark });
  });

  it('have their devices before they meet, and not before under up-delay', async () => {
    const waiting = await lab().startServer(passive(serverUnderTest));
    await waiting.line(/UDPv4 link remote: \[AF_UNSPEC\]/);
    expect((await device(lab().net.server, 'tun0'))?.addresses[0]).toBe(`${tunnel.server4} peer ${tunnel.client4}/32`);
    await waiting.stop();
    const later = await lab().startServer(passive(serverUnderTest, { lines: ['up-delay'] }));
    await later.line(/UDPv4 link remote: \[AF_UNSPEC\]/);
    expect(await device(lab().net.server, 'tun0')).toBeUndefined();
    await lab().connect(active('openvpn'));
    await later.line(up);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  itOurs('refuse a static key by name, as 2.7 does', async () => {
    const client = await lab().client({
      ...active(clientUnderTest),
      without: ['client', 'ca', 'cert', 'key', 'remote-cert-tls'],
      lines: [`ifconfig ${tunnel.client4} ${tunnel.server4}`, `secret ${lab().keys.shared}`],
    });
    expect((await client.exit()).code).toBe(1);
    expect(client.text).toMatch(/static-key mode has no key exchange/);
  });
});
