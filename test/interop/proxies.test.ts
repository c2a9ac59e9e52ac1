// Through proxies: HTTP CONNECT and SOCKS 5, of our own making and real ones, and what becomes of a connection whose
// proxy refuses, lies or says nothing.

import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import { dante, httpProxy, microsocks, socksProxy, tinyproxy } from '../lab/proxies.ts';
import { clientUnderTest, isOurs, itOurs, labSuite } from '../lab/requirements.ts';
import { scriptDump } from '../lab/script-dump.ts';
import { expectHealthy, expectNoLoss, expectTransfer, pings, serveTraffic } from '../lab/traffic.ts';

const HTTP = `http-proxy ${address.gateway4} 3128`;
const SOCKS = `socks-proxy ${address.gateway4} 1080`;
const BASIC = 'Basic realm="lab, with a comma"';
const DIGEST = 'Digest realm="lab", nonce="NONCE", qop="auth"';
const LOGIN = ['<http-proxy-user-pass>', 'paul', 'fish cake', '</http-proxy-user-pass>'];
/** `fish cake` where anybody could read it: as it is, and as Basic sends it. */
const PASSWORD = /fish cake|cGF1bDpmaXNoIGNha2U/;
const once = ['connect-retry 1', 'connect-retry-max 1'];

labSuite('an HTTP proxy', () => {
  const lab = useLab();
  beforeAll(() => lab().net.router.setHosts('198.51.100.1 vpn.example\nfd00:2::1 vpn6.example\n'));
  beforeAll(() => serveTraffic(lab()));
  const tcp = (lines: readonly string[], more: ClientOptions = {}): ClientOptions => ({
    transport: 'tcp4',
    lines,
    ...more,
  });

  it.each(['2.6', '2.7'] as const)('gives a way to a %s server, and everything passes', async (version) => {
    const proxy = await httpProxy(lab());
    await lab().server({ version, transport: 'tcp4' });
    const client = await lab().connect(tcp([HTTP]));
    expect(client.text).toMatch(/Send to HTTP proxy: 'CONNECT 198\.51\.100\.1:1194 HTTP\/1\.0'/);
    expect(client.text).toMatch(/HTTP proxy returned: 'HTTP\/1\.0 200 Connection established'/);
    expect(client.text).toMatch(/TCPv4_CLIENT link remote: \[AF_INET\]192\.0\.2\.1:3128/);
    expect(proxy.text).toMatch(/heard Host: 198\.51\.100\.1$/m);
    await expectHealthy(lab());
  });

  it('is given the name of the server, which it alone can look up', async () => {
    await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    await lab().connect({ lines: ['remote vpn.example 1194 tcp4-client', HTTP], without: ['remote'] });
  });

  it('may be reached by IPv6, whatever the server is', async () => {
    await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    const remote = `remote ${address.server4} 1194 tcp-client`;
    const client = await lab().connect({ lines: [remote, `http-proxy ${address.gateway6} 3128`], without: ['remote'] });
    expect(client.text).toMatch(/TCP connection established with \[AF_INET6\]fd00:1::1:3128/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('gives a way to a server by IPv6', async () => {
    await httpProxy(lab());
    await lab().server({ transport: 'tcp6' });
    await lab().connect({ lines: ['remote vpn6.example 1194 tcp-client', HTTP], without: ['remote'] });
  });

  it('is sent the agent, the version and the headers of the profile', async () => {
    const proxy = await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    const options = [
      'http-proxy-option VERSION 1.1',
      'http-proxy-option AGENT "A browser"',
      'http-proxy-option CUSTOM-HEADER X-One "first of all"',
      'http-proxy-option EXT1 "X-Two: second"',
      'http-proxy-option CUSTOM-HEADER Host office.example',
    ];
    await lab().connect(tcp([HTTP, ...options]));
    expect(proxy.lines.filter((line) => line.startsWith('heard '))).toEqual([
      'heard CONNECT 198.51.100.1:1194 HTTP/1.1',
      'heard X-One: first of all',
      'heard X-Two: second',
      'heard Host: office.example',
      'heard User-Agent: A browser',
    ]);
  });

  const logins: readonly (readonly [what: string, offers: readonly string[], lines: readonly string[]])[] = [
    ['Basic that is asked for', [BASIC], [`${HTTP} auto`, ...LOGIN]],
    ['Digest', [DIGEST], [`${HTTP} auto`, ...LOGIN]],
    ['Digest of RFC 2069, without qop', ['Digest realm="old", nonce="NONCE"'], [`${HTTP} auto`, ...LOGIN]],
    ['Digest without cleartext', [DIGEST], [`${HTTP} auto-nct`, ...LOGIN]],
    [
      'a realm with quotation marks',
      ['Digest realm="the \\"lab\\"", nonce="NONCE", qop="auth"'],
      [`${HTTP} auto`, ...LOGIN],
    ],
  ];
  it.each(
    // What the C program answers where there is no qop is not what RFC 2069 says.
    logins.filter(([what]) => isOurs || !what.includes('2069')),
  )('takes a login by %s', async (_, offers, lines) => {
    const proxy = await httpProxy(lab(), { offers });
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect(tcp([...lines, 'verb 6']));
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(proxy.text).toMatch(/login wanted/);
    expect(proxy.text).not.toMatch(/login refused/);
    if (isOurs) expect(client.text).not.toMatch(PASSWORD);
  });

  const better: readonly (readonly [what: string, offers: readonly string[]])[] = [
    ['SHA-256', ['Digest realm="lab", algorithm=SHA-256, nonce="NONCE", qop="auth"']],
    ['MD5-sess', ['Digest realm="lab", algorithm=MD5-sess, nonce="NONCE", qop="auth,auth-int", opaque="abc"']],
    ['Digest where Basic stands before it', [BASIC, DIGEST]],
    ['what of several challenges in one line it can do', [`NTLM, ${DIGEST}, Basic realm="lab"`]],
  ];
  for (const [what, offers] of better) {
    itOurs(`takes a login by ${what}`, async () => {
      const proxy = await httpProxy(lab(), { offers });
      await lab().server({ transport: 'tcp4' });
      await lab().connect(tcp([`${HTTP} auto`, ...LOGIN]));
      expect(proxy.text).toMatch(/Proxy-Authorization: Digest/);
    });
  }

  it('takes a login by Basic from a file with the first request', async () => {
    const proxy = await httpProxy(lab(), { offers: [BASIC] });
    await lab().server({ transport: 'tcp4' });
    const file = await lab().file('login', 'paul\nfish cake\n', 0o600);
    await lab().connect(tcp([`${HTTP} ${file} basic`]));
    expect(proxy.text).not.toMatch(/login wanted/);
  });

  it('has the person at the terminal asked when it wants a login', async () => {
    await httpProxy(lab(), { offers: [BASIC] });
    await lab().server({ transport: 'tcp4' });
    const client = await lab().client(tcp([`${HTTP} stdin basic`], { terminal: true }));
    await client.prompt(/Enter HTTP Proxy Username:/);
    client.write('paul\n');
    await client.prompt(/Enter HTTP Proxy Password:/);
    client.write('fish cake\n');
    await client.line(up);
  });

  itOurs('has the person asked before a daemon begins', async () => {
    await httpProxy(lab(), { offers: [BASIC] });
    await lab().server({ transport: 'tcp4' });
    const log = await lab().file('daemon.log', '');
    const lines = [`${HTTP} stdin basic`, 'daemon', `log ${log}`];
    const client = await lab().client(tcp(lines, { terminal: true }));
    await client.prompt(/Enter HTTP Proxy Username:/);
    client.write('paul\n');
    await client.prompt(/Enter HTTP Proxy Password:/);
    client.write('fish cake\n');
    expect((await client.exit()).code).toBe(0);
    await expect.poll(() => readFile(log, 'utf8'), { timeout: 10_000 }).toMatch(up);
    expect(await readFile(log, 'utf8')).not.toMatch(PASSWORD);
  });

  itOurs('has the person asked again after a wrong password', async () => {
    await httpProxy(lab(), { offers: [DIGEST] });
    await lab().server({ transport: 'tcp4' });
    const client = await lab().client(tcp([`${HTTP} auto`, 'connect-retry 1'], { terminal: true }));
    for (const password of ['wrong', 'fish cake']) {
      await client.prompt(/Enter HTTP Proxy Username:/);
      client.write('paul\n');
      await client.prompt(/Enter HTTP Proxy Password:/);
      client.write(`${password}\n`);
    }
    await client.line(up);
    expect(client.text).toMatch(/does not accept the user name and the password/);
  });

  it('that refuses the login ends the attempt', async () => {
    await httpProxy(lab(), { offers: [BASIC] });
    const file = await lab().file('login', 'paul\nwrong\n', 0o600);
    const client = await lab().client(tcp([`${HTTP} ${file} basic`, ...once]));
    await client.line(/Proxy requires authentication/);
    await client.line(/SIGUSR1\[soft,HTTP proxy error\] received, process restarting/);
    expect((await client.exit()).code).toBe(1);
    if (isOurs) expect(client.text).toMatch(/NOTE: The HTTP proxy 192\.0\.2\.1:3128 does not accept/);
  });

  const refusals: readonly (readonly [string, string, readonly string[], RegExp, RegExp])[] = [
    [
      'answers 403',
      'HTTP/1.1 403 Not for you\r\n\r\n',
      [HTTP],
      /HTTP proxy returned bad status/,
      /'HTTP\/1\.1 403 Not for you'/,
    ],
    ['answers no HTTP', 'SSH-2.0-OpenSSH\r\n', [HTTP], /HTTP proxy returned bad status/, /answers 'SSH-2.0-OpenSSH'/],
    ['ends the connection', 'close', [HTTP], /recv_line: TCP port read failed on recv\(\)/, /closed the connection/],
    [
      'wants a login that the profile does not have',
      'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n',
      [HTTP],
      /HTTP proxy: no support for proxy authentication method/,
      /http-proxy 192\.0\.2\.1 3128 auto/,
    ],
    [
      'wants a password readable, which the profile forbids',
      'HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n',
      [`${HTTP} auto-nct`, ...LOGIN],
      /support for basic auth and other cleartext proxy auth methods is disabled/,
      /asks for basic/,
    ],
    [
      'wants what nobody has',
      'HTTP/1.1 407 Login\r\nProxy-Authenticate: Scram x="y"\r\n\r\n',
      [`${HTTP} auto`, ...LOGIN],
      /do not recognize the authentication method required by proxy/,
      /asks for scram/,
    ],
  ];
  it.each(refusals)('that %s ends the attempt with its words', async (_, answer, lines, words, note) => {
    await httpProxy(lab(), { answer });
    const client = await lab().client(tcp([...lines, ...once]));
    await client.line(words);
    await client.line(/SIGUSR1\[soft,HTTP proxy error\] received, process restarting/);
    expect((await client.exit()).code).toBe(1);
    if (isOurs) expect(client.text).toMatch(note);
  });

  it('that says nothing is left after server-poll-timeout', async () => {
    await httpProxy(lab(), { answer: 'silent' });
    const client = await lab().client(tcp([HTTP, 'server-poll-timeout 2', ...once]));
    await client.line(/recv_line: TCP port read timeout expired/);
    await client.line(/SIGUSR1\[soft,HTTP proxy error\] received, process restarting/);
  });

  it('that says nothing does not hold up SIGTERM', async () => {
    const proxy = await httpProxy(lab(), { answer: 'silent' });
    const client = await lab().client(tcp([HTTP]));
    await proxy.line(/accepted/);
    expect(await client.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('that is not there is told as a connection that failed', async () => {
    const client = await lab().client(tcp([HTTP, ...once]));
    await client.line(/TCP: connect to \[AF_INET\]192\.0\.2\.1:3128 failed: Connection refused/);
    await client.line(/SIGUSR1\[connection failed\(soft\),connection-failed\] received/);
  });

  itOurs('that sends a header without end is left at a bound', async () => {
    await httpProxy(lab(), { answer: 'endless' });
    const client = await lab().client(tcp([HTTP, ...once]));
    await client.line(/sends a header that does not end/);
  });

  it('may say its words a byte at a time', async () => {
    await httpProxy(lab(), { slow: true });
    await lab().server({ transport: 'tcp4' });
    await lab().connect(tcp([HTTP]));
  });

  it('that dies ends the connection, and its return is found', async () => {
    const first = await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect(tcp([HTTP, 'connect-retry 1']));
    await first.kill();
    await client.line(/SIGUSR1\[soft,connection-reset\] received/);
    const mark = client.mark();
    await httpProxy(lab());
    await client.line(up, { from: mark });
  });

  it('of one <connection> is not that of the next', async () => {
    await httpProxy(lab(), { answer: 'HTTP/1.1 403 No\r\n\r\n' });
    await lab().server({ transport: 'tcp4' });
    const remote = `remote ${address.server4} 1194 tcp4-client`;
    const blocks = ['<connection>', remote, HTTP, '</connection>', '<connection>', remote, '</connection>'];
    const client = await lab().connect({ lines: [...blocks, 'connect-retry 1'], without: ['remote'] });
    expect(client.text).toMatch(/HTTP proxy returned bad status/);
    expect(client.text).toMatch(/link remote: \[AF_INET\]198\.51\.100\.1:1194/);
  });

  it('is named to scripts', async () => {
    await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    const dump = await scriptDump(lab());
    await lab().connect(tcp([HTTP, 'script-security 2', `up ${dump.script}`]));
    const { up: call } = await dump.calls();
    expect(call?.env).toMatchObject({ http_proxy_server_1: '192.0.2.1', http_proxy_port_1: '3128' });
    expect(call?.env).toMatchObject({ trusted_ip: '192.0.2.1', trusted_port: '3128' });
  });

  it('is kept out of the tunnel that takes the default route', async () => {
    await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    await lab().connect(tcp([`http-proxy ${address.router4} 3128`, 'redirect-gateway def1']));
    expect(await lab().net.client.ip('route get 198.51.100.2')).toMatch(/via 192\.0\.2\.1/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  it('that is tinyproxy gives a way, with and without a login', async () => {
    const first = await tinyproxy(lab());
    await lab().server({ transport: 'tcp4' });
    const client = await lab().connect(tcp([HTTP]));
    await expectTransfer(lab().net.client, tunnel.server4);
    await client.stop();
    await first.kill();
    await tinyproxy(lab(), 'BasicAuth paul fishcake');
    const login = ['<http-proxy-user-pass>', 'paul', 'fishcake', '</http-proxy-user-pass>'];
    await lab().connect(tcp([`${HTTP} auto`, ...login]));
  });
});

labSuite('a SOCKS proxy', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each([
    ['2.6', 'tcp4'],
    ['2.6', 'udp4'],
    ['2.7', 'tcp4'],
    ['2.7', 'udp4'],
  ] as const)('gives a way to a %s server over %s, and everything passes', async (version, transport) => {
    const proxy = await socksProxy(lab());
    await lab().server({ version, transport });
    const client = await lab().connect({ transport, lines: [SOCKS] });
    if (transport === 'udp4') {
      expect(client.text).toMatch(/SOCKS proxy wants us to send UDP to \[AF_INET\]192\.0\.2\.1:\d+/);
      expect(client.text).toMatch(/UDPv4 link remote: \[AF_INET\]198\.51\.100\.1:1194/);
      // The server's address and port stand before each datagram.
      expect(proxy.text).toMatch(/first datagram: 00000001c633640104aa/);
    } else {
      expect(client.text).toMatch(/TCPv4_CLIENT link remote: \[AF_INET\]192\.0\.2\.1:1080/);
      // An address, too, is sent as a name (type 3).
      expect(proxy.text).toMatch(/command 1 type 3 198\.51\.100\.1:1194/);
    }
    await expectHealthy(lab());
    expect(await lab().net.client.ip('link show tun0')).toMatch(/mtu 1500/);
  });

  it('over TCP is given the name of the server, which it alone can look up', async () => {
    await lab().net.router.setHosts('198.51.100.1 vpn.example\n');
    await socksProxy(lab());
    await lab().server({ transport: 'tcp4' });
    await lab().connect({ lines: ['remote vpn.example 1194 tcp4-client', SOCKS], without: ['remote'] });
  });

  it('that relays datagrams loses none while keys are renewed', async () => {
    await socksProxy(lab());
    await lab().server({ lines: ['reneg-sec 3'] });
    await lab().connect({ lines: [SOCKS] });
    await expectNoLoss(lab().net.client, tunnel.server4, 2500);
  });

  it.each(['tcp4', 'udp4'] as const)('takes a login over %s', async (transport) => {
    // The version that the C program expects of an answer is not that of RFC 1929.
    const proxy = await socksProxy(lab(), { user: 'paul', password: 'fish cake', loginVersion: isOurs ? 1 : 5 });
    await lab().server({ transport });
    const file = await lab().file('login', 'paul\nfish cake\n', 0o600);
    const client = await lab().connect({ transport, lines: [`${SOCKS} ${file}`, 'verb 6'] });
    expect(proxy.text).toMatch(/login of paul/);
    if (isOurs) expect(client.text).not.toMatch(PASSWORD);
  });

  it('has the person at the terminal asked when it wants a login', async () => {
    await socksProxy(lab(), { user: 'paul', password: 'fish cake', loginVersion: 5 });
    await lab().server({ transport: 'tcp4' });
    const client = await lab().client({ transport: 'tcp4', lines: [`${SOCKS} stdin`], terminal: true });
    await client.prompt(/Enter SOCKS Proxy Username:/);
    client.write('paul\n');
    await client.prompt(/Enter SOCKS Proxy Password:/);
    client.write('fish cake\n');
    await client.line(up);
  });

  const refusals: readonly (readonly [string, object, string, RegExp, RegExp])[] = [
    [
      'refuses the login',
      { user: 'paul', password: 'x' },
      'login',
      /server refused the authentication/,
      /does not accept/,
    ],
    [
      'wants a login',
      { user: 'paul', password: 'x' },
      '',
      /Socks proxy returned unexpected auth/,
      /does not take our way/,
    ],
    [
      'refuses the request',
      { reply: 2 },
      '',
      /recv_socks_reply: Socks proxy returned bad reply/,
      /not allowed by the rules/,
    ],
    [
      'speaks HTTP',
      { answer: 'HTTP/1.0 400 Bad\r\n\r\n' },
      '',
      /Socks proxy returned bad status/,
      /does not speak SOCKS 5/,
    ],
    [
      'ends the connection',
      { answer: '' },
      '',
      /socks_handshake: TCP port read failed on recv\(\)/,
      /closed the connection/,
    ],
  ];
  it.each(
    refusals.flatMap((refusal) => (['tcp4', 'udp4'] as const).map((transport) => [...refusal, transport] as const)),
  )('that %s ends the attempt with its words (%#)', async (_, settings, login, words, note, transport) => {
    await socksProxy(lab(), settings);
    const file = login === '' ? '' : await lab().file('login', 'paul\nwrong\n', 0o600);
    const client = await lab().client({ transport, lines: [`${SOCKS} ${file}`, ...once] });
    await client.line(words);
    await client.line(/SIGUSR1\[soft,socks-error\] received, process restarting/);
    expect((await client.exit()).code).toBe(1);
    if (isOurs) expect(client.text).toMatch(note);
  });

  it.each(['tcp4', 'udp4'] as const)(
    'that says nothing over %s is left after server-poll-timeout',
    async (transport) => {
      await socksProxy(lab(), { answer: 'silent' });
      const client = await lab().client({ transport, lines: [SOCKS, 'server-poll-timeout 2', ...once] });
      await client.line(/TCP port read timeout expired/);
      await client.line(/SIGUSR1\[soft,socks-error\] received, process restarting/);
    },
  );

  it('that says nothing does not hold up SIGTERM', async () => {
    const proxy = await socksProxy(lab(), { answer: 'silent' });
    const client = await lab().client({ lines: [SOCKS] });
    await proxy.line(/accepted/);
    expect(await client.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('is named to scripts, and the server as the peer that is trusted', async () => {
    await socksProxy(lab());
    await lab().server();
    const dump = await scriptDump(lab());
    await lab().connect({ lines: [SOCKS, 'script-security 2', `up ${dump.script}`] });
    const { up: call } = await dump.calls();
    expect(call?.env).toMatchObject({ socks_proxy_server_1: '192.0.2.1', socks_proxy_port_1: '1080' });
    expect(call?.env).toMatchObject({ trusted_ip: '198.51.100.1', trusted_port: '1194' });
  });

  itOurs('that ends the connection of its relay ends the attempt, and another follows', async () => {
    const proxy = await socksProxy(lab());
    await lab().server();
    const client = await lab().connect({ lines: [SOCKS, 'connect-retry 1'] });
    const mark = client.mark();
    proxy.signal('SIGUSR2');
    await client.line(/SIGUSR1\[soft,socks-error\] received, process restarting/, { from: mark });
    await client.line(up, { from: mark });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    expect(client.text.match(/closed the connection that its relay/g)?.length).toBe(2);
  });

  itOurs('whose relay has no address of its own is sent to where it is', async () => {
    await socksProxy(lab(), { relayAddress: '0.0.0.0' });
    await lab().server();
    await lab().connect({ lines: [SOCKS] });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  itOurs('is kept out of the tunnel that takes the default route, its relay too', async () => {
    await socksProxy(lab());
    await lab().server();
    await lab().connect({ lines: [`socks-proxy ${address.router4} 1080`, 'redirect-gateway def1'] });
    expect(await lab().net.client.ip('route get 198.51.100.2')).toMatch(/via 192\.0\.2\.1/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });

  itOurs('relays to a server by IPv6', async () => {
    const proxy = await socksProxy(lab(), { family: 6 });
    await lab().server({ transport: 'udp6' });
    await lab().connect({ transport: 'udp6', lines: [SOCKS] });
    expect(proxy.text).toMatch(/first datagram: 00000004fd0000020{23}104aa/);
    await expectTransfer(lab().net.client, tunnel.server4);
  });

  it('that is microsocks gives a way', async () => {
    await microsocks(lab());
    await lab().server({ transport: 'tcp4' });
    await lab().connect({ transport: 'tcp4', lines: [SOCKS] });
    await expectTransfer(lab().net.client, tunnel.server4);
  });

  // The C program expects another version in the answer to a login.
  itOurs('that is microsocks takes a login', async () => {
    await microsocks(lab(), '-u', 'paul', '-P', 'fishcake');
    await lab().server({ transport: 'tcp4' });
    const file = await lab().file('login', 'paul\nfishcake\n', 0o600);
    await lab().connect({ transport: 'tcp4', lines: [`${SOCKS} ${file}`] });
  });

  it.each(['tcp4', 'udp4'] as const)("that is Dante's gives a way over %s", async (transport) => {
    await dante(lab());
    await lab().server({ transport });
    await lab().connect({ transport, lines: [SOCKS] });
    await expectTransfer(lab().net.client, tunnel.server4);
  });
});

labSuite('options of proxies', () => {
  const lab = useLab();

  it('http-proxy-override takes every remote over TCP, and leaves out those over UDP', async () => {
    const proxy = await httpProxy(lab());
    await lab().server({ transport: 'tcp4' });
    const remotes = [`remote ${address.server4} 1194 udp4`, `remote ${address.server4} 1194 tcp4-client`];
    const lines = [...remotes, `http-proxy-override ${address.gateway4} 3128`];
    await lab().connect({ lines, without: ['remote'] });
    expect(proxy.text).toMatch(/heard User-Agent: OpenVPN-Autoproxy\/1\.0/);
  });

  it('proto-force leaves out the remotes of another protocol', async () => {
    await lab().server({ transport: 'tcp4' });
    // 2.6 and 2.7 compare with `tcp-client`; `tcp`, which their manual names, leaves nothing there.
    const forced = clientUnderTest === 'sallyport' ? 'tcp' : 'tcp-client';
    const remotes = [`remote ${address.server4} 1194 udp4`, `remote ${address.server4} 1194 tcp4-client`];
    const client = await lab().connect({ lines: [...remotes, `proto-force ${forced}`], without: ['remote'] });
    expect(client.text).not.toMatch(/UDPv4 link/);
  });
});
