// Connections of NetworkManager as lines of options: every key that there is, and what no connection may have.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type NmConnection, readConnection } from '../../apps/networkmanager/connection.ts';
import { unescapePath } from '../../apps/networkmanager/escaped-path.ts';
import { DATA_KEYS, SECRET_KEYS } from '../../apps/networkmanager/key-table.ts';
import { configLines } from '../../apps/networkmanager/option-lines.ts';
import { PluginError } from '../../apps/networkmanager/plugin-error.ts';
import { readRemotes } from '../../apps/networkmanager/remotes.ts';
import { type NmSettings, readLines, readSettings } from '../../apps/networkmanager/settings.ts';
import { OPTIONS } from '../../src/config/option-table.ts';
import { configOfLines } from '../../src/config/parse.ts';
import { connectionOf } from './connections.ts';

const settingsOf = (...args: Parameters<typeof connectionOf>): NmSettings =>
  readSettings(readConnection(connectionOf(...args)));
const text = (settings: Pick<NmSettings, 'lines'>): string[] =>
  settings.lines.map(({ option, words }) => [option, ...words].join(' '));
/** What a key adds to a connection without it, and takes away from it. */
function difference(data: Record<string, string | undefined>): { added: string[]; gone: string[] } {
  const before = text(settingsOf());
  const after = text(settingsOf(data));
  return {
    added: after.filter((line) => !before.includes(line)),
    gone: before.filter((line) => !after.includes(line)),
  };
}
function refusal(act: () => unknown): PluginError {
  try {
    act();
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** Each key: the connection's data, and the lines that it makes. */
const LINES: readonly (readonly [key: string, data: Record<string, string>, lines: readonly string[]])[] = [
  ['remote', { remote: 'a.example:443:tcp' }, ['remote a.example 443 tcp-client']],
  ['port', { port: '4430' }, ['remote vpn.example 4430 udp']],
  ['proto-tcp', { 'proto-tcp': 'yes' }, ['remote vpn.example 1194 tcp-client']],
  ['remote-random', { 'remote-random': 'yes' }, ['remote-random']],
  ['remote-random-hostname', { 'remote-random-hostname': 'yes' }, ['remote-random-hostname']],
  ['allow-pull-fqdn', { 'allow-pull-fqdn': 'yes' }, ['allow-pull-fqdn']],
  ['float', { float: 'yes' }, ['float']],
  ['ta-dir', { ta: '/ta.key', 'ta-dir': '1' }, ['key-direction 1']],
  ['crl-verify-dir', { 'crl-verify-dir': '/etc/crl' }, ['crl-verify /etc/crl dir']],
  ['proxy-type', { 'proxy-type': 'http', 'proxy-server': 'proxy.example' }, ['http-proxy proxy.example 8080 auto']],
  ['proxy-server', { 'proxy-type': 'socks', 'proxy-server': 's.example' }, ['socks-proxy s.example 1080']],
  [
    'http-proxy-username',
    { 'proxy-type': 'socks', 'proxy-server': 's.example', 'http-proxy-username': 'paul' },
    ['socks-proxy s.example 1080 stdin'],
  ],
  [
    'proxy-port',
    { 'proxy-type': 'socks', 'proxy-server': 's.example', 'proxy-port': '99' },
    ['socks-proxy s.example 99'],
  ],
  ['dev', { dev: 'tap7' }, ['dev tap', 'dev-type tap']],
  ['dev-type', { 'dev-type': 'tap' }, ['dev tap', 'dev-type tap']],
  ['tap-dev', { 'tap-dev': 'yes' }, ['dev tap', 'dev-type tap']],
  ['auth', { auth: 'SHA256' }, ['auth SHA256']],
  ['cipher', { cipher: 'AES-256-CBC' }, ['cipher AES-256-CBC']],
  ['data-ciphers', { 'data-ciphers': 'AES-256-GCM:AES-128-GCM' }, ['data-ciphers AES-256-GCM:AES-128-GCM']],
  ['data-ciphers-fallback', { 'data-ciphers-fallback': 'AES-256-CBC' }, ['data-ciphers-fallback AES-256-CBC']],
  [
    'tls-cipher',
    { 'tls-cipher': 'TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384' },
    ['tls-cipher TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384'],
  ],
  ['tls-version-min', { 'tls-version-min': '1.2' }, ['tls-version-min 1.2']],
  [
    'tls-version-min-or-highest',
    { 'tls-version-min': '1.2', 'tls-version-min-or-highest': 'yes' },
    ['tls-version-min 1.2 or-highest'],
  ],
  ['tls-version-max', { 'tls-version-max': '1.3' }, ['tls-version-max 1.3']],
  ['remote-cert-tls', { 'remote-cert-tls': 'server' }, ['remote-cert-tls server']],
  ['ns-cert-type', { 'ns-cert-type': 'server' }, ['ns-cert-type server']],
  ['verify-x509-name', { 'verify-x509-name': 'name:vpn.example' }, ['verify-x509-name vpn.example name']],
  ['tls-remote', { 'tls-remote': 'vpn.example' }, ['verify-x509-name vpn.example name']],
  ['ping', { ping: '10' }, ['ping 10']],
  ['ping-exit', { 'ping-exit': '60' }, ['ping-exit 60']],
  ['ping-restart', { 'ping-restart': '60' }, ['ping-restart 60']],
  ['connect-timeout', { 'connect-timeout': '7' }, ['server-poll-timeout 7']],
  ['reneg-seconds', { 'reneg-seconds': '3600' }, ['reneg-sec 3600']],
  ['tunnel-mtu', { 'tunnel-mtu': '1400' }, ['tun-mtu 1400']],
  ['fragment-size', { 'fragment-size': '1300' }, ['fragment 1300']],
  ['mssfix', { mssfix: 'yes' }, ['mssfix']],
  ['mtu-disc', { 'mtu-disc': 'maybe' }, ['mtu-disc maybe']],
  ['local-ip', { 'local-ip': '10.0.0.2', 'remote-ip': '10.0.0.1' }, ['ifconfig 10.0.0.2 10.0.0.1']],
  ['remote-ip', { 'local-ip': '10.0.0.2', 'remote-ip': '10.0.0.1' }, ['ifconfig 10.0.0.2 10.0.0.1']],
  ['allow-compression', { 'allow-compression': 'no', compress: 'lz4' }, ['allow-compression no']],
  ['compress', { compress: 'lz4-v2' }, ['compress lz4-v2']],
  ['comp-lzo', { 'comp-lzo': 'no-by-default' }, ['comp-lzo no']],
  ['push-peer-info', { 'push-peer-info': 'yes' }, ['push-peer-info']],
  ['connection-type', { 'connection-type': 'password' }, ['auth-user-pass', 'auth-retry interact']],
  [
    'static-challenge',
    { 'connection-type': 'password', 'static-challenge': 'Your code?' },
    ['auth-user-pass', 'auth-retry interact', 'static-challenge Your code? 0 scrv1'],
  ],
  [
    'static-challenge-echo',
    { 'connection-type': 'password', 'static-challenge': 'Code?', 'static-challenge-echo': 'yes' },
    ['auth-user-pass', 'auth-retry interact', 'static-challenge Code? 1 scrv1'],
  ],
  [
    'static-challenge-format',
    { 'connection-type': 'password', 'static-challenge': 'Code?', 'static-challenge-format': 'concat' },
    ['auth-user-pass', 'auth-retry interact', 'static-challenge Code? 0 concat'],
  ],
];

/** Keys that make no line: what they do is elsewhere in these tests. */
const NO_LINES = [
  ...['ca', 'cert', 'key', 'extra-certs', 'ta', 'tls-crypt', 'tls-crypt-v2', 'crl-verify-file'],
  ...['username', 'block-ipv6-leak', 'default-route'],
  ...['password-flags', 'cert-pass-flags', 'http-proxy-password-flags', 'challenge-response-flags'],
  ...['proxy-retry', 'tun-ipv6', 'max-routes', 'keysize', 'ncp-disable', 'no-secret', 'name'],
  ...['static-key', 'static-key-direction'],
];

describe('the keys of vpn.data', () => {
  it.each(LINES)('%s makes its lines', (_, data, lines) => expect(difference(data).added).toEqual(lines));

  it('are all in these tests', () => {
    expect(DATA_KEYS.map(({ name }) => name).sort()).toEqual([...LINES.map(([key]) => key), ...NO_LINES].sort());
  });

  it.each(NO_LINES.filter((key) => !key.startsWith('static')))('%s makes no line', (key) => {
    const row = DATA_KEYS.find(({ name }) => name === key);
    const value = { 'yes-no': 'yes', number: '1', file: '/x', text: '1', address: 'a', word: 'always' };
    expect(difference({ [key]: value[row?.check.kind ?? 'text'] })).toEqual({ added: [], gone: [] });
  });

  it('become options that exist, with as many words as they take, and a configuration without errors', () => {
    for (const [, data] of LINES) {
      const settings = settingsOf(data);
      for (const { option, words } of settings.lines) {
        const row = OPTIONS.get(option);
        expect(row?.aliasOf, option).toBeUndefined();
        expect(words.length >= (row?.minWords ?? 99) && words.length <= (row?.maxWords ?? -1), option).toBe(true);
      }
      const material = new Map([['ca', new TextEncoder().encode('-----BEGIN CERTIFICATE-----')]]);
      const login = [...settings.lines];
      if (!settings.login) login.push({ option: 'auth-user-pass', words: [] });
      const lines = readLines({ ...settings, lines: login, files: [{ key: 'ca', path: new Uint8Array() }] }, material);
      const { findings } = configOfLines(configLines(lines), 'vpn.data', {});
      const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
      // What goes with only one of these is the concern of whoever sets it.
      expect(
        errors.filter((each) => !/fragment|explicit-exit-notify|ifconfig|http-proxy MUST/.test(each)),
        JSON.stringify(data),
      ).toEqual([]);
    }
  });

  it.each([
    ['is missing', { 'connection-type': undefined }, /connection-type: it is missing; there are tls/],
    ['is none that there is', { 'connection-type': 'wireguard' }, /connection-type: "wireguard" is none/],
    [
      'is static-key',
      { 'connection-type': 'static-key', 'static-key': '/k' },
      /static-key connections are refused: the key never changes/,
    ],
    ['names no server', { remote: undefined }, /remote: no server is named/],
    ['is unknown', { bogus: '1' }, /vpn\.data: "bogus" is no key that this service knows/],
    ['has a number out of range', { port: '70000' }, /port: "70000" is no number from 1 to 65535/],
    ['has no number', { ping: 'often' }, /ping: "often" is no number/],
    ['is neither yes nor no', { float: 'true' }, /float: "true" is neither yes nor no/],
    ['is no address', { 'local-ip': '10.0.0.1;reboot' }, /local-ip: "10\.0\.0\.1;reboot" is no address/],
    ['has another line in it', { cipher: 'AES-256-GCM\nup /bin/sh' }, /cipher has a line break/],
    ['has a relative path', { ca: 'ca.pem' }, /ca: "ca\.pem" is no absolute path/],
    ['has a path with a zero byte', { ca: '/a\\000b' }, /can't be the name of a file/],
    ['has a device with a slash', { dev: 'tun/../x' }, /dev: "tun\/\.\.\/x" can't be the name of a device/],
    ['has a device of no type', { dev: 'vpn0' }, /dev: "vpn0" says neither tun nor tap/],
    ['names a peer twice', { 'tls-remote': 'a', 'verify-x509-name': 'name:b' }, /both verify-x509-name and tls-remote/],
    ['names a peer of no type', { 'verify-x509-name': 'title:b' }, /verify-x509-name: "title:b" is not/],
  ])('are refused where one %s', (_, data, words) => {
    const error = refusal(() => settingsOf(data));
    expect(error.reason).toBe('BadArguments');
    expect(error.message).toMatch(words);
  });

  it('are none of a connection without any', () => {
    const connection = connectionOf();
    (connection.vpn as Record<string, unknown>).data = { 'connection-type': 'tls' };
    expect(refusal(() => readSettings(readConnection(connection))).message).toMatch(/no server is named/);
  });

  it('of the existing service are all known', () => {
    const existing = readFileSync(new URL('existing-keys.txt', import.meta.url), 'utf8')
      .split('\n')
      .filter(Boolean);
    expect(existing.length).toBeGreaterThan(60);
    const known = [...DATA_KEYS, ...SECRET_KEYS].map(({ name }) => name);
    expect(existing.filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe('what a connection becomes', () => {
  it('is a client that changes nothing on the host and starts no program', () => {
    const lines = text(settingsOf());
    for (const line of ['ifconfig-noexec', 'route-noexec', 'dns-backend none', 'script-security 0', 'nobind'])
      expect(lines).toContain(line);
    expect(lines).toContain('reneg-sec 0');
    expect(lines).toContain('explicit-exit-notify');
  });

  it('leaves the exit notice out where a server is asked over TCP', () => {
    expect(text(settingsOf({ remote: 'a, b:443:tcp' }))).not.toContain('explicit-exit-notify');
  });

  it.each([
    [1, undefined],
    [2, 'server-poll-timeout 30'],
    [3, 'server-poll-timeout 20'],
    [9, 'server-poll-timeout 20'],
  ])('gives each of %i servers its share of the minute', (count, line) => {
    const remote = Array.from({ length: count }, (_, index) => `h${index}`).join(',');
    expect(text(settingsOf({ remote })).find((each) => each.startsWith('server-poll'))).toBe(line);
  });

  it('has the name of whoever activates it, where it has none itself', () => {
    expect(settingsOf({}, { vpn: { 'user-name': 'alice' } }).username).toBe('alice');
    expect(settingsOf({ username: 'bob' }, { vpn: { 'user-name': 'alice' } }).username).toBe('bob');
  });

  it('says what has no effect', () => {
    expect(settingsOf({ keysize: '256', 'ncp-disable': 'yes' }).notes).toEqual([
      'vpn.data keysize has no effect',
      'vpn.data ncp-disable has no effect',
    ]);
  });

  it('may not name a folder of revocation lists where it is private', () => {
    const data = { 'crl-verify-dir': '/root/crl' };
    expect(refusal(() => settingsOf(data, { permissions: ['user:alice:'] })).message).toMatch(/private to users/);
  });

  it('names no file of a certificate where only a password is used', () => {
    const data = { ca: '/ca', cert: '/cert', key: '/key' };
    expect(settingsOf({ ...data, 'connection-type': 'password' }).files.map(({ key }) => key)).toEqual(['ca']);
    expect(settingsOf(data).files.map(({ key }) => key)).toEqual(['ca', 'cert', 'key']);
  });

  it('refuses unknown secrets without telling them', () => {
    const error = refusal(() => settingsOf({}, { secrets: { pin: '1234' } }));
    expect(error.message).toBe('vpn.secrets: "pin" is no key that this service knows; remove it from the connection');
    expect(refusal(() => settingsOf({}, { secrets: { password: 'a\nb' } })).message).not.toContain('a\nb');
  });
});

describe('files that were read', () => {
  const pem = new TextEncoder().encode('-----BEGIN CERTIFICATE-----\n</ca>\nup /bin/sh\n');
  const p12 = Uint8Array.of(0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03, 0x00);
  const data = { ca: '/ca', cert: '/cert', key: '/key', ta: '/ta', 'crl-verify-file': '/crl' };

  it('stand in their lines, and can make no other line', () => {
    const contents = new Map(['ca', 'cert', 'key', 'ta', 'crl-verify-file'].map((key) => [key, pem]));
    const lines = readLines(settingsOf(data), contents).filter(({ inline }) => inline !== undefined);
    expect(lines.map(({ option }) => option)).toEqual(['ca', 'cert', 'key', 'tls-auth', 'crl-verify']);
    const { config } = configOfLines(configLines(readLines(settingsOf(data), contents)), 'vpn.data', {});
    expect(config?.scripts.up).toBeUndefined();
    expect(config?.tls.ca).toMatchObject({ kind: 'inline', text: new TextDecoder().decode(pem) });
  });

  it('are PKCS#12 where they are, whichever key names them', () => {
    const contents = new Map(['ca', 'cert', 'key'].map((key) => [key, p12]));
    const lines = readLines(settingsOf({ ca: '/p12', cert: '/p12', key: '/p12' }), contents);
    expect(lines.filter(({ inline }) => inline !== undefined)).toEqual([
      { option: 'pkcs12', words: [], key: 'cert', inline: 'MIIBAAIBAwA=\n' },
    ]);
  });

  it('are refused where they are no text', () => {
    const contents = new Map([['ca', Uint8Array.of(0x30, 0x00, 0x01)]]);
    expect(refusal(() => readLines(settingsOf({ ca: '/ca' }), contents)).message).toBe(
      'vpn.data ca: the file is no text; it has to be PEM',
    );
  });
});

describe('the remote key', () => {
  it.each([
    ['a', 'a 1194 udp'],
    ['a:443', 'a 443 udp'],
    ['a:443:tcp', 'a 443 tcp-client'],
    ['a::tcp6', 'a 1194 tcp6-client'],
    ['a:443:', 'a 443 udp'],
    ['192.0.2.1:443:udp4', '192.0.2.1 443 udp4'],
    ['2001:db8::1', '2001:db8::1 1194 udp'],
    ['[2001:db8::1]', '2001:db8::1 1194 udp'],
    ['[2001:db8::1]:443', '2001:db8::1 443 udp'],
    ['[2001:db8::1]:443:tcp', '2001:db8::1 443 tcp-client'],
  ])('%s is %s', (value, words) => {
    const { lines } = readRemotes(value, { port: undefined, tcp: false });
    expect(lines.map((line) => line.words.join(' '))).toEqual([words]);
  });

  it('names several between commas, blanks and tabs', () => {
    const { lines, allUdp } = readRemotes('a, b:1:udp\tc  d', { port: '9', tcp: false });
    expect(lines.map(({ words: [host, port] }) => `${host}:${port}`)).toEqual(['a:9', 'b:1', 'c:9', 'd:9']);
    expect(allUdp).toBe(true);
  });

  it.each(['a:0', 'a:99999', 'a:x', 'a:1:quic', ':443', '[]:1', '[::1]:1:udp:x'])('%s is refused', (value) => {
    expect(refusal(() => readRemotes(value, { port: undefined, tcp: false })).message).toContain('vpn.data remote');
  });
});

describe('escaped paths', () => {
  it.each([
    ['/home/alice/ca.pem', '/home/alice/ca.pem'],
    ['/a\\\\b', '/a\\b'],
    ['/tab\\there', '/tab\there'],
    ['/\\303\\274', '/ü'],
    ['/ü', '/ü'],
    ['/\\"q\\"', '/"q"'],
    ['/end\\', '/end'],
  ])('%s is %s', (value, path) => expect(Buffer.from(unescapePath(value, 'ca')).toString()).toBe(path));

  it('may have bytes that are no UTF-8', () => {
    expect([...unescapePath('/\\377x', 'ca')]).toEqual([0x2f, 0xff, 0x78]);
  });
});

describe('a connection on the bus', () => {
  const read = (value: unknown): NmConnection => readConnection(value);

  it('is read with its users, its time and what NetworkManager does itself', () => {
    const connection = read(
      connectionOf(
        {},
        { permissions: ['user:alice:', 'user:bob'], vpn: { timeout: 30 }, ipv4: { 'never-default': true } },
      ),
    );
    expect(connection).toMatchObject({
      id: 'Office',
      users: ['alice', 'bob'],
      timeoutSeconds: 30,
      neverDefault4: true,
      neverDefault6: false,
    });
  });

  it.each([
    ['no dictionary', 7],
    ['a list', []],
    ['a connection of another kind', { connection: {} }],
    ['data that is no dictionary', { vpn: { data: 'x' } }],
    ['a value that is no text', { vpn: { data: { remote: 7 } } }],
    ['a value beyond all bounds', { vpn: { data: { remote: 'x'.repeat(100_000) } } }],
    ['too many values', { vpn: { data: Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`k${n}`, ''])) } }],
    ['permissions that are no list', { connection: { permissions: 'user:a' }, vpn: {} }],
    ['permissions that name nobody', { connection: { permissions: ['group:wheel:'] }, vpn: {} }],
    ['permissions of a path', { connection: { permissions: ['user:../x:'] }, vpn: {} }],
    ['never-default that is no yes or no', { vpn: {}, ipv4: { 'never-default': 'yes' } }],
    ['a time that is none', { vpn: { timeout: -1 } }],
  ])('is refused where it is %s', (_, value) => {
    expect(['BadArguments', 'InvalidConnection']).toContain(refusal(() => read(value)).reason);
  });
});
