// What a server says to each of its clients, and how many of them it takes: client-config-dir against the C program's
// answers, names, pools, limits, two clients with one name.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { device } from '../lab/net.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import { clientKinds, itOurServer, labSuite, type Program, serverUnderTest } from '../lab/requirements.ts';
import { isSilent, pings, serveTraffic } from '../lab/traffic.ts';

const first: ClientOptions = { kind: 'openvpn' };
const second = (lab: Lab): ClientOptions => ({ kind: 'openvpn', namespace: lab.net.router, certificate: lab.pki.rsa });

/** Answers of a client that was refused after its handshake. */
async function expectRefused(client: WatchedProcess, text = /AUTH: Received control message: AUTH_FAILED$/) {
  expect(await client.exit()).toEqual({ code: 0, signal: null });
  expect(client.text).toMatch(/SIGTERM\[soft,auth-failure\] received, process exiting/);
  expect(
    client.lines.some((line) => text.test(line)),
    `${text}`,
  ).toBe(true);
  expect(client.count(up)).toBe(0);
}

/** Files of client-config-dir by name, and what is special about the server then. */
const files: readonly (readonly [title: string, files: Readonly<Record<string, string>>])[] = [
  ['no file', {}],
  ['an address', { client: 'ifconfig-push 10.8.0.77 255.255.255.0\n' }],
  ['an address outside the pool', { client: 'ifconfig-push 10.8.99.7 255.255.255.0\n' }],
  ['an IPv6 address', { client: 'ifconfig-ipv6-push fd00:8::77/64 fd00:8::1\n' }],
  [
    'options of its own, with comments and quotes',
    {
      client: '# for one\n; only\npush "route 10.99.0.0 255.255.0.0"\npush \'dhcp-option DOMAIN example.com\'\n\n',
    },
  ],
  ['fewer options', { client: 'push-remove route\npush "route 10.99.0.0 255.255.0.0"\n' }],
  ['an option less', { client: 'push-remove "route 10.77."\npush-remove topology\npush-remove ping\n' }],
  ['no IPv6 address', { client: 'push-remove ifconfig-ipv6\n' }],
  ['other options', { client: 'push-reset\npush "route 10.99.0.0 255.255.0.0"\n' }],
  [
    'mistakes, and an option',
    { client: 'nonsense 1\nserver 1.2.3.4\npush "route 10.99.0.0 255.255.0.0"\nifconfig-push 10.9.9.9\n' },
  ],
  ['the default', { DEFAULT: 'push "route 10.66.0.0 255.255.0.0"\n' }],
  [
    'its own and not the default',
    { DEFAULT: 'push "route 10.66.0.0 255.255.0.0"\n', client: 'push "route 10.67.0.0 255.255.0.0"\n' },
  ],
  ['a cipher', { client: 'data-ciphers AES-128-GCM\ncipher AES-128-GCM\n' }],
];

labSuite('client-config-dir', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it('has the effects that it has with the C program', async () => {
    const ccd = join(lab().dir, 'ccd');
    const lines = [
      `client-config-dir ${ccd}`,
      'keepalive 10 60',
      'push "route 10.77.0.0 255.255.255.0"',
      'push "route 10.78.0.0 255.255.255.0"',
      'push "dhcp-option DNS 10.8.0.1"',
    ];
    const play = async (program: Program) => {
      const server = await lab().serve({ program, lines });
      const answers: Record<string, unknown> = {};
      for (const [title, texts] of files) {
        await rm(ccd, { recursive: true, force: true });
        await mkdir(ccd);
        for (const [name, text] of Object.entries(texts)) await writeFile(join(ccd, name), text);
        const mark = server.mark();
        // No exit notice, which costs a second: the next one takes its place.
        const client = await lab().connect(first);
        answers[title] = {
          pushed: pushedOptions(client),
          addresses: (await device(lab().net.client, 'tun0'))?.addresses,
          said: server.lines.slice(mark).flatMap((line) => {
            const text = / (OPTIONS IMPORT: reading client specific options from: |Options error: ).*/.exec(line)?.[0];
            return text === undefined ? [] : [text.replace(/ \(\d[^)]*\)$/, '').trim()];
          }),
        };
        await client.stop();
      }
      await server.stop();
      return answers;
    };
    await mkdir(ccd);
    const theirs = await play('openvpn');
    const ours = await play(serverUnderTest);
    expect(Object.keys(theirs)).toHaveLength(files.length);
    for (const [title] of files) expect(ours[title], title).toEqual(theirs[title]);
  });

  it('is not left by a name with ../ in it', async () => {
    const dir = await lab().directory('names');
    await mkdir(join(dir, 'ccd'));
    const odd = await lab().pki.issue({ name: 'odd', subject: '/CN=..\\/secret' });
    await writeFile(join(dir, 'secret'), 'push "route 10.66.0.0 255.255.0.0"\n');
    await writeFile(join(dir, 'ccd', '.._secret'), 'push "route 10.67.0.0 255.255.0.0"\n');
    const server = await lab().serve({ lines: [`client-config-dir ${join(dir, 'ccd')}`] });
    const client = await lab().connect({ ...first, certificate: odd });
    expect(pushedOptions(client)).not.toContain('route 10.66.0.0 255.255.0.0');
    expect(pushedOptions(client)).toContain('route 10.67.0.0 255.255.0.0');
    await server.line(/\[\.\.\/secret\] Peer Connection Initiated/);
  });

  it.each(['openvpn', 'openvpn-2.7'] as const)('disables a client: %s learns AUTH_FAILED', async (kind) => {
    const ccd = await lab().directory('ccd');
    await writeFile(join(ccd, 'client'), 'disable\n');
    const server = await lab().serve({ lines: [`client-config-dir ${ccd}`] });
    await expectRefused(await lab().client({ kind }));
    await server.line(/client\/\S+ MULTI: client has been rejected due to 'disable' directive/);
    await lab().connect(second(lab()));
  });

  it('lets only those in who have a file, with ccd-exclusive', async () => {
    const ccd = await lab().directory('ccd');
    await writeFile(join(ccd, 'rsa'), '');
    await writeFile(join(ccd, 'DEFAULT'), '');
    const server = await lab().serve({ lines: [`client-config-dir ${ccd}`, 'ccd-exclusive'] });
    await expectRefused(await lab().client(first));
    await server.line(
      new RegExp(
        `TLS Auth Error: --client-config-dir authentication failed for common name 'client' file='${ccd}/client'`,
      ),
    );
    await lab().connect(second(lab()));
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
  });
});

labSuite('a server takes', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it('the place of a client for another one with its name', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const old = await lab().connect({ ...first, lines: ['connect-retry 300'] });
    const young = await lab().connect({ ...first, kind: 'openvpn-2.7', namespace: lab().net.router });
    await server.line(
      /MULTI: new connection by client 'client' will cause previous active sessions by this client to be dropped\. {2}Remember to use the --duplicate-cn option/,
    );
    expect((await device(lab().net.router, 'tun0'))?.addresses).toEqual(['10.8.0.2/24', 'fd00:8::1000/64']);
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    expect(await isSilent(lab().net.client, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.server, tunnel.client4), 'the address leads to the new one').toBe(true);
    await young.stop();
    await old.kill();
  });

  it('two clients with one name under duplicate-cn', async () => {
    await lab().serve({ lines: ['duplicate-cn'] });
    await lab().connect(first);
    await lab().connect({ ...first, namespace: lab().net.router });
    expect((await device(lab().net.router, 'tun0'))?.addresses).toEqual(['10.8.0.3/24', 'fd00:8::1001/64']);
    expect(await pings(lab().net.router, tunnel.server4)).toBe(true);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('no more than max-clients, and another one when one has left', async () => {
    const server = await lab().serve({ lines: ['max-clients 1', 'keepalive 10 60'] });
    const one = await lab().connect({ ...first, lines: ['explicit-exit-notify 1'] });
    const two = await lab().client({ ...second(lab()), lines: ['hand-window 4', 'connect-retry 1 1'] });
    await server.line(/MULTI: new incoming connection would exceed maximum number of clients \(1\)/);
    expect(two.count(up)).toBe(0);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await one.stop();
    await two.line(up);
  });

  it('no client for whom the pool has no address', async () => {
    const server = await lab().serve({
      without: ['server', 'server-ipv6'],
      lines: [
        'mode server',
        'tls-server',
        'duplicate-cn',
        'ifconfig 10.8.0.1 255.255.255.0',
        'ifconfig-pool 10.8.0.10 10.8.0.11 255.255.255.0',
        'push "topology subnet"',
        'push "route-gateway 10.8.0.1"',
      ],
    });
    await lab().connect({ ...first, device: 'tun1' });
    await lab().connect({ ...first, device: 'tun2' });
    const third = await lab().client({ ...first, device: 'tun3' });
    await server.line(/MULTI: no free --ifconfig-pool addresses are available/);
    expect((await device(lab().net.client, 'tun1'))?.addresses).toEqual(['10.8.0.10/24']);
    expect((await device(lab().net.client, 'tun2'))?.addresses).toEqual(['10.8.0.11/24']);
    expect((await device(lab().net.client, 'tun3'))?.addresses ?? []).toEqual([]);
    expect(await pings(lab().net.client, tunnel.server4, { from: 'tun1' })).toBe(true);
    expect(await pings(lab().net.client, tunnel.server4, { from: 'tun2' })).toBe(true);
    await third.kill();
  });

  it('new clients no faster than connect-freq', async () => {
    const server = await lab().serve({ lines: ['connect-freq 1 60', 'duplicate-cn'] });
    await lab().connect(first);
    const late = await lab().client({ ...first, device: 'tun5', lines: ['hand-window 3', 'connect-retry-max 1'] });
    await server.line(
      /MULTI: Connection from 192\.0\.2\.2:\d+ would exceed new connection frequency limit as controlled by --connect-freq/,
    );
    expect(late.count(up)).toBe(0);
  });

  it('unproven clients no more than connect-freq-initial, and says so once', async () => {
    const server = await lab().serve({ lines: ['connect-freq-initial 5 60'] });
    // Initial packets from nowhere: an opcode, a session id, no acknowledgement, packet-id 0.
    const reset = "printf '\\x38ABCDEFGH\\x00\\x00\\x00\\x00\\x00' >/dev/udp/198.51.100.1/1194";
    await lab().net.client.run(['bash', '-c', `for i in 1 2 3 4 5 6 7 8 9; do ${reset}; done`]);
    await server.line(
      /Note: --connect-freq-initial 5 60 rate limit exceeded, dropping initial handshake packets for the next \d+ seconds/,
    );
    expect(server.count(/connect-freq-initial 5 60 rate limit exceeded/)).toBe(1);
    const client = await lab().client({ ...first, lines: ['hand-window 2', 'connect-retry-max 1'] });
    await client.line(/TLS Error: TLS key negotiation failed to occur within 2 seconds/);
    expect(server.count(/Peer Connection Initiated/)).toBe(0);
  });

  it('every kind of client at once, each with traffic', async () => {
    await lab().serve({ lines: ['duplicate-cn', 'keepalive 10 60'] });
    const clients = await Promise.all(
      clientKinds.map((kind, index) => lab().client({ kind, device: `tun${index + 1}` })),
    );
    await Promise.all(clients.map((client) => client.line(up)));
    for (const [index, kind] of clientKinds.entries()) {
      expect(await pings(lab().net.client, tunnel.server4, { from: `tun${index + 1}` }), kind).toBe(true);
    }
  });

  itOurServer('a client back at once whose former self was killed at the same port', async () => {
    const server = await lab().serve({ lines: ['keepalive 10 60'] });
    const bound = { ...first, without: ['nobind'], lines: ['lport 4444'] };
    const one = await lab().connect(bound);
    await one.kill();
    await lab().connect(bound);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(server.count(/Peer Connection Initiated/)).toBe(2);
  });
});
