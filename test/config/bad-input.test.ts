// What people and disks do to configurations: each has an exact place, an advice, and no configuration as its result.

import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';

const CLIENT = 'client\nremote vpn.example.com\nca ca.crt\nauth-user-pass\n';

// Name, what is appended to a good profile, line of the error, beginning of the message.
const TEXTS: readonly (readonly [string, string, number, string])[] = [
  ['an unknown option', 'frobnicate\n', 5, 'Unrecognized option or missing or extra parameter(s) in x:5: frobnicate'],
  ['too many arguments', 'nobind 1 2 3\n', 5, 'Unrecognized option or missing or extra parameter(s) in x:5: nobind'],
  ['too few arguments', 'verb\n', 5, 'Unrecognized option or missing or extra parameter(s) in x:5: verb'],
  ['an unclosed quotation', 'setenv AB "c d\n', 5, 'No closing quotation (") in x:5'],
  ['an unclosed inline block', 'nobind\n<key>\nabc\n', 6, 'Endtag </key> missing'],
  ['a NUL', 'ver\0b 3\n', 5, 'In x:5: the line contains a NUL character'],
  ['a line of a megabyte', `ca ${'x'.repeat(1 << 20)}\n`, 5, 'In x:5: Maximum option line length (256) exceeded'],
  ['a certificate pasted without its block', `${'A'.repeat(300)}\n`, 5, 'In x:5: Maximum option line length (256)'],
  ['a file that cannot be read', 'config there.conf\n', 5, 'In x:5: Error opening configuration file: there.conf'],
  ['an option that a block cannot hold', '<verb>\n3\n</verb>\n', 5, "option 'verb' is not expected to be inline (x:5)"],
  [
    'a block in a block',
    '<connection>\nremote a\n<connection>\nremote b\n</connection>\n',
    7,
    'Endtag </connection> missing',
  ],
  [
    'an option out of place',
    '<connection>\nremote a\nca b\n</connection>\n',
    7,
    "option 'ca' cannot be used in this context ([CONNECTION-OPTIONS])",
  ],
  ['an option for single clients', 'iroute 10.0.0.0\n', 5, "option 'iroute' cannot be used in this context (x)"],
  ['a static key', 'secret static.key\n', 5, 'static-key mode has no key exchange'],
  ['a negative number', 'connect-retry-max -1\n', 5, "Cannot parse argument '-1' as non-negative integer"],
  ['a number with a unit', 'reneg-sec 1h\n', 5, "Cannot parse argument '1h' as non-negative integer"],
  ['a number beyond all bounds', 'sndbuf 99999999999999999999\n', 5, "Cannot parse argument '99999999999999999999'"],
  ['a port beyond all bounds', 'rport 65536\n', 5, "Bad port '65536' in rport"],
  [
    'a device name that is a path',
    'dev ../../etc\ndev-type tun\n',
    5,
    "'../../etc' cannot be the name of a network device",
  ],
  ['a device of unknown type', 'dev vpn\n', 5, "Unknown device type of 'vpn'"],
  [
    'a bad address',
    'route-ipv6 10.0.0.0/8\n',
    5,
    "route-ipv6 parameter network/IP '10.0.0.0/8' must be a valid address",
  ],
  ['a gateway that is no address', 'route-gateway gate\n', 5, "route-gateway parm 'gate' must be a valid address"],
  ['a fingerprint with a letter too many', 'peer-fingerprint AB:CG\n', 5, 'format error in hash fingerprint: AB:CG'],
  ['an unclosed quotation inside a script', 'up "prog \\"a"\n', 5, 'No closing quotation (") in --up'],
  ['a DNS domain with a shell in it', 'dns search-domains a;b\n', 5, '--dns search-domains contain invalid characters'],
  [
    'a DNS server without a number',
    'dns server one address 10.0.0.1\n',
    5,
    "--dns server: invalid priority value 'one'",
  ],
];

describe('a profile with', () => {
  it.each(TEXTS)('%s is refused at its line', (_name, appended, line, message) => {
    const { config, findings } = parseConfig({ text: CLIENT + appended, file: 'x' }, { readText: () => undefined });
    expect(config).toBeUndefined();
    const errors = findings.filter((each) => each.severity === 'error');
    expect(errors[0]).toMatchObject({ origin: { file: 'x', line } });
    expect(errors[0]?.message.startsWith(message), errors[0]?.message).toBe(true);
    expect(errors[0]?.advice).toMatch(/^[A-Z]/);
    expect(errors).toHaveLength(1);
  });

  it.each([
    ['CRLF', CLIENT.replaceAll('\n', '\r\n')],
    ['a byte order mark', `\ufeff${CLIENT}`],
    ['no newline at its end', CLIENT.trimEnd()],
    ['tabs and blanks at will', CLIENT.replaceAll(' ', ' \t ').replaceAll('\n', ' \n\n \t\n')],
  ])('%s is accepted', (_name, text) => {
    const { config } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
    expect(config?.connections[0]?.remote).toBe('vpn.example.com');
  });

  it('a hundred thousand lines of rubbish ends soon, with findings that one can still read', () => {
    const text = Array.from({ length: 100_000 }, (_, i) => `rubbish-number-${i} x`).join('\n');
    const started = performance.now();
    const { config, findings } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
    expect(config).toBeUndefined();
    expect(findings.length).toBeLessThanOrEqual(2001);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('forty thousand blocks take as long as their lines, not the square of it', () => {
    const started = performance.now();
    const text = CLIENT + '<connection>\nremote a 1\n</connection>\n'.repeat(40_000);
    expect(parseConfig({ text, file: 'x' }, { readText: () => undefined }).config?.connections).toHaveLength(40_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('ten thousand routes is read in no time', () => {
    const routes = Array.from({ length: 10_000 }, (_, i) => `route 10.${i >> 8}.${i & 255}.0 255.255.255.0\n`).join('');
    const { config } = parseConfig({ text: CLIENT + routes, file: 'x' }, { readText: () => undefined });
    expect(config?.tunnel.routes.length).toBe(10_000);
  });
});

describe('combinations that make no sense', () => {
  it.each([
    [['nobind', 'lport 5000'], "--lport and --nobind don't make sense when used together"],
    [['bind', 'nobind'], "--bind and --nobind can't be used together"],
    [['local 192.0.2.1', 'nobind'], "--local and --nobind don't make sense when used together"],
    [['proto tcp', 'fragment 1300'], '--fragment can only be used with --proto udp'],
    [['cert a.crt'], 'If you use one of --cert or --key, you must use them both'],
    [['pkcs12 a.p12', 'cert a', 'key b'], 'Parameter --cert cannot be used when --pkcs12 is also specified.'],
    ...[
      [['cert a', 'management-external-key own'], 'Unknown management-external-key flag: own'],
      [['cert a', 'key b', 'management-external-key'], '--key and --management-external-key are mutually exclusive'],
      [['management-external-key'], 'If you use one of --cert or --key, you must use them both'],
      [
        ['cert a', 'management-external-key', 'management-external-cert x'],
        '--cert and --management-external-cert are mutually exclusive',
      ],
      [
        ['key b', 'management-external-cert x'],
        '--management-external-cert must be used with --management-external-key',
      ],
      [
        ['pkcs12 a.p12', 'management-external-key'],
        'Parameter --management-external-key cannot be used when --pkcs12 is also specified.',
      ],
    ].map(([lines, message]) => [['management /run/m unix', ...(lines as string[])], message] as [string[], string]),
    [['tls-auth a 1', 'tls-crypt b'], '--tls-auth and --tls-crypt are mutually exclusive'],
    [
      ['tls-crypt-v2 a', 'tls-crypt b'],
      '--tls-crypt-v2, --tls-auth and --tls-crypt are mutually exclusive in client mode',
    ],
    [['tls-version-min 1.3', 'tls-version-max 1.2'], '--tls-version-min bigger than --tls-version-max'],
    [['keepalive 10 60', 'ping 5'], '--keepalive conflicts with --ping, --ping-exit, or --ping-restart.'],
    [['allow-compression no', 'comp-lzo'], "'--allow-compression no' conflicts with  enabling compression"],
    [['allow-compression no', 'allow-compression yes'], "Cannot set allow-compression to 'yes' after set to 'no'"],
    [['tun-mtu 1400', 'link-mtu 1500'], 'only one of --tun-mtu or --link-mtu may be defined'],
    [['ifconfig 10.0.0.1 10.0.0.1'], 'local and remote/netmask --ifconfig addresses must be different'],
    [['dns server 3 dnssec yes'], 'ERROR: dns server 3 does not have an address assigned'],
    [['proto tcp-server'], 'a client that pulls cannot wait for TCP connections'],
    [['tls-server'], 'specify only one of --tls-server, --tls-client, or --secret'],
  ])('%j', (lines, message) => {
    const { config, findings } = parseConfig(
      { text: `${CLIENT}${lines.join('\n')}\n`, file: 'x' },
      { readText: () => undefined },
    );
    expect(config).toBeUndefined();
    const errors = findings.filter((each) => each.severity === 'error').map((each) => each.message);
    expect(
      errors.some((each) => each.startsWith(message)),
      errors.join('\n'),
    ).toBe(true);
  });

  it.each([
    ['client\nremote a\nauth-user-pass\n', 'You must define CA file (--ca) or CA path (--capath)'],
    ['client\nremote a\nca b\n', 'No client-side authentication method is specified.'],
    ['client\nca b\nauth-user-pass\n', 'No remote server is given'],
    ['client\nca b\nauth-user-pass\nproto tcp\n', '--remote MUST be used in TCP Client mode'],
    ['remote a\nca b\nauth-user-pass\npull\n', 'No tls-client or tls-server option in configuration detected.'],
    ['tls-client\nremote a\nca b\ncert c\nkey d\nauth-user-pass\n', '--auth-user-pass requires --pull'],
    ['tls-client\nremote a\nca b\n', 'You must define certificate file (--cert) or PKCS#12 file (--pkcs12)'],
  ])('%j', (text, message) => {
    const { findings } = parseConfig({ text, file: 'x' }, { readText: () => undefined });
    expect(findings.some((each) => each.severity === 'error' && each.message.startsWith(message))).toBe(true);
  });
});
