// What a server tells of itself: the status file in its three layouts, SIGUSR2, metrics, and what its log says about a
// client's life.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Lab, up, useLab } from '../lab/lab.ts';
import type { WatchedProcess } from '../lab/process.ts';
import { itOurServer, labSuite, serverUnderTest } from '../lab/requirements.ts';

const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
// OpenVPN 2.7 writes the protocol in front.
const real = String.raw`${serverUnderTest === 'openvpn-2.7' ? 'udp4:' : ''}192\.0\.2\.2:\d+`;
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

  itOurServer('are served again after SIGHUP', async () => {
    const server = await lab().serve({ lines: ['metrics [::1]:9100'] });
    const mark = server.mark();
    server.signal('SIGHUP');
    await server.line(up, { from: mark });
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
