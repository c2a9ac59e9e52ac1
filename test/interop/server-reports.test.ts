// What a server tells of itself: the status file in its three layouts, SIGUSR2, metrics, and what its log says about a
// client's life.

import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type Lab, tunnel, up, useLab } from '../lab/lab.ts';
import { address } from '../lab/net.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { pushedOptions } from '../lab/push-reply.ts';
import { itOurServer, labSuite, serverUnderTest } from '../lab/requirements.ts';
import { pings, serveTraffic } from '../lab/traffic.ts';

const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
// OpenVPN 2.6 writes no protocol in front.
const real = String.raw`${serverUnderTest === 'openvpn' ? '' : 'udp4:'}192\.0\.2\.2:\d+`;
const title = String.raw`OpenVPN 2\.\d+\.\d+ .+`;
const queue = 'Max bcast/mcast queue length';

const headed = [
  'OpenVPN CLIENT LIST',
  `Updated,${time}`,
  'Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since',
  String.raw`client,${real},\d+,\d+,${time}`,
  'ROUTING TABLE',
  'Virtual Address,Common Name,Real Address,Last Ref',
  `10.8.0.2,client,${real},${time}`,
  `fd00:8::1000,client,${real},${time}`,
  'GLOBAL STATS',
  String.raw`${queue},\d+`,
  'END',
];
const worded = [
  `TITLE,${title}`,
  String.raw`TIME,${time},\d+`,
  'HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since \\(time_t\\),Username,Client ID,Peer ID,Data Channel Cipher',
  String.raw`CLIENT_LIST,client,${real},10.8.0.2,fd00:8::1000,\d+,\d+,${time},\d+,UNDEF,0,0,AES-256-GCM`,
  'HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref \\(time_t\\)',
  String.raw`ROUTING_TABLE,10.8.0.2,client,${real},${time},\d+`,
  String.raw`ROUTING_TABLE,fd00:8::1000,client,${real},${time},\d+`,
  String.raw`GLOBAL_STATS,${queue},\d+`,
  'GLOBAL_STATS,dco_enabled,0',
  'END',
];
const layouts = [
  [1, headed],
  [2, worded],
  [3, worded.map((line) => line.replaceAll(',', '\t'))],
] as const;

/** The status as soon as it knows the client. */
async function statusOf(path: string): Promise<string> {
  let text = '';
  await expect
    .poll(async () => (text = await readFile(path, 'utf8')), { timeout: 10_000 })
    .toMatch(/10\.8\.0\.2[\s\S]*END\n$/);
  return text;
}

/** Routes may come in any order. */
const sorted = (lines: readonly string[]): string[] => [...lines].sort();

function expectLines(lines: readonly string[], patterns: readonly string[]): void {
  const [have, want] = [sorted(lines), sorted(patterns)];
  expect(have).toHaveLength(want.length);
  for (const pattern of patterns) expect(have).toContainEqual(expect.stringMatching(new RegExp(`^${pattern}$`)));
}

labSuite('the status of a server', () => {
  const lab = useLab();

  it.each(layouts)('of version %i is written every so often, for its owner alone', async (version, patterns) => {
    const path = join(lab().dir, `status-${version}`);
    const server = await lab().serve({ lines: [`status ${path} 1`, `status-version ${version}`] });
    await lab().connect({ kind: 'openvpn' });
    const text = await statusOf(path);
    expect(text.endsWith('END\n')).toBe(true);
    expectLines(text.trimEnd().split('\n'), patterns);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    server.signal('SIGTERM');
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    expect(await readFile(path, 'utf8')).toContain('10.8.0.2');
  });

  it('goes to the log on SIGUSR2', async () => {
    const server = await lab().serve({ lines: ['status-version 2'] });
    await lab().connect({ kind: 'openvpn' });
    const mark = server.mark();
    server.signal('SIGUSR2');
    await server.line(/\bEND$/, { from: mark });
    const lines = server.lines.slice(mark).map((line) => line.replace(/^.{19} (us=\d+ )?(?=[A-Z])/, ''));
    expectLines(
      lines.slice(
        lines.findIndex((line) => line.startsWith('TITLE,')),
        lines.indexOf('END') + 1,
      ),
      worded,
    );
  });
});

/** The page, fetched where the server is. */
async function scrape(lab: Lab, url = 'http://127.0.0.1:9100/metrics'): Promise<ReadonlyMap<string, number>> {
  const code = `fetch(${JSON.stringify(url)}).then((r) => r.text()).then((t) => process.stdout.write(t))`;
  const { stdout } = await lab.net.server.run([process.execPath, '-e', code]);
  const samples = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => {
      const [name = '', value] = line.split(/ (?=\S+$)/);
      return [name.replace('sallyport_', ''), Number(value)];
    }),
  );
}

labSuite('the metrics of a server', () => {
  const lab = useLab();

  itOurServer('follow a client from its handshake to its end', async () => {
    const server = await lab().serve({ lines: ['metrics 9100', `crl-verify ${lab().pki.crl}`] });
    expect(server.text).toMatch(/ Metrics are at http:\/\/127\.0\.0\.1:9100\/metrics$/m);
    const before = await scrape(lab());
    expect(before.get('sessions')).toBe(0);
    expect(before.get('pool_addresses')).toBe(253);
    expect(before.get('crl_expiry_seconds')).toBeGreaterThan(Date.now() / 1000);
    for (const what of ['certificate', 'ca']) {
      expect(before.get(`${what}_expiry_seconds`), what).toBeGreaterThan(Date.now() / 1000);
    }
    const client = await lab().connect({ kind: 'openvpn', lines: ['explicit-exit-notify 1'] });
    const during = await scrape(lab());
    expect(during.get('sessions')).toBe(1);
    expect(during.get('handshakes_total{outcome="completed"}')).toBe(1);
    expect(during.get('first_packets_answered_total')).toBeGreaterThan(0);
    expect(during.get('pool_addresses_used')).toBe(1);
    for (const way of ['received', 'sent']) {
      expect(during.get(`${way}_bytes_total`), way).toBeGreaterThan(1000);
      expect(during.get(`${way}_packets_total`), way).toBeGreaterThan(5);
    }
    expect(during.get('event_loop_delay_seconds')).toBeGreaterThanOrEqual(0);
    client.signal('SIGTERM');
    await client.exit();
    await expect.poll(async () => (await scrape(lab())).get('sessions'), { timeout: 10_000 }).toBe(0);
  });

  itOurServer('count who was refused', async () => {
    const server = await lab().serve({ lines: ['metrics 9100'] });
    await lab().client({ kind: 'openvpn', certificate: lab().pki.expired });
    await server.line(/client-instance (restarting|exiting)/);
    const after = await scrape(lab());
    expect(
      (after.get('handshakes_total{outcome="refused"}') ?? 0) +
        (after.get('handshakes_total{outcome="tls-failed"}') ?? 0),
    ).toBeGreaterThan(0);
    expect(after.get('handshakes_total{outcome="completed"}')).toBeUndefined();
  });

  itOurServer('keep a server from starting when their port is in use, with nothing changed on the host', async () => {
    await lab().serve({ lines: ['metrics 9100'] });
    const second = await lab().startServer({
      program: serverUnderTest,
      port: 1195,
      lines: ['metrics 9100', 'server 10.9.0.0 255.255.255.0'],
      without: ['server', 'server-ipv6'],
    });
    expect(await second.exit()).toEqual({ code: 1, signal: null });
    expect(second.text).toMatch(/ metrics: can't listen on 127\.0\.0\.1:9100: the port is in use$/m);
    expect(second.text).toMatch(/ Exiting due to fatal error$/m);
    expect(second.count(up)).toBe(0);
    expect(second.text).not.toMatch(/TUN\/TAP/);
  });

  itOurServer('are served on after SIGHUP', async () => {
    const server = await lab().serve({ lines: ['metrics [::1]:9100'] });
    const mark = server.mark();
    server.signal('SIGHUP');
    await server.line(/Reloaded: nothing has changed/, { from: mark });
    expect((await scrape(lab(), 'http://[::1]:9100/metrics')).get('sessions')).toBe(0);
  });
});

labSuite('a server whose certificate runs out', () => {
  const lab = useLab();

  itOurServer('says so when it starts, and serves', async () => {
    const { pki } = lab();
    const soon = await pki.issue({
      name: 'soon',
      notAfter: new Date(Date.now() + 11.5 * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, ''),
    });
    const server: WatchedProcess = await lab().serve({
      without: ['cert', 'key'],
      lines: [`cert ${soon.cert}`, `key ${soon.key}`],
    });
    expect(server.text).toMatch(/ WARNING: the certificate of this server expires in 11 days, on \d{4}-\d\d-\d\d$/m);
  });
});

labSuite('a server that knows its clients by other fields of their certificates', () => {
  const lab = useLab();

  it.each([
    ['emailAddress', 'max@example.com'],
    ['OU', 'two'],
    ['CN OU', 'named_two'],
    ['serialNumber', '0x'],
    ['ext:subjectAltName', 'new@example.com'],
  ])('by %s', async (fields, name) => {
    const server = await lab().serve({ lines: [`x509-username-field ${fields}`] });
    await lab().connect({
      kind: 'openvpn',
      certificate: await lab().pki.issue({
        name: 'named',
        subject: '/OU=one/OU=two/CN=named/emailAddress=max@example.com',
        eku: 'clientAuth',
        extensions: ['subjectAltName = DNS:named.example.com, email:old@example.com, email:new@example.com'],
      }),
    });
    const line = await server.line(/ primary virtual IP for /);
    expect(line).toContain(` for ${name}`);
    expect(line.split(' ').find((word) => word.includes('/'))).toMatch(new RegExp(`^${name}`));
  });

  it('refuses a client without them', async () => {
    const server = await lab().serve({ lines: ['x509-username-field CN OU'] });
    await lab().client({ kind: 'openvpn' });
    await server.line(
      /VERIFY ERROR: could not extract OU from X509 subject string \('C=DE, O=Example, CN=client'\) -- note that the field length is limited to 64 characters$/,
    );
    await server.line(/client-instance (restarting|exiting)/);
    expect(server.count(/MULTI_sva/)).toBe(0);
  });
});

labSuite('a server that asks a program about tls-crypt-v2 keys', () => {
  const lab = useLab();

  it.each(['udp4', 'tcp4'] as const)('takes and refuses clients as it says, over %s', async (transport) => {
    const { keys, dir } = lab();
    const verdict = join(dir, `verdict-${transport}`);
    const seen = join(dir, `seen-${transport}`);
    const script = await lab().file(
      'verify.sh',
      `#!/bin/sh\nPATH=/usr/bin:/bin\n{ echo "$# $script_type $metadata_type"; od -An -tx1 "$metadata_file"; } >>${seen}\nexit "$(cat ${verdict})"\n`,
      0o755,
    );
    await writeFile(verdict, '1');
    const server = await lab().serve({
      transport,
      lines: ['script-security 2', `tls-crypt-v2 ${keys.v2Server}`, `tls-crypt-v2-verify ${script}`],
    });
    const options = { kind: 'openvpn', transport, lines: [`tls-crypt-v2 ${keys.v2Client}`, 'hand-window 5'] } as const;
    const refused = await lab().client(options);
    for (const says of [
      /192\.0\.2\.2:\d+ WARNING: Failed running command \(--tls-crypt-v2-verify\): external program exited with error status: 1$/,
      /192\.0\.2\.2:\d+ TLS CRYPT V2 VERIFY SCRIPT ERROR$/,
      /192\.0\.2\.2:\d+ TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]192\.0\.2\.2:\d+$/,
      /192\.0\.2\.2:\d+ SIGUSR1\[soft,tls-error\] received, client-instance restarting$/,
    ]) {
      await server.line(says);
    }
    expect(refused.count(up)).toBe(0);
    await refused.kill();
    await writeFile(verdict, '0');
    const mark = server.mark();
    await lab().connect(options);
    await server.line(/192\.0\.2\.2:\d+ TLS CRYPT V2 VERIFY SCRIPT OK$/, { from: mark });
    const [first, metadata] = (await readFile(seen, 'utf8')).split('\n');
    expect(first).toBe('0 tls-crypt-v2-verify 1');
    expect(metadata).toMatch(/^( [0-9a-f]{2}){8}$/);
  });
});

labSuite('port-share with a folder', () => {
  const lab = useLab();

  it('says there where a connection that it passes on comes from, as long as it lasts', async () => {
    const folder = await lab().directory('origins');
    const script = await lab().file(
      'web.mjs',
      `import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
createServer((request, response) => {
  const { remoteAddress, remotePort } = request.socket;
  const path = '${folder}/[AF_INET]' + remoteAddress + ':' + remotePort;
  response.end(readFileSync(path, 'utf8'));
}).listen(8080, '127.0.0.1', () => console.log('listening'));
`,
    );
    const web = lab().net.server.watch([process.execPath, script], { name: 'web server' });
    await web.line(/listening/);
    await lab().serve({ transport: 'tcp4', lines: [`port-share 127.0.0.1 8080 ${folder}`] });
    const code = `fetch('http://${address.server4}:1194/').then((r) => r.text()).then((t) => process.stdout.write(t))`;
    const { stdout } = await lab().net.client.run([process.execPath, '-e', code]);
    expect(stdout).toMatch(/^\[AF_INET\]192\.0\.2\.2:\d+$/);
    await expect.poll(() => readdir(folder)).toEqual([]);
  });
});

labSuite('max-routes-per-client', () => {
  const lab = useLab();

  it('bounds what is behind a client, its own addresses counted; its file may say otherwise', async () => {
    const ccd = await lab().directory('ccd');
    const server = await lab().serve({ lines: [`client-config-dir ${ccd}`, 'max-routes-per-client 3'] });
    const routes = [1, 2, 3].map((net) => `iroute 192.168.${net}.0 255.255.255.0\n`).join('');
    const learned = async (text: string): Promise<number> => {
      await writeFile(join(ccd, 'client'), text);
      const mark = server.mark();
      const client = await lab().connect({ kind: 'openvpn' });
      await server.line(/ SENT CONTROL \[client\]: 'PUSH_REPLY/, { from: mark });
      await client.kill();
      return server.count(/ MULTI: Learn: 192\.168\./, mark);
    };
    expect(await learned(routes)).toBe(1);
    await server.line(
      /client\/.+ MULTI ROUTE: route quota \(3\) exceeded for client\/.+ \(see --max-routes-per-client option\)$/,
    );
    expect(await learned(`${routes}max-routes-per-client 8\n`)).toBeGreaterThan(1);
  });
});

labSuite('compress migrate', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  it.each([
    ['comp-lzo no', 'compress stub-v2'],
    ['comp-lzo yes', 'compress stub-v2'],
    ['verb 4', undefined],
  ])('weans a client with %s from compression, without a warning on either side', async (line, pushed) => {
    const server = await lab().serve({ lines: ['compress migrate'] });
    const client = await lab().connect({ kind: 'openvpn', lines: [line] });
    expect(pushedOptions(client).find((option) => option.startsWith('comp'))).toBe(pushed);
    expect(client.text).not.toMatch(/WARNING: '(comp-lzo|link-mtu)'/);
    expect(server.text).not.toMatch(/WARNING: '(comp-lzo|link-mtu)'/);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
  });
});
