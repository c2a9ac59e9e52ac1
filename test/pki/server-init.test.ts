import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../apps/pki/host-facts.ts';
import { serverConfigText } from '../../apps/pki/server-config.ts';
import { checkProfile } from '../../src/config.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

let bench: Workbench;

beforeEach(() => {
  bench = openWorkbench();
});
afterEach(() => bench.remove());

const HOST: HostFacts = {
  networks: [],
  addresses: [{ device: 'ens3', address: '10.1.1.1' }],
  wayOut: 'ens3',
  isForwarding: false,
  group: 'nogroup',
};

const plan = (host: HostFacts) => ({
  network: '10.9.0.0',
  netmask: '255.255.255.0',
  prefix: '10.9.0.0/24',
  port: 1194,
  protocol: 'udp' as const,
  serverName: 'server',
  files: ['ca ca.crt', 'cert s.crt', 'key s.key', 'dh none', 'tls-crypt-v2 v2.key'],
  crlVerify: 'crl-verify crl.pem',
  user: 'nobody',
  host,
  uniqueLocal: 'fd12:3456:789a',
});

const complaints = (text: string): readonly string[] =>
  checkProfile({ text, file: 'server.conf' }, { readText: () => '' })
    .findings.filter(({ severity }) => severity !== 'notice')
    .map(({ message }) => message);

describe('the text of a server configuration', () => {
  it('is one that our own check has nothing against, with its own options switched on as well', () => {
    const text = serverConfigText(plan(HOST));
    expect(complaints(text)).toEqual([]);
    const switchedOn = text.replace(/^;(?!local|user|group)/gm, '');
    expect(switchedOn).not.toBe(text);
    expect(complaints(switchedOn)).toEqual([]);
  });

  it('names the device of the way out', () => {
    expect(serverConfigText(plan(HOST))).toContain('-s 10.9.0.0/24 -o ens3 -j MASQUERADE');
    expect(serverConfigText(plan({ ...HOST, wayOut: undefined }))).toContain('eth0 stands for the device');
  });

  it('tells clients of its end over udp only', () => {
    expect(serverConfigText(plan(HOST))).toContain('\nexplicit-exit-notify 1\n');
    expect(serverConfigText({ ...plan(HOST), protocol: 'tcp' })).not.toContain('explicit-exit-notify');
  });
});

describe('sallyport server init', () => {
  it('makes authority and certificate, a configuration, and tells the next commands', async () => {
    const { code, out } = await bench.server('init', '--out', 'etc', '--remote', 'vpn.example.org', '--port', '1195');
    expect(code).toBe(0);
    expect(complaints(bench.read('etc', 'server.conf'))).toEqual([]);
    expect(bench.read('etc', 'server.conf')).toMatch(/^server \d+\.\d+\.\d+\.0 255\.255\.255\.0$/m);
    expect(out).toContain(`sallyport --config ${bench.path('etc', 'server.conf')}`);
    expect(out).toContain(`sallyport pki client alice --dir ${bench.path('pki')}`);
    expect(await bench.pki('client', 'alice')).toMatchObject({ code: 0 });
    expect(bench.read('alice.ovpn')).toContain('remote vpn.example.org 1195\n');
    expect(bench.read('alice.ovpn')).toContain('verify-x509-name server name\n');
  });

  it('uses the authority and the certificate that are there', async () => {
    await bench.pki('init', '--remote', 'h:443', '--proto', 'tcp');
    await bench.pki('server', 'gate');
    const index = bench.read('pki', 'index.txt');
    expect(await bench.server('init', '--name', 'gate')).toMatchObject({ code: 0 });
    expect(bench.read('pki', 'index.txt')).toBe(index);
    expect(bench.read('server.conf')).toMatch(/^proto tcp$/m);
    expect(bench.read('server.conf')).toMatch(/^port 443$/m);
  });

  it('never overwrites unasked', async () => {
    writeFileSync(bench.path('server.conf'), 'mine\n');
    expect(await bench.server('init')).toMatchObject({ code: 1, err: expect.stringContaining('--force') });
    expect(bench.read('server.conf')).toBe('mine\n');
    expect(existsSync(bench.path('pki'))).toBe(false);
    expect(await bench.server('init', '--force')).toMatchObject({ code: 0 });
    expect(bench.read('server.conf')).toContain('topology subnet');
  });

  it('gives the server a copy of the revocation list that it can read as nobody, kept up to date', async () => {
    await bench.server('init', '--out', 'etc', '--remote', 'h');
    expect(bench.read('etc', 'server.conf')).toContain(`crl-verify ${bench.path('etc', 'crl.pem')}\n`);
    expect(statSync(bench.path('etc', 'crl.pem')).mode & 0o777).toBe(0o644);
    await bench.pki('client', 'alice');
    const before = bench.read('etc', 'crl.pem');
    await bench.pki('revoke', 'alice');
    expect(bench.read('etc', 'crl.pem')).not.toBe(before);
    expect(bench.read('etc', 'crl.pem')).toBe(bench.read('pki', 'crl.pem'));
  });

  it('has a revocation fail aloud where the copy can no longer be written, and come through when it can', async () => {
    await bench.server('init', '--out', 'etc', '--remote', 'h');
    await bench.pki('client', 'alice');
    renameSync(bench.path('etc'), bench.path('gone'));
    const { code, err } = await bench.pki('revoke', 'alice');
    expect(code).toBe(1);
    expect(err).toContain(`${bench.path('etc', 'crl.pem')} can't be written: no such file or directory`);
    renameSync(bench.path('gone'), bench.path('etc'));
    expect(await bench.pki('revoke', 'alice')).toMatchObject({ code: 0 });
    expect(bench.read('etc', 'crl.pem')).toBe(bench.read('pki', 'crl.pem'));
    expect(existsSync(bench.path('pki', 'issued', 'alice.crt'))).toBe(false);
  });

  it('says that a folder which is closed to nobody keeps the server from rereading the list', async () => {
    mkdirSync(bench.path('etc'), { mode: 0o700 });
    expect((await bench.server('init', '--out', 'etc')).err).toContain('closed to others');
    expect((await bench.server('init', '--out', 'etc', '--force', '--keep-root')).err).not.toContain(
      'closed to others',
    );
    expect(bench.read('etc', 'server.conf')).toMatch(/^;user nobody$/m);
  });

  const bad = [
    [['--network', '10.8.0.0'], 'not an IPv4 network'],
    [['--network', 'fd00::/64'], 'not an IPv4 network'],
    [['--network', '10.0.0.0/8'], 'too large'],
    [['--network', '10.0.0.0/30'], 'too small'],
    [['--network', '127.0.0.0/24'], 'clashes with 127.0.0.1/8'],
    [['--port', '0'], 'not a port'],
    [['--name', '../x'], "can't be the name"],
    [['--remote', 'a b'], 'neither a host name'],
    [['now'], 'one word too many'],
  ] as const;
  it.each(bad)('refuses %j and makes nothing', async (words, sentence) => {
    const { code, err } = await bench.server('init', ...words);
    expect(code).toBe(1);
    expect(err).toContain(sentence);
    expect(existsSync(bench.path('pki')) || existsSync(bench.path('server.conf'))).toBe(false);
  });

  it('has help', async () => {
    expect((await bench.server('--help')).out).toContain('sallyport server init');
    expect((await bench.server('init', '--help')).out).toContain('--network');
    expect(await bench.server('start')).toMatchObject({ code: 1 });
    expect(await bench.server()).toMatchObject({ code: 1 });
  });
});
