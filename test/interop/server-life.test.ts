// A served client's life: new keys, a new address, silence, a crash, farewells of both sides, and the server's signals.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { address, device, hostState } from '../lab/net.ts';
import { eventually } from '../lab/process.ts';
import { type ClientKind, clientKinds, isOurServer, labSuite } from '../lab/requirements.ts';
import { expectNoLoss, pings, serveTraffic } from '../lab/traffic.ts';

const first: ClientOptions = { kind: 'openvpn' };

labSuite('a served client', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  /** What triggers new keys: the client's lines, the server's, and how many packets at two milliseconds are enough. */
  const triggers = [
    ['reneg-sec of the client', ['reneg-sec 2 2'], ['reneg-sec 0'], 2500],
    ['reneg-bytes of the client', ['reneg-bytes 400000', 'reneg-sec 0'], [], 1400],
    ['reneg-sec of the server', ['reneg-sec 0'], ['reneg-sec 2 2'], 2500],
    ['reneg-bytes of the server', ['reneg-sec 0'], ['reneg-bytes 400000'], 1400],
    ['reneg-pkts of the server', ['reneg-sec 0'], ['reneg-pkts 900'], 1400],
  ] as const;
  const kinds: readonly ClientKind[] = ['openvpn', 'openvpn-2.7', 'sallyport'];
  const renegotiations = triggers.map(
    (trigger, index) => [kinds[index % kinds.length] ?? 'openvpn', ...trigger] as const,
  );

  it.each(renegotiations)('gets new keys and loses no packet: %s, %s', async (kind, _title, client, server, count) => {
    const wrap = [`tls-crypt ${lab().keys.shared}`];
    const process = await lab().serve({ lines: [...wrap, ...server, 'keepalive 10 60'] });
    const peer = await lab().connect({ kind, lines: [...wrap, ...client] });
    await expectNoLoss(lab().net.client, tunnel.server4, count);
    expect(process.count(/Outgoing Data Channel: Cipher|Outgoing Epoch Data key/)).toBeGreaterThanOrEqual(3);
    expect(process.count(/Authenticate\/Decrypt packet error|TLS Error/)).toBe(0);
    expect(peer.count(/Authenticate\/Decrypt packet error|TLS Error/)).toBe(0);
  });

  it.each(clientKinds)('floats to another port of its network and loses little: %s', async (kind) => {
    const relay = await lab().net.router.agent();
    // A relay stands until its agent ends: each has a port of its own.
    const port = 2000 + clientKinds.indexOf(kind);
    await relay.ask('relay', { port, targetHost: address.server4, targetPort: 1194 });
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const client = await lab().connect({
      kind,
      without: ['remote'],
      lines: [`remote ${address.gateway4} ${port} udp4`],
    });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const moved = await relay.ask('relayMove', {});
    expect(await pings(lab().net.client, tunnel.server4, { count: 5 })).toBe(true);
    await server.line(
      new RegExp(
        `peer \\d+ \\(client\\) floated from (\\w+:)?${address.router4}:${moved.from} to \\[AF_INET\\]${address.router4}:${moved.to}`,
      ),
    );
    expect(await pings(lab().net.server, tunnel.client4)).toBe(true);
    expect(server.count(/Peer Connection Initiated/)).toBe(1);
    await client.stop();
  });

  it('that falls silent is given up, and comes back', async () => {
    const server = await lab().serve({ lines: ['keepalive 1 2'] });
    const client = await lab().connect(first);
    client.signal('SIGSTOP');
    await server.line(/client\/\S+ \[client\] Inactivity timeout \(--ping-restart\), restarting/);
    await server.line(/client\/\S+ SIGUSR1\[soft,ping-restart\] received, client-instance restarting/);
    const mark = client.mark();
    client.signal('SIGCONT');
    await client.line(/Inactivity timeout \(--ping-restart\), restarting/, { from: mark });
    await client.line(up, { from: mark });
    expect((await device(lab().net.client, 'tun0'))?.addresses).toContain('10.8.0.2/24');
  });

  it('that was killed comes back from another port and has its address again', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const client = await lab().connect(first);
    await client.kill();
    await lab().connect({ kind: 'openvpn-2.7' });
    expect((await device(lab().net.client, 'tun0'))?.addresses).toContain('10.8.0.2/24');
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await server.line(/MULTI: new connection by client 'client' will cause previous active sessions/);
  });

  const farewells: Readonly<Record<ClientKind, RegExp>> = {
    openvpn: /client\/\S+ CC-EEN exit message received by peer/,
    'openvpn-2.7': /client\/\S+ CC-EEN exit message received by peer/,
    'openvpn-2.5': /client\/\S+ OCC exit message received by peer/,
    sallyport: /client\/\S+ CC-EEN exit message received by peer/,
  };

  it.each(clientKinds)('says farewell: %s', async (kind) => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const client = await lab().connect({ kind, lines: ['explicit-exit-notify 1'] });
    expect(await client.stop()).toEqual({ code: 0, signal: null });
    await server.line(farewells[kind]);
  });

  /** A relay through which everybody has one address; answers go to who spoke last. */
  async function oneAddress(port: number) {
    const relay = await lab().net.router.agent();
    await relay.ask('relay', { port, targetHost: address.server4, targetPort: 1194 });
    return { without: ['remote'], lines: [`remote ${address.gateway4} ${port} udp4`] };
  }

  it('is not disturbed by garbage and resets that come from its own address', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    await lab().connect({ ...first, ...(await oneAddress(2010)) });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const reset = `printf '\\x38ABCDEFGH\\x00\\x00\\x00\\x00\\x00' >/dev/udp/${address.gateway4}/2010`;
    await lab().net.client.run(['bash', '-c', `for i in 1 2 3; do ${reset}; done`]);
    const agent = await lab().net.client.agent();
    await agent.ask('udpGarbage', { host: address.gateway4, port: 2010, count: 40 });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.server, tunnel.client4)).toBe(true);
    expect(server.count(/\[client\] Peer Connection Initiated/)).toBe(1);
  });

  it('is not disturbed by another one at its own address who is refused', async () => {
    const remote = await oneAddress(2011);
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    await lab().connect({ ...first, ...remote });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    const stranger = await lab().client({
      ...first,
      ...remote,
      device: 'tun9',
      certificate: lab().pki.foreign,
      lines: [...remote.lines, 'hand-window 10', 'connect-retry-max 1'],
    });
    await server.line(/VERIFY ERROR: depth=0, error=unable to get local issuer certificate: CN=foreign/);
    await stranger.kill();
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.server, tunnel.client4)).toBe(true);
    expect(server.count(/\[client\] Peer Connection Initiated/)).toBe(1);
  });
});

labSuite('a server', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each([
    ['SIGTERM', 1, 'RESTART', /Connection reset command was pushed by server \(''\)/],
    ['SIGINT', 2, 'RESTART,\\[N\\]', /Connection reset command was pushed by server \('\[N\]'\)/],
  ] as const)('ends by %s with a farewell: explicit-exit-notify %d', async (signal, mode, word, said) => {
    const before = await hostState(lab().net.server);
    const server = await lab().serve({ lines: ['keepalive 10 60', `explicit-exit-notify ${mode}`] });
    const clients = [
      await lab().connect({ ...first, lines: ['connect-retry 300'] }),
      await lab().connect({
        kind: 'openvpn-2.7',
        namespace: lab().net.router,
        certificate: lab().pki.rsa,
        lines: ['connect-retry 300'],
      }),
    ];
    expect(await server.stop(signal)).toEqual({ code: 0, signal: null });
    for (const client of clients) {
      await client.line(said);
      await client.line(/SIGUSR1\[soft,server-pushed-connection-reset\] received, process restarting/);
    }
    expect(server.count(new RegExp(`SENT CONTROL \\[(client|rsa)\\]: '${word}' \\(status=1\\)`))).toBe(2);
    expect(server.count(new RegExp(`${signal}\\[hard,\\] received, process exiting`))).toBe(1);
    expect(await hostState(lab().net.server)).toEqual(before);
  });

  it('ends by SIGTERM without one and leaves the host as it was', async () => {
    const before = await hostState(lab().net.server);
    const server = await lab().serve({ lines: ['keepalive 10 60', 'route 192.168.44.0 255.255.255.0'] });
    const client = await lab().connect(first);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect(server.count(/SIGTERM\[hard,\] received, process exiting/)).toBe(1);
    expect(client.count(/Connection reset command was pushed/)).toBe(0);
    expect(await hostState(lab().net.server)).toEqual(before);
  });

  it('restarts by SIGUSR1 and keeps its device with persist-tun', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60', 'persist-tun', 'explicit-exit-notify 1'] });
    const client = await lab().connect({ ...first, lines: ['connect-retry 1 1'] });
    const index = async () => (JSON.parse(await lab().net.server.ip('-j link show tun0')) as [{ ifindex: number }])[0];
    const before = await index();
    const marks = [server.mark(), client.mark()];
    server.signal('SIGUSR1');
    await server.line(/SIGUSR1\[hard,\] received, process restarting/, { from: marks[0] ?? 0 });
    await server.line(/Preserving previous (TUN\/TAP|tun\/tap) instance: tun0/, { from: marks[0] ?? 0 });
    await server.line(up, { from: marks[0] ?? 0 });
    await client.line(up, { from: marks[1] ?? 0 });
    expect((await index()).ifindex).toBe(before.ifindex);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('reads its files again by SIGHUP', async () => {
    const extra = await lab().file('extra.conf', 'push "route 10.55.0.0 255.255.0.0"\n');
    const server = await lab().serve({ lines: ['keepalive 10 60', 'explicit-exit-notify 1', `config ${extra}`] });
    const client = await lab().connect({ ...first, lines: ['connect-retry 1 1'] });
    expect(client.text).toContain('route 10.55.0.0 255.255.0.0');
    await writeFile(extra, 'push "route 10.56.0.0 255.255.0.0"\n');
    const marks = [server.mark(), client.mark()];
    server.signal('SIGHUP');
    if (!isOurServer) {
      await server.line(/SIGHUP\[hard,\] received, process restarting/, { from: marks[0] ?? 0 });
      await server.line(up, { from: marks[0] ?? 0 });
      // A restart: the client has to come again.
      await client.line(up, { from: marks[1] ?? 0 });
    } else {
      await server.line(/SIGHUP/, { from: marks[0] ?? 0 });
      // A reload: nobody is dropped.
      expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
      expect(client.count(/Connection reset|Inactivity/)).toBe(0);
    }
    const again = await lab().connect({ ...first, namespace: lab().net.router, certificate: lab().pki.rsa });
    expect(again.text).toContain('route 10.56.0.0 255.255.0.0');
    expect(again.text).not.toContain('route 10.55.0.0 255.255.0.0');
  });

  it.each([1, 2, 3] as const)('tells its status in version %d, in a file and by SIGUSR2', async (version) => {
    const file = join(lab().dir, `status-${version}`);
    const server = await lab().serve({ lines: [`status ${file} 1`, `status-version ${version}`] });
    await lab().connect(first);
    await lab().connect({ kind: 'openvpn-2.7', namespace: lab().net.router, certificate: lab().pki.rsa });
    const text = await eventually('two clients in the file', async () => {
      const now = await readFile(file, 'utf8');
      return /\nEND\n$/.test(now) && /\b10\.8\.0\.3\b/.test(now) && /\b10\.8\.0\.2\b/.test(now) && now;
    });
    expect(statusShape(text)).toEqual(statusShapes[version]);
    const mark = server.mark();
    server.signal('SIGUSR2');
    await server.line(/END$/, { from: mark });
    const said = server.lines.slice(mark).map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?/, ''));
    const end = said.indexOf('END');
    const start = said.findIndex((line) => /^(OpenVPN CLIENT LIST$|TITLE)/.test(line));
    expect(statusShape(`${said.slice(start, end + 1).join('\n')}\n`)).toEqual(statusShapes[version]);
  });
});

/** A status text with what differs between two runs masked, clients and routes sorted. */
function statusShape(text: string): readonly string[] {
  const lines = text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME')
    .replace(/(\d+\.\d+\.\d+\.\d+):\d+/g, '$1:PORT')
    .replace(/(?:\w+:)(\d+\.\d+\.\d+\.\d+:PORT)/g, '$1')
    .replace(/(TIME[,\t])\d{10}\b/g, '$1UNIX')
    .replace(/(PORT,)\d+,\d+/g, '$1BYTES,BYTES')
    .replace(/(::100\d[,\t])\d+([,\t])\d+/g, '$1BYTES$2BYTES')
    .replace(/^(TITLE.).*/m, '$1PROGRAM')
    .replace(/(queue length[,\t])\d+/, '$1N')
    .split('\n');
  const sortable = (line: string) => /PORT/.test(line);
  // Sorted within a run of clients or routes: their order is a hash table's.
  const sorted: string[] = [];
  for (let index = 0; index < lines.length; ) {
    let end = index;
    while (end < lines.length && sortable(lines[end] ?? '') === sortable(lines[index] ?? '')) end += 1;
    const part = lines.slice(index, end);
    sorted.push(...(sortable(lines[index] ?? '') ? part.sort() : part));
    index = end;
  }
  return sorted;
}

const two = [
  'TITLE,PROGRAM',
  'TIME,TIME,UNIX',
  'HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher',
  'CLIENT_LIST,client,192.0.2.2:PORT,10.8.0.2,fd00:8::1000,BYTES,BYTES,TIME,UNIX,UNDEF,0,0,AES-256-GCM',
  'CLIENT_LIST,rsa,198.51.100.2:PORT,10.8.0.3,fd00:8::1001,BYTES,BYTES,TIME,UNIX,UNDEF,1,1,AES-256-GCM',
  'HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)',
  'ROUTING_TABLE,10.8.0.2,client,192.0.2.2:PORT,TIME,UNIX',
  'ROUTING_TABLE,10.8.0.3,rsa,198.51.100.2:PORT,TIME,UNIX',
  'ROUTING_TABLE,fd00:8::1000,client,192.0.2.2:PORT,TIME,UNIX',
  'ROUTING_TABLE,fd00:8::1001,rsa,198.51.100.2:PORT,TIME,UNIX',
  'GLOBAL_STATS,Max bcast/mcast queue length,N',
  'GLOBAL_STATS,dco_enabled,0',
  'END',
  '',
];

const statusShapes: Readonly<Record<1 | 2 | 3, readonly string[]>> = {
  1: [
    'OpenVPN CLIENT LIST',
    'Updated,TIME',
    'Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since',
    'client,192.0.2.2:PORT,BYTES,BYTES,TIME',
    'rsa,198.51.100.2:PORT,BYTES,BYTES,TIME',
    'ROUTING TABLE',
    'Virtual Address,Common Name,Real Address,Last Ref',
    '10.8.0.2,client,192.0.2.2:PORT,TIME',
    '10.8.0.3,rsa,198.51.100.2:PORT,TIME',
    'fd00:8::1000,client,192.0.2.2:PORT,TIME',
    'fd00:8::1001,rsa,198.51.100.2:PORT,TIME',
    'GLOBAL STATS',
    'Max bcast/mcast queue length,N',
    'END',
    '',
  ],
  2: two,
  3: two.map((line) => line.replaceAll(',', '\t')),
};
