// Forms of the data channel beyond the matrix: fragments, compression framings, what a compressing peer sends.

import { beforeAll, expect, it } from 'vitest';
import { tunnel, useLab } from '../lab/lab.ts';
import { device } from '../lab/net.ts';
import { itOurs, labSuite, type PeerVersion } from '../lab/requirements.ts';
import { expectHealthy, pings, serveTraffic } from '../lab/traffic.ts';

interface Form {
  readonly title: string;
  readonly server: readonly string[];
  readonly client: readonly string[];
  readonly versions?: readonly PeerVersion[];
  /** Words of the server's log that show the form is in use. */
  readonly shown?: RegExp;
}

const forms: readonly Form[] = [
  { title: 'fragment on both sides', server: ['fragment 600', 'mssfix'], client: ['fragment 600', 'mssfix'] },
  { title: 'a small mssfix', server: ['mssfix 900'], client: ['mssfix 900'] },
  { title: 'no mssfix', server: ['mssfix 0'], client: ['mssfix 0'] },
  { title: 'comp-lzo no', server: ['comp-lzo no'], client: ['comp-lzo no'] },
  { title: 'compress', server: ['compress'], client: ['compress'] },
  { title: 'compress stub', server: ['compress stub'], client: ['compress stub'] },
  { title: 'compress stub-v2', server: ['compress stub-v2'], client: ['compress stub-v2'] },
  { title: 'pushed compress stub-v2', server: ['compress stub-v2', 'push "compress stub-v2"'], client: ['compress'] },
  { title: 'pushed comp-lzo no', server: ['comp-lzo no', 'push "comp-lzo no"'], client: ['comp-lzo no'] },
  { title: 'DATA_V1, without a peer id', server: [], client: ['pull-filter ignore "peer-id"'], versions: ['2.5'] },
  { title: 'a smaller tunnel MTU', server: ['tun-mtu 1280'], client: ['tun-mtu 1280'] },
  {
    title: 'BF-CBC, under providers legacy default',
    server: ['providers legacy default', 'data-ciphers BF-CBC'],
    client: ['providers legacy default', 'data-ciphers BF-CBC'],
  },
  ...['AES-128-OFB', 'AES-192-CFB1', 'CAMELLIA-256-CFB', 'CAMELLIA-128-CBC', 'ARIA-256-CFB8', 'ARIA-192-CBC', 'SM4-OFB']
    .map((cipher) => [`data-ciphers ${cipher}`, 'auth SHA256'])
    .concat([['data-ciphers ARIA-128-GCM']], [['data-ciphers AES-256-OFB', 'auth none']])
    .map((lines) => ({ title: lines.join(', '), server: lines, client: lines })),
  { title: 'replay-window', server: ['replay-window 128 10'], client: ['replay-window 128 10'] },
];

/** A peer that does compress: allowed there explicitly, opened here where the local file configures it. */
const compressing: readonly Form[] = [
  'comp-lzo yes',
  'comp-lzo adaptive',
  'compress lzo',
  'compress lz4',
  'compress lz4-v2',
].flatMap((line) => [
  {
    title: `${line} of the server, allow-compression asym`,
    server: ['allow-compression yes', line],
    client: ['allow-compression asym', line],
  },
]);

labSuite('the data channel', () => {
  const lab = useLab();
  beforeAll(() => serveTraffic(lab()));

  const cases = [...forms, ...compressing].flatMap((form) =>
    (form.versions ?? (['2.6', '2.7'] as const)).map((version) => [form.title, version, form] as const),
  );
  it.each(cases)('carries traffic with %s, %s server', async (_title, version, form) => {
    // 2.7 compiles no compression into what it sends and knows no stub-v2 algorithm names of its own making.
    const server = await lab().server({ version, lines: form.server });
    const client = await lab().connect({ lines: form.client });
    if (form.shown) await server.line(form.shown);
    const small = form.title.includes('1280');
    await expectHealthy(lab(), small ? [56, 1252, 3000] : undefined);
    expect(
      client.count(
        /Authenticate\/Decrypt packet error|Bad compression|Bad LZO|fragment/i,
        client.lines.findIndex((line) => line.includes('Initialization')),
      ),
    ).toBe(0);
    await client.stop();
  });

  it('opens what a 2.6 server really compressed', async () => {
    const server = await lab().server({ lines: ['allow-compression yes', 'comp-lzo yes', 'status-version 1'] });
    const client = await lab().connect({ lines: ['allow-compression asym', 'comp-lzo yes'] });
    // Zeros shrink; an answer of 1400 zeros comes as a packet of some tens of bytes.
    const { stdout } = await lab().net.client.run([
      'ping',
      '-n',
      '-q',
      '-c',
      '20',
      '-i',
      '0.02',
      '-p',
      '00',
      '-s',
      '1300',
      tunnel.server4,
    ]);
    expect(stdout).toMatch(/20 received/);
    const mark = client.mark();
    client.signal('SIGUSR2');
    const read = await client.line(/TCP\/UDP read bytes,\d+/, { from: mark });
    expect(Number(read.split(',')[1])).toBeLessThan(20 * 1300);
    const counters = server.mark();
    server.signal('SIGUSR2');
    await server.line(/pre-compress bytes,\d+|CLIENT_LIST|client,/, { from: counters });
  });

  it('refuses a compression that only the server asks for', async () => {
    await lab().server({ lines: ['allow-compression yes', 'comp-lzo yes', 'push "comp-lzo yes"'] });
    const client = await lab().client({ lines: ['connect-retry-max 1'] });
    await client.line(/compression|comp-lzo/i);
    expect(await pings(lab().net.client, tunnel.server4)).toBe(false);
  });

  itOurs('never compresses, not even with allow-compression yes', async () => {
    await lab().server({ lines: ['allow-compression yes', 'comp-lzo yes'] });
    const client = await lab().connect({ lines: ['allow-compression yes', 'comp-lzo yes'] });
    await lab().net.client.run([
      'ping',
      '-n',
      '-q',
      '-c',
      '20',
      '-i',
      '0.02',
      '-p',
      '00',
      '-s',
      '1300',
      tunnel.server4,
    ]);
    const mark = client.mark();
    client.signal('SIGUSR2');
    const written = await client.line(/TCP\/UDP write bytes,\d+/, { from: mark });
    expect(Number(written.split(',')[1])).toBeGreaterThan(20 * 1300);
  });

  it.each(['2.6', '2.7'] as const)('carries Ethernet frames with dev tap, %s server', async (version) => {
    await lab().server({ version, without: ['dev', 'topology'], lines: ['dev tap7'] });
    const client = await lab().connect({ without: ['dev'], lines: ['dev tap'] });
    await client.line(/TUN\/TAP device tap0 opened/, { from: 0 });
    expect((await device(lab().net.client, 'tap0'))?.linkType).toBe('ether');
    await expectHealthy(lab());
    expect(await client.stop()).toEqual({ code: 0, signal: null });
  });

  it('has the device of a kernel tun: point to point, no ARP, no link address', async () => {
    await lab().server();
    await lab().connect();
    const tun = await device(lab().net.client, 'tun0');
    expect(tun?.linkType).toBe('none');
    expect(tun?.flags).toEqual(expect.arrayContaining(['POINTOPOINT', 'MULTICAST', 'NOARP', 'UP', 'LOWER_UP']));
  });
});
