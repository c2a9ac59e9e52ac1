import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { parsePush } from '../../src/config/push.ts';
import { muteCategoryOf, verbOf } from '../../src/log.ts';

function config(...lines: readonly string[]): Config {
  const text = ['client', 'remote vpn.example.com', 'ca ca.crt', 'auth-user-pass', ...lines].join('\n');
  const parsed = parseConfig({ text, file: 'x' }, { readText: () => undefined });
  if (parsed.config === undefined) throw new Error(JSON.stringify(parsed.findings));
  return parsed.config;
}

const push = (options: readonly string[], ...lines: readonly string[]) =>
  parsePush(options, config(...lines), 'push-reply');
const said = (options: readonly string[], ...lines: readonly string[]) =>
  push(options, ...lines).verdicts.map((each) => each.text);

describe('a push reply', () => {
  it('is laid over what the profile states: lists grow, single values are replaced', () => {
    const { tunnel } = push(
      [
        'topology subnet',
        'ifconfig 10.8.0.6 255.255.255.0',
        'route-gateway 10.8.0.1',
        'route 10.2.0.0 255.255.0.0',
        'ping 5',
      ],
      'route 10.1.0.0 255.255.0.0',
      'ping 60',
      'topology net30',
    );
    expect(tunnel).toMatchObject({
      topology: 'subnet',
      ifconfig: { local: '10.8.0.6', remoteOrNetmask: '255.255.255.0' },
      routeGateway: '10.8.0.1',
      ping: 5,
    });
    expect(tunnel.routes.map((route) => route.network)).toEqual(['10.1.0.0', '10.2.0.0']);
  });

  it('leaves the configuration as it was', () => {
    const before = config('route 10.1.0.0', 'dhcp-option DNS 10.1.0.1');
    const copy = structuredClone(before);
    parsePush(
      ['route 10.2.0.0', 'dhcp-option DNS 10.2.0.1', 'dns server 1 address 10.0.0.1', 'echo a', 'ping 9'],
      before,
      'push-reply',
    );
    expect(before).toEqual(copy);
  });

  it('carries everything that the session needs', () => {
    const { tunnel } = push([
      'peer-id 16777215',
      'cipher AES-256-GCM',
      'protocol-flags cc-exit tls-ekm dyn-tls-crypt',
      'key-derivation tls-ekm',
      'auth-token SESS_ID_x',
      'auth-token-user dXNlcg==',
      'explicit-exit-notify 2',
      'inactive 300 1000',
      'session-timeout 60',
      'tun-mtu 1400',
    ]);
    expect(tunnel).toMatchObject({
      peerId: 0xffffff,
      cipher: 'AES-256-GCM',
      protocolFlags: ['cc-exit', 'tls-ekm', 'dyn-tls-crypt'],
      keyDerivation: 'tls-ekm',
      authToken: 'SESS_ID_x',
      authTokenUser: 'dXNlcg==',
      explicitExitNotify: 2,
      inactive: { seconds: 300, bytes: 1000 },
      sessionTimeoutSeconds: 60,
      tunMtuBytes: 1400,
    });
  });

  it('is read word by word with quotation marks', () => {
    expect(push(['echo "msg a  b"', "setenv-safe NAME 'two words'"]).tunnel).toMatchObject({
      echo: ['msg a  b'],
      setenv: [['OPENVPN_NAME', 'two words']],
    });
  });

  it('is summed up in the lines that users know, in their order', () => {
    const { verdicts } = push([
      'route 10.0.0.0 255.0.0.0',
      'ifconfig 10.8.0.6 10.8.0.5',
      'dhcp-option DNS 10.8.0.1',
      'route-gateway 10.8.0.5',
      'sndbuf 100000',
      'verb 4',
      'persist-tun',
      'setenv-safe A b',
      'tun-mtu 1420',
    ]);
    expect(verdicts.map((each) => each.text)).toEqual([
      'OPTIONS IMPORT: --verb and/or --mute level changed',
      'OPTIONS IMPORT: --sndbuf/--rcvbuf options modified',
      'OPTIONS IMPORT: --persist options modified',
      'OPTIONS IMPORT: --ifconfig/up options modified',
      'OPTIONS IMPORT: route options modified',
      'OPTIONS IMPORT: route-related options modified',
      'OPTIONS IMPORT: --ip-win32 and/or --dhcp-option options modified',
      'OPTIONS IMPORT: environment modified',
      'OPTIONS IMPORT: tun-mtu set to 1420',
    ]);
    expect(verdicts.every((each) => verbOf(each.flags) === 3 && muteCategoryOf(each.flags) > 0)).toBe(true);
  });

  it('shows details only from verb 7 on', () => {
    const { verdicts } = push(['ping 10', 'peer-id 0', 'cipher AES-256-GCM']);
    expect(verdicts.map((each) => [verbOf(each.flags), each.text])).toEqual([
      [7, 'OPTIONS IMPORT: timers and/or timeouts modified'],
      [7, 'OPTIONS IMPORT: peer-id set'],
      [7, 'OPTIONS IMPORT: data channel crypto options modified'],
    ]);
  });
});

describe('a server may not', () => {
  it.each([
    'up /bin/sh',
    'plugin x.so',
    'script-security 3',
    'ca x',
    'log /etc/passwd',
    'setenv LD_PRELOAD x',
    'config x',
    'remote evil',
    'tls-verify x',
    'dns-updown x',
    'user root',
    'route-noexec',
    'mssfix 1000',
    'auth none',
    'route-table 7',
  ])('push %j', (option) => {
    const { tunnel, verdicts, rejected } = push([option]);
    expect(verdicts.map((each) => each.text)).toEqual([
      `Options error: option '${option.split(' ')[0]}' cannot be used in this context ([PUSH-OPTIONS])`,
    ]);
    expect(tunnel).toEqual(config().tunnel);
    expect(rejected).toBeUndefined();
  });

  it('push what a JavaScript object has by itself', () => {
    for (const name of ['constructor', '__proto__', 'toString'])
      expect(said([name])[0]).toContain('Unrecognized option');
  });

  it('set a priority below zero for DNS, which is for the profile', () => {
    const { tunnel } = push(
      ['dns server -1 address 192.0.2.1', 'dns server 1 address 192.0.2.2'],
      'dns server -5 address 10.0.0.53',
    );
    expect(tunnel.dns.map((each) => [each.priority, each.addresses[0]?.address])).toEqual([
      [-5, '10.0.0.53'],
      [1, '192.0.2.2'],
    ]);
  });

  it('add to a DNS server of the profile: its own replaces it', () => {
    const { tunnel } = push(['dns server 1 address 192.0.2.2'], 'dns server 1 address 10.0.0.53');
    expect(tunnel.dns.map((each) => each.addresses.length)).toEqual([1]);
  });
});

describe('bad values are logged and left out', () => {
  it.each([
    ['tun-mtu 1', 'tun-mtu: Must be an integer between 100 and 65536, not 1'],
    ['ping 99999999', 'ping: Must be an integer between 0 and 86400, not 99999999'],
    ['ping-restart -1', 'ping-restart: Must be an integer between 0 and 86400, not -1'],
    ['route 10.0.0.300', "route parameter network/IP '10.0.0.300' must be a valid address"],
    ['route evil.example.com', "route parameter network/IP 'evil.example.com' must be a valid address"],
    ['route 10.0.0.0 $(reboot)', "route parameter netmask '$(reboot)' must be an IP address"],
    ['route 10.0.0.0 255.0.0.0 ;x', 'Unrecognized option'],
    ['route 10.0.0.0 255.0.0.0 "a;b"', "route parameter gateway 'a;b' must be a valid address"],
    ['route-ipv6 fd00::/200', "route-ipv6 parameter network/IP 'fd00::/200' must be a valid address"],
    ['ifconfig a b', "ifconfig parms 'a' and 'b' must be valid addresses"],
    ['ifconfig-ipv6 fd00::1/32 fd00::2', "ifconfig-ipv6: /netbits must be between 64 and 124, not '/32'"],
    ['dhcp-option DOMAIN a;b', '--dhcp-option DOMAIN contains invalid characters'],
    ['dhcp-option DNS 1.2.3.4`id`', "dhcp-option parameter DNS '1.2.3.4`id`' must be an IP address"],
    ['dns search-domains $(x)', '--dns search-domains contain invalid characters'],
    ['redirect-gateway everything', 'unknown --redirect-gateway flag: everything'],
    ['topology ring', '--topology must be net30, p2p, or subnet'],
    [
      'no-such-option',
      'Unrecognized option or missing or extra parameter(s) in [PUSH-OPTIONS]:1: no-such-option (2.7.8)',
    ],
    ['echo "a', 'No closing quotation (") in [PUSH-OPTIONS]:1'],
    ['peer-id 99999999', 'peer-id 99999999 is not a number of 24 bits'],
    [`echo ${'x'.repeat(300)}`, 'pushed option in [PUSH-OPTIONS]:1 is too long or contains control characters'],
    ['echo a\nb', 'pushed option in [PUSH-OPTIONS]:1 is too long or contains control characters'],
    ['echo a\0b', 'pushed option in [PUSH-OPTIONS]:1 is too long or contains control characters'],
  ])('%j', (option, words) => {
    const result = push([option, 'ping 7']);
    const complaints = result.verdicts.map((each) => each.text).filter((text) => !text.startsWith('OPTIONS IMPORT'));
    const complaint = complaints.find((text) => text.startsWith(`Options error: ${words}`));
    if (option.includes(';x')) expect(result.tunnel.routes).toHaveLength(1);
    else expect(complaint, complaints.join('\n')).toBeDefined();
    expect(result.tunnel.ping).toBe(7);
    expect(result.rejected).toBeUndefined();
    for (const { text } of result.verdicts) expect(text).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
  });

  it('and a flood of them does not flood the log', () => {
    expect(said(Array.from({ length: 10_000 }, (_, i) => `bad-${i}`)).length).toBeLessThan(150);
  });

  it('while ten thousand good routes are taken', () => {
    const { tunnel } = push(Array.from({ length: 10_000 }, (_, i) => `route 10.${i >> 8}.${i & 255}.0 255.255.255.0`));
    expect(tunnel.routes.length).toBe(10_000);
  });

  it('and nothing is ever thrown', () => {
    const word = fc.constantFrom(
      'route',
      'dns',
      'server',
      '1',
      'address',
      'fd00::1',
      '"',
      "'",
      '\\',
      '-1',
      'ifconfig',
      'ping',
      'echo',
      'redirect-gateway',
      'compress',
      'lz4',
      '\0',
      'tun-mtu',
      '9'.repeat(400),
    );
    const option = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 7 }).map((list) => list.join(' ')),
    );
    const base = config();
    fc.assert(
      fc.property(fc.array(option, { maxLength: 20 }), (options) => {
        const { verdicts } = parsePush(options, base, 'push-reply');
        return verdicts.every((each) => !/[\0-\x1f]/.test(each.text));
      }),
    );
  });
});

describe('the profile decides what it takes', () => {
  it('by pull-filter: the first that fits counts', () => {
    const filters = [
      'pull-filter accept "route 10.1"',
      'pull-filter ignore "route "',
      'pull-filter ignore dhcp-option',
    ];
    const { tunnel, verdicts, rejected } = push(
      ['route 10.1.0.0', 'route 10.2.0.0', '  route 10.3.0.0', 'route-gateway 10.0.0.1', 'dhcp-option DNS 10.0.0.1'],
      ...filters,
    );
    expect(tunnel.routes.map((each) => each.network)).toEqual(['10.1.0.0']);
    expect(tunnel.routeGateway).toBe('10.0.0.1');
    expect(tunnel.dhcpOptions).toEqual([]);
    expect(rejected).toBeUndefined();
    expect(verdicts.map((each) => each.text)).toEqual(
      expect.arrayContaining([
        "Pushed option accepted by filter: 'route 10.1.0.0'",
        "Pushed option removed by filter: 'route 10.2.0.0'",
        "Pushed option removed by filter: 'dhcp-option DNS 10.0.0.1'",
      ]),
    );
  });

  it('by rejecting a whole reply', () => {
    const { rejected, verdicts } = push(['ping 1', 'redirect-gateway def1', 'ping 2'], 'pull-filter reject redirect');
    expect(rejected).toMatchObject({ code: 'SALLYPORT_PUSH', blame: 'peer', retry: true });
    expect(verdicts[0]?.text).toBe("Pushed option rejected by filter: 'redirect-gateway def1'. Restarting.");
  });

  it('never showing a token', () => {
    const texts = said(['auth-token SECRET', 'auth-token-user SECRET'], 'pull-filter accept auth-token');
    expect(texts.join('\n')).not.toContain('SECRET');
  });

  it('by route-nopull: routes and DNS stay out, addresses come in', () => {
    const { tunnel, verdicts } = push(
      ['route 10.0.0.0', 'dhcp-option DNS 1.1.1.1', 'redirect-gateway', 'ifconfig 10.8.0.2 10.8.0.1'],
      'route-nopull',
    );
    expect(tunnel).toMatchObject({
      routes: [],
      dhcpOptions: [],
      redirectGateway: undefined,
      ifconfig: { local: '10.8.0.2' },
    });
    expect(verdicts.filter((each) => each.text.includes('cannot be used in this context'))).toHaveLength(3);
  });

  it('by allow-pull-fqdn: names where addresses belong', () => {
    expect(push(['route host.example.com'], 'allow-pull-fqdn').tunnel.routes).toHaveLength(1);
  });

  it('by tun-mtu-max', () => {
    expect(push(['tun-mtu 9000']).tunnel.tunMtuBytes).toBe(1600);
    expect(said(['tun-mtu 9000'])).toContain(
      'Server-pushed tun-mtu is too large, please add tun-mtu-max 9000 in the client configuration',
    );
    expect(push(['tun-mtu 9000'], 'tun-mtu-max 9000').tunnel.tunMtuBytes).toBe(9000);
  });

  it('by its words on compression: an algorithm it did not mention ends the attempt', () => {
    expect(push(['compress lz4-v2']).rejected?.message).toContain(
      'server pushed compression settings that are not allowed',
    );
    expect(push(['comp-lzo yes'], 'compress stub').rejected).toBeDefined();
    for (const stub of ['comp-lzo no', 'compress stub', 'compress stub-v2', 'compress'])
      expect(push([stub]).rejected).toBeUndefined();
    expect(push(['compress lz4'], 'comp-lzo').rejected).toBeUndefined();
    expect(push(['compress lz4'], 'allow-compression asym').rejected).toBeUndefined();
    expect(push(['compress lz4'], 'allow-compression no').rejected).toBeDefined();
  });

  it('but not the epoch format without a peer-id', () => {
    expect(push(['protocol-flags aead-epoch']).rejected?.message).toContain('Epoch key data format');
    expect(push(['protocol-flags aead-epoch', 'peer-id 1']).rejected).toBeUndefined();
  });

  it('and not an exit notice over TCP', () => {
    const { tunnel, verdicts } = push(['explicit-exit-notify 3'], 'proto tcp');
    expect(tunnel.explicitExitNotify).toBe(0);
    expect(verdicts[0]?.text).toBe('OPTIONS IMPORT: --explicit-exit-notify can only be used with --proto udp');
  });

  it('can not fill the log with warnings', () => {
    const { verdicts } = push(Array<string>(1000).fill('dhcp-option DNS 10.0.0.1'));
    expect(verdicts.length).toBeLessThan(110);
    expect(verdicts.map(({ text }) => text)).toContain(
      'Options error: further errors in pushed options are not logged',
    );
  });

  it('can not hold back the end of a client beyond ten seconds, unless the profile says so', () => {
    const { tunnel, verdicts } = push(['explicit-exit-notify 99999999'], 'proto udp');
    expect(tunnel.explicitExitNotify).toBe(10);
    expect(verdicts.map(({ text }) => text)).toContain(
      'Options error: explicit-exit-notify 99999999 is too long, 10 is used',
    );
    expect(push(['explicit-exit-notify 10'], 'proto udp').tunnel.explicitExitNotify).toBe(10);
    expect(push([], 'proto udp', 'explicit-exit-notify 30').tunnel.explicitExitNotify ?? 30).toBe(30);
    expect(push(['explicit-exit-notify 30'], 'proto udp', 'explicit-exit-notify 30').tunnel.explicitExitNotify).toBe(
      30,
    );
  });
});

describe('options without effect here', () => {
  it('are named with the reason', () => {
    const { tunnel, verdicts } = push(['block-outside-dns', 'register-dns', 'ifconfig-noexec', 'bind-dev eth0']);
    expect(tunnel.withoutEffect.map((each) => each.option)).toEqual([
      'block-outside-dns',
      'register-dns',
      'ifconfig-noexec',
      'bind-dev',
    ]);
    expect(verdicts[0]?.text).toBe("Pushed option 'block-outside-dns' has no effect: it is for Windows");
  });
});
