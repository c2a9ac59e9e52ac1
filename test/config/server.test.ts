import { describe, expect, it } from 'vitest';
import type { Config, Finding } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import type { ServerOptions } from '../../src/config/server-options.ts';

const FILES = ['dev tun', 'ca ca.crt', 'cert own.crt', 'key own.key', 'dh none'];

const parse = (lines: readonly string[], checksLogins = false) =>
  parseConfig({ text: `${lines.join('\n')}\n`, file: 's.conf' }, { readText: () => undefined, checksLogins });

type ServerConfig = Config & { readonly server: ServerOptions };

function served(...lines: readonly string[]): ServerConfig {
  const { config, findings } = parse([...FILES, ...lines]);
  const { server } = config ?? {};
  if (config === undefined || server === undefined) throw new Error(JSON.stringify(findings, undefined, 1));
  return { ...config, server };
}

const NET = 'server 10.8.0.0 255.255.255.0';
const TAP = ['dev tap'];

describe('a server of one line', () => {
  const config = served(NET);

  it('serves with the TLS role, the topology and the addresses of OpenVPN 2.7', () => {
    expect(config).toMatchObject({
      mode: 'server',
      pull: false,
      tls: { role: 'server', dh: undefined },
      tunnel: {
        topology: 'subnet',
        ifconfig: { local: '10.8.0.1', remoteOrNetmask: '255.255.255.0' },
        routeGateway: '10.8.0.2',
        routes: [],
      },
    });
  });

  it('has the defaults of OpenVPN 2.7', () => {
    expect(config.server).toEqual({
      listens: [
        { host: undefined, port: '1194', proto: { transport: 'udp', family: undefined }, origin: expect.anything() },
      ],
      pool4: { first: '10.8.0.2', last: '10.8.0.254', netmask: '255.255.255.0' },
      pool6: undefined,
      poolPersist: undefined,
      push: ['route-gateway 10.8.0.1', 'topology subnet'],
      clientConfigDir: undefined,
      ccdExclusive: false,
      clientToClient: false,
      duplicateCn: false,
      maxClients: 1024,
      maxRoutesPerClient: 256,
      connectFreq: undefined,
      connectFreqInitial: { count: 100, seconds: 10 },
      ifconfigPushConstraint: { network: '10.8.0.0', netmask: '255.255.255.0' },
      verifyClientCert: 'require',
      usernameAsCommonName: false,
      usernameFields: ['CN'],
      authUserPassOptional: false,
      authGenToken: undefined,
      authGenTokenSecret: undefined,
      requireExporter: false,
      wraps: [],
      tlsCryptV2: { forceCookie: false, maxAgeDays: undefined },
      compressMigrate: false,
      portShare: undefined,
      tcpQueueLimit: 64,
      exitNotify: 0,
      tmpDir: undefined,
      metrics: undefined,
      scripts: {
        authUserPassVerify: undefined,
        clientConnect: undefined,
        clientDisconnect: undefined,
        clientCrResponse: undefined,
        learnAddress: undefined,
        tlsCryptV2Verify: undefined,
      },
    });
  });
});

describe('the macros', () => {
  const EVERYTHING = [
    NET,
    'server-ipv6 fd00:8::/64',
    'keepalive 10 60',
    'tcp-nodelay',
    'push "route 1.2.3.0 255.255.255.0"',
  ];

  // The push entries, addresses and bounds are those that OpenVPN 2.7.8 printed for the same lines.
  it.each([
    {
      topology: 'subnet',
      clientToClient: false,
      added: ['route-gateway 10.8.0.1', 'topology subnet'],
      second: '255.255.255.0',
      pool4: { first: '10.8.0.2', last: '10.8.0.254', netmask: '255.255.255.0' },
      routes: [] as string[],
    },
    {
      topology: 'subnet',
      clientToClient: true,
      added: ['route-gateway 10.8.0.1', 'topology subnet'],
      second: '255.255.255.0',
      pool4: { first: '10.8.0.2', last: '10.8.0.254', netmask: '255.255.255.0' },
      routes: [],
    },
    {
      topology: 'net30',
      clientToClient: false,
      added: ['route 10.8.0.1', 'topology net30'],
      second: '10.8.0.2',
      pool4: { first: '10.8.0.4', last: '10.8.0.251', netmask: undefined },
      routes: ['10.8.0.0 255.255.255.0'],
    },
    {
      topology: 'net30',
      clientToClient: true,
      added: ['route 10.8.0.0 255.255.255.0', 'topology net30'],
      second: '10.8.0.2',
      pool4: { first: '10.8.0.4', last: '10.8.0.251', netmask: undefined },
      routes: ['10.8.0.0 255.255.255.0'],
    },
    {
      topology: 'p2p',
      clientToClient: false,
      added: ['topology p2p'],
      second: '10.8.0.2',
      pool4: { first: '10.8.0.4', last: '10.8.0.251', netmask: undefined },
      routes: ['10.8.0.0 255.255.255.0'],
    },
    {
      topology: 'p2p',
      clientToClient: true,
      added: ['route 10.8.0.0 255.255.255.0', 'topology p2p'],
      second: '10.8.0.2',
      pool4: { first: '10.8.0.4', last: '10.8.0.251', netmask: undefined },
      routes: ['10.8.0.0 255.255.255.0'],
    },
  ])('come to what OpenVPN makes of them: $topology, client-to-client $clientToClient', (row) => {
    const { tunnel, server } = served(
      ...EVERYTHING,
      `topology ${row.topology}`,
      ...(row.clientToClient ? ['client-to-client'] : []),
    );
    expect(server.push).toEqual([
      'route 1.2.3.0 255.255.255.0',
      'tun-ipv6',
      ...row.added,
      'ping 10',
      'ping-restart 60',
      'socket-flags TCP_NODELAY',
    ]);
    expect(server.pool4).toEqual(row.pool4);
    expect(server.pool6).toEqual({ first: 'fd00:8::1000', prefixLength: 64 });
    expect(tunnel.ifconfig).toEqual({ local: '10.8.0.1', remoteOrNetmask: row.second });
    expect(tunnel.ifconfigIpv6).toEqual({ local: 'fd00:8::1', prefixLength: 64, remote: 'fd00:8::2' });
    expect(tunnel.routes.map((each) => `${each.network} ${each.netmask}`)).toEqual(row.routes);
    expect(tunnel).toMatchObject({ topology: row.topology, ping: 10, pingRestart: 120 });
  });

  it('put the pool into small networks as OpenVPN does', () => {
    expect(served('server 10.8.0.8 255.255.255.248').server.pool4).toMatchObject({
      first: '10.8.0.10',
      last: '10.8.0.14',
    });
    expect(served('server 10.8.0.0 255.255.255.240', 'topology net30').server.pool4).toMatchObject({
      first: '10.8.0.4',
      last: '10.8.0.11',
    });
    expect(served('server 10.8.0.8 255.255.255.248', 'topology p2p').server.pool4).toMatchObject({
      first: '10.8.0.12',
      last: '10.8.0.15',
    });
    expect(served('server 10.8.0.0 255.255.0.0').server.pool4).toMatchObject({
      first: '10.8.0.2',
      last: '10.8.255.254',
    });
    expect(served(NET, 'server-ipv6 fd00:8::/112').server.pool6).toEqual({ first: 'fd00:8::2', prefixLength: 112 });
    expect(served(NET, 'server-ipv6 fd00:8::/111').server.pool6).toEqual({ first: 'fd00:8::1000', prefixLength: 111 });
  });

  it('leave the pool to others under nopool, and tell the netmask all the same', () => {
    expect(served(`${NET} nopool`).server.pool4).toBeUndefined();
    expect(served(`${NET} nopool`, 'ifconfig-pool 10.8.0.100 10.8.0.110').server.pool4).toEqual({
      first: '10.8.0.100',
      last: '10.8.0.110',
      netmask: '255.255.255.0',
    });
  });

  it('serve IPv6 alone', () => {
    const { tunnel, server, mode } = served('server-ipv6 fd00:8::/64');
    expect(mode).toBe('server');
    expect(server).toMatchObject({ pool4: undefined, push: ['tun-ipv6'] });
    expect(tunnel).toMatchObject({ ifconfig: undefined, topology: 'subnet' });
  });

  it('are not needed: everything can be written out', () => {
    const { tunnel, server } = served(
      'mode server',
      'tls-server',
      'topology subnet',
      'ifconfig 10.9.0.1 255.255.255.0',
      'ifconfig-pool 10.9.0.50 10.9.0.60 255.255.255.0',
      'push "topology subnet"',
      'ifconfig-ipv6 fd00:9::1/64 fd00:9::2',
      'ifconfig-ipv6-pool fd00:9::50/64',
    );
    expect(server).toMatchObject({
      pool4: { first: '10.9.0.50', last: '10.9.0.60', netmask: '255.255.255.0' },
      pool6: { first: 'fd00:9::50', prefixLength: 64 },
      push: ['topology subnet'],
      ifconfigPushConstraint: undefined,
    });
    expect(tunnel.routeGateway).toBeUndefined();
  });

  it('give a TAP server a network without a topology, and no route gateway of its own', () => {
    const { tunnel, server } = served(...TAP, NET, 'client-to-client');
    expect(tunnel).toMatchObject({ topology: undefined, routeGateway: undefined });
    expect(tunnel.ifconfig).toEqual({ local: '10.8.0.1', remoteOrNetmask: '255.255.255.0' });
    expect(server).toMatchObject({
      pool4: { first: '10.8.0.2', last: '10.8.0.254', netmask: '255.255.255.0' },
      push: ['route-gateway 10.8.0.1'],
      ifconfigPushConstraint: { network: '10.8.0.0', netmask: '255.255.255.0' },
    });
  });

  it('make a server on a bridge, which has no address of its own', () => {
    const bridged = served(...TAP, 'server-bridge 10.8.0.4 255.255.255.0 10.8.0.128 10.8.0.254');
    expect(bridged).toMatchObject({ mode: 'server', tls: { role: 'server' }, tunnel: { ifconfig: undefined } });
    expect(bridged.server).toMatchObject({
      pool4: { first: '10.8.0.128', last: '10.8.0.254', netmask: '255.255.255.0' },
      push: ['route-gateway 10.8.0.4'],
      ifconfigPushConstraint: undefined,
    });
    for (const [lines, push] of [
      [['server-bridge'], ['route-gateway dhcp']],
      [['server-bridge nogw'], []],
      [['server-bridge', 'server-bridge nogw'], []],
    ] as const) {
      expect(served(...TAP, ...lines).server).toMatchObject({ pool4: undefined, push });
    }
  });

  it('keep a route-gateway that is written', () => {
    expect(served(NET, 'route-gateway 10.8.0.77').tunnel.routeGateway).toBe('10.8.0.77');
  });

  it('leave a tunnel that is no server as it was', () => {
    const { config } = parse(['client', 'remote a', 'ca b', 'auth-user-pass', 'keepalive 10 60']);
    expect(config).toMatchObject({
      mode: 'p2p',
      server: undefined,
      tunnel: { topology: undefined, ping: 10, pingRestart: 60 },
    });
  });
});

describe('where a server listens', () => {
  const listens = (...lines: readonly string[]) =>
    served(NET, ...lines).server.listens.map(
      ({ host, port, proto }) => `${host ?? '*'} ${port} ${proto.transport}${proto.family ?? ''}`,
    );

  it.each([
    [[], ['* 1194 udp']],
    [['proto tcp', 'port 443'], ['* 443 tcp-server']],
    [['proto tcp-server'], ['* 1194 tcp-server']],
    [['proto udp6', 'lport 5000'], ['* 5000 udp6']],
    [['local 192.0.2.1'], ['192.0.2.1 1194 udp']],
    [
      ['local * 443 tcp', 'local * 1195', 'port 4000'],
      ['* 443 tcp-server', '* 1195 udp'],
    ],
    [
      ['local 192.0.2.1 1195', 'local 192.0.2.2', 'local :: 443 tcp6'],
      ['192.0.2.1 1195 udp', '192.0.2.2 1194 udp', ':: 443 tcp-server6'],
    ],
    [
      ['proto tcp4', 'local 192.0.2.1', 'local 192.0.2.1 1194 udp'],
      ['192.0.2.1 1194 tcp-server4', '192.0.2.1 1194 udp4'],
    ],
  ])('is said by %j', (lines, expected) => {
    expect(listens(...lines)).toEqual(expected);
  });
});

describe('options of a server', () => {
  it.each<[string, Partial<ServerOptions>]>([
    ['client-config-dir /etc/vpn/ccd', { clientConfigDir: '/etc/vpn/ccd' }],
    ['client-to-client', { clientToClient: true }],
    ['duplicate-cn', { duplicateCn: true }],
    ['max-clients 7', { maxClients: 7 }],
    ['max-routes-per-client 3', { maxRoutesPerClient: 3 }],
    ['ifconfig-pool-persist ipp.txt', { poolPersist: { path: 'ipp.txt', seconds: 600 } }],
    ['ifconfig-pool-persist ipp.txt 0', { poolPersist: { path: 'ipp.txt', seconds: 0 } }],
    ['connect-freq 5 60', { connectFreq: { count: 5, seconds: 60 } }],
    ['connect-freq-initial 200 5', { connectFreqInitial: { count: 200, seconds: 5 } }],
    ['verify-client-cert', { verifyClientCert: 'require' }],
    ['x509-username-field serialNumber CN', { usernameFields: ['serialNumber', 'CN'] }],
    ['x509-username-field ext:subjectAltName', { usernameFields: ['ext:subjectAltName'] }],
    ['auth-gen-token', { authGenToken: { lifetimeSeconds: 0, renewalSeconds: 3600, externalAuth: false } }],
    [
      'auth-gen-token 86400 600 external-auth',
      { authGenToken: { lifetimeSeconds: 86400, renewalSeconds: 600, externalAuth: true } },
    ],
    [
      'auth-gen-token 86400 external-auth',
      { authGenToken: { lifetimeSeconds: 86400, renewalSeconds: 3600, externalAuth: true } },
    ],
    [
      'auth-gen-token-secret tokens.key',
      { authGenTokenSecret: { kind: 'file', path: 'tokens.key', origin: { file: 's.conf', line: 7 } } },
    ],
    [
      '<auth-gen-token-secret>\nabc\n</auth-gen-token-secret>',
      { authGenTokenSecret: { kind: 'inline', text: 'abc\n', origin: { file: 's.conf', line: 7 } } },
    ],
    ['force-tls-key-material-export', { requireExporter: true }],
    ['tcp-queue-limit 256', { tcpQueueLimit: 256 }],
    ['tls-crypt-v2-max-age 365', { tlsCryptV2: { forceCookie: false, maxAgeDays: 365 } }],
    ['tls-crypt-v2 server.key force-cookie', { tlsCryptV2: { forceCookie: true, maxAgeDays: undefined } }],
    ['tls-crypt-v2 server.key allow-noncookie', { tlsCryptV2: { forceCookie: false, maxAgeDays: undefined } }],
    ['explicit-exit-notify', { exitNotify: 1 }],
    ['explicit-exit-notify 2', { exitNotify: 2 }],
    ['explicit-exit-notify 0', { exitNotify: 0 }],
    ['tmp-dir /run/vpn', { tmpDir: '/run/vpn' }],
    ['compress migrate', { compressMigrate: true }],
    ['metrics 9100', { metrics: { host: '127.0.0.1', port: 9100 } }],
    ['metrics 10.8.0.1:9100', { metrics: { host: '10.8.0.1', port: 9100 } }],
    ['metrics [::1]:9100', { metrics: { host: '::1', port: 9100 } }],
  ])('%s', (line, expected) => {
    expect(served(NET, line).server).toMatchObject(expected);
  });

  it('are programs with their arguments', () => {
    const { scripts } = served(
      NET,
      'script-security 2',
      'auth-user-pass-verify "/etc/vpn/check --strict" via-file',
      'client-connect /etc/vpn/connect',
      'client-disconnect "/etc/vpn/gone \'a b\'"',
      'client-crresponse /etc/vpn/answer',
      'learn-address /etc/vpn/learn',
      'tls-crypt-v2-verify /etc/vpn/key',
    ).server;
    expect(scripts).toEqual({
      authUserPassVerify: { argv: ['/etc/vpn/check', '--strict'], by: 'file' },
      clientConnect: ['/etc/vpn/connect'],
      clientDisconnect: ['/etc/vpn/gone', 'a b'],
      clientCrResponse: ['/etc/vpn/answer'],
      learnAddress: ['/etc/vpn/learn'],
      tlsCryptV2Verify: ['/etc/vpn/key'],
    });
  });

  it('let tls-crypt-v2 stand beside an older wrap', () => {
    const kinds = (...lines: readonly string[]) => served(NET, ...lines).server.wraps.map((each) => each.kind);
    expect(kinds('tls-crypt-v2 v2.key', 'tls-auth ta.key 0')).toEqual(['tls-auth', 'tls-crypt-v2']);
    expect(kinds('tls-crypt tc.key', 'tls-crypt-v2 v2.key')).toEqual(['tls-crypt', 'tls-crypt-v2']);
    expect(served(NET, 'tls-auth ta.key 0').server.wraps[0]?.direction).toBe(0);
    expect(served(NET, '<tls-auth>', 'x', '</tls-auth>', 'key-direction 0').server.wraps[0]?.direction).toBe(0);
  });

  it('say where single clients may be put, unless server says it under topology subnet', () => {
    const line = 'ifconfig-push-constraint 10.8.0.0 255.255.0.0';
    const constraint = { network: '10.8.0.0', netmask: '255.255.0.0' };
    expect(served(NET, line, 'topology net30').server.ifconfigPushConstraint).toEqual(constraint);
    expect(served(NET, line).server.ifconfigPushConstraint).toEqual({ ...constraint, netmask: '255.255.255.0' });
  });

  it('name a file of Diffie-Hellman parameters', () => {
    expect(served(NET, 'dh dh2048.pem').tls.dh).toMatchObject({ kind: 'file', path: 'dh2048.pem' });
  });

  it('do without the exit notice where TCP says it', () => {
    expect(served(NET, 'proto tcp', 'explicit-exit-notify 1').server.exitNotify).toBe(0);
  });
});

const errorsOf = (findings: readonly Finding[]) => findings.filter((each) => each.severity === 'error');

describe('wrong options of a server', () => {
  const complaints = (lines: readonly string[]) =>
    errorsOf(parse([...FILES, ...lines]).findings).map((each) => `${each.origin.line}: ${each.message}`);

  it.each<[string[], string]>([
    [['server 10.8.0.0'], '6: Unrecognized option or missing or extra parameter(s) in s.conf:6: server'],
    [['server 10.8.0.0 24'], '6: error parsing --server parameters'],
    [['server 0.0.0.0 255.255.255.0'], '6: error parsing --server parameters'],
    [['server 10.8.0.0 255.255.255.0 pool'], '6: error parsing --server: pool is not a recognized flag'],
    [['server 10.8.0.1 255.255.255.0'], '6: --server directive network/netmask combination is invalid'],
    [['server 10.8.0.0 255.0.255.0'], '6: --server directive network/netmask combination is invalid'],
    [
      ['server 10.0.0.0 255.0.0.0'],
      '6: --server directive netmask allows for too many host addresses (subnet must be 255.255.0.0 (/16) or higher)',
    ],
    [
      ['server 10.8.0.0 255.255.255.252'],
      '6: --server directive when used with --dev tun must define a subnet of 255.255.255.248 (/29) or lower',
    ],
    [['server 10.8.0.0 255.255.255.255'], '6: --server directive netmask is invalid'],
    [['server 10.8.0.0 255.255.255.248', 'topology net30'], '6: IPv4 pool size is too small (1), must be at least 2'],
    [['server-ipv6 10.8.0.0'], '6: error parsing --server-ipv6 parameter'],
    [['server-ipv6 fd00::/48'], '6: --server-ipv6 settings: network must be between /64 and /124 (not /48)'],
    [[`${NET} nopool`, 'server-ipv6 fd00::/64'], "7: --server-ipv6 is incompatible with 'nopool' option"],
    [
      [NET, 'ifconfig-pool 10.8.0.5 10.8.0.9'],
      "7: --server already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly",
    ],
    [
      [NET, 'server-ipv6 fd00::/64', 'ifconfig-ipv6-pool fd00::5/64'],
      "8: --server-ipv6 already defines an ifconfig-ipv6-pool, so you can't also specify --ifconfig-pool explicitly",
    ],
    [[NET, 'client'], '6: --server and --client cannot be used together'],
    [
      [`${NET} nopool`, 'ifconfig-pool 10.8.0.9 10.8.0.5'],
      '7: --ifconfig-pool start IP [10.8.0.9] is greater than end IP [10.8.0.5]',
    ],
    [
      [`${NET} nopool`, 'ifconfig-pool 10.0.0.0 10.1.0.0'],
      '7: --ifconfig-pool address range is too large [10.0.0.0 -> 10.1.0.0].  Current maximum is 65536 addresses, as defined by IFCONFIG_POOL_MAX variable.',
    ],
    [[`${NET} nopool`, 'ifconfig-pool 10.8.0.5 10.8.0.5'], '7: IPv4 pool size is too small (1), must be at least 2'],
    [
      [`${NET} nopool`, 'topology p2p', 'ifconfig-pool 10.8.0.5 10.8.0.9 255.255.255.0'],
      '8: The third parameter to --ifconfig-pool (netmask) is only valid in --dev tap mode',
    ],
    [
      [`${NET} nopool`, 'ifconfig-pool-persist ipp.txt'],
      '7: --ifconfig-pool-persist must be used with --ifconfig-pool or --ifconfig-ipv6-pool',
    ],
    [[NET, 'ifconfig-ipv6-pool fd00::5/64'], '7: --ifconfig-ipv6-pool needs --ifconfig-ipv6'],
    [[NET, 'push "route 1.2.3.4, x"'], "7: PUSH OPTION FAILED (illegal comma (',') in string): 'route 1.2.3.4, x'"],
    [[NET, 'keepalive 10 43201'], '7: The second parameter to --keepalive must not exceed 43200 in server mode.'],
    [[NET, 'ccd-exclusive'], '7: --ccd-exclusive must be used with --client-config-dir'],
    [[NET, 'max-clients 0'], '7: max-clients: Must be an integer between 1 and 16777214, not 0'],
    [[NET, 'max-clients many'], "7: max-clients: Cannot parse 'many' as integer"],
    [[NET, 'connect-freq 0 10'], '7: connect-freq n: Must be an integer >= 1, not 0'],
    [[NET, 'connect-freq-initial 10 0'], '7: connect-freq-initial seconds: Must be an integer >= 1, not 0'],
    [
      [NET, 'connect-freq 5 10', 'proto tcp'],
      '7: --connect-freq only works with --mode server --proto udp.  Try --max-clients instead.',
    ],
    [
      [NET, 'port-share 127.0.0.1 443'],
      '7: --port-share only works in TCP server mode (--proto values of tcp-server, tcp4-server, or tcp6-server)',
    ],
    [[NET, 'port-share 127.0.0.1 99999', 'proto tcp'], "7: Bad port '99999' in port-share"],
    [[NET, 'verify-client-cert maybe'], "7: parameter to --verify-client-cert must be 'none', 'optional' or 'require'"],
    [
      [NET, 'verify-client-cert none'],
      '7: --verify-client-cert none|optional must be used with --management-client-auth, an --auth-user-pass-verify script, or plugin',
    ],
    [
      [NET, 'username-as-common-name'],
      '7: --username-as-common-name must be used with --management-client-auth, an --auth-user-pass-verify script, or plugin',
    ],
    [
      [NET, 'auth-user-pass-optional'],
      '7: --auth-user-pass-optional must be used with --management-client-auth, an --auth-user-pass-verify script, or plugin',
    ],
    [
      [NET, 'auth-user-pass-verify check'],
      "7: --auth-user-pass-verify requires a second parameter ('via-env' or 'via-file')",
    ],
    [
      [NET, 'auth-user-pass-verify check via-pipe'],
      "7: second parm to --auth-user-pass-verify must be 'via-env' or 'via-file'",
    ],
    [
      [NET, 'client-connect ./a b'],
      '7: the --client-connect directive should have at most 1 parameter.  To pass a list of arguments as one of the parameters, try enclosing them in double quotes ("").',
    ],
    [[NET, 'auth-gen-token 600 often'], '7: Invalid argument to auth-gen-token: often (2)'],
    [[NET, 'auth-gen-token', 'reneg-sec 0'], '7: --auth-gen-token needs a non-infinite --renegotiate_seconds setting'],
    [
      [NET, 'auth-gen-token 3600 60'],
      '7: --auth-gen-token renewal time needs to be at least  two times --hand-window (60).',
    ],
    [[NET, 'x509-username-field ext:keyUsage'], '7: Unsupported x509-username-field extension: ext:keyUsage'],
    [[NET, 'tls-crypt-v2 a.key always'], '7: Unsupported tls-crypt-v2 argument: always'],
    [[NET, 'tls-crypt-v2-max-age 0'], '7: tls-crypt-v2-max-age: Must be an integer >= 1, not 0'],
    [[NET, 'tls-auth a', 'tls-crypt b'], '8: --tls-auth and --tls-crypt are mutually exclusive'],
    [[NET, 'stale-routes-check soon'], "7: stale-routes-check age: Cannot parse 'soon' as integer"],
    [[NET, 'multihome always'], '7: Unknown parameter to --multihome: always'],
    [[NET, 'hash-size 0 1'], '7: hash-size real: Must be an integer >= 1, not 0'],
    [[NET, 'workers 0'], '7: workers: Must be an integer between 1 and 16, not 0'],
    [[NET, 'workers 17'], '7: workers: Must be an integer between 1 and 16, not 17'],
    [[NET, 'workers all'], "7: workers: Cannot parse 'all' as integer"],
    [[NET, 'metrics somewhere'], "7: metrics: 'somewhere' is not an address to listen on"],
    [[NET, 'metrics 0'], "7: metrics: '0' is not an address to listen on"],
    [[NET, 'metrics 127.0.0.1:70000'], "7: metrics: '127.0.0.1:70000' is not an address to listen on"],
    [[NET, 'local * 1194 sctp'], "7: Bad protocol: 'sctp' in local"],
    [[NET, 'local * 70000'], "7: Bad port '70000' in local"],
    [[NET, 'local 10.8.0.1'], '7: --local addresses must be distinct from --ifconfig addresses'],
    [[NET, 'proto tcp-client'], '7: --remote MUST be used in TCP Client mode'],
    [
      ['mode server', 'tls-server', 'proto tcp'],
      '8: --proto tcp is ambiguous in this context. Please specify --proto tcp-server or --proto tcp-client',
    ],
    [['mode server'], '6: --mode server requires --tls-server'],
    [['mode serve'], '6: Bad --mode parameter: serve'],
    [[NET, 'tls-client'], '7: specify only one of --tls-server, --tls-client, or --secret'],
    [[NET, 'pull'], '7: --pull cannot be used with --mode server.'],
    [[NET, 'remote a'], '7: --remote cannot be used with --mode server.'],
    [[NET, 'nobind'], "7: --nobind doesn't make sense unless used with --remote"],
    [[NET, '<connection>', 'remote a', '</connection>'], '7: <connection> cannot be used with --mode server'],
    [[NET, 'route-delay 5'], '7: --route-delay cannot be used with --mode server.'],
    [[NET, 'up-delay'], '7: --up-delay cannot be used with --mode server.'],
    [[NET, 'allow-recursive-routing'], '7: --allow-recursive-routing cannot be used with --mode server.'],
    [[NET, 'ipchange ./x'], '7: --ipchange cannot be used with --mode server (use --client-connect instead)'],
    [
      [NET, 'redirect-gateway def1'],
      '7: --redirect-gateway cannot be used with --mode server (however --push "redirect-gateway" is fine)',
    ],
    [
      [NET, 'auth-user-pass login.txt'],
      '7: --auth-user-pass cannot be used with --mode server (it should be used on the client side only)',
    ],
    [['server-bridge'], '6: --server-bridge directive only makes sense with --dev tap'],
    [[...TAP, 'server-bridge', 'client'], '7: --server-bridge and --client cannot be used together'],
    [[...TAP, NET, 'server-bridge'], '7: --server and --server-bridge cannot be used together'],
    [[...TAP, 'server-bridge 10.8.0.4 255.255.255.0 10.8.0.5'], '7: error parsing --server-bridge parameters'],
    [[...TAP, 'server-bridge 10.8.0.4 255.255.255.0 10.8.0.5 soon'], '7: error parsing --server-bridge parameters'],
    [
      [...TAP, 'server-bridge 10.8.0.4 255.255.255.0 10.8.0.128 10.8.1.254'],
      '7: --server-bridge IP addresses 10.8.0.128 and 10.8.1.254 are not in the same 255.255.255.0 subnet',
    ],
    [
      [...TAP, 'server-bridge 10.8.0.4 255.255.255.0 10.8.0.128 10.8.0.100'],
      '7: --ifconfig-pool start IP [10.8.0.128] is greater than end IP [10.8.0.100]',
    ],
    [
      [...TAP, 'server-bridge', 'ifconfig-pool 10.8.0.5 10.8.0.9'],
      "8: --server-bridge already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly",
    ],
    [
      [...TAP, 'server 10.8.0.0 255.255.255.254'],
      '7: --server directive when used with --dev tap must define a subnet of 255.255.255.252 (/30) or lower',
    ],
    [
      [...TAP, NET, 'vlan-tagging'],
      '8: the VLAN options (vlan-tagging, vlan-accept, vlan-pvid) are not taken: every client of a TAP server is in one network, and tags pass as they are',
    ],
    [['lladdr 02:00:00:00:00:01', NET], '6: --lladdr can only be used in --dev tap mode'],
    [[...TAP, NET, 'lladdr 02:00:00:00:00'], "8: lladdr parm '02:00:00:00:00' must be a MAC address"],
    [[NET, 'iroute 10.0.0.0 255.0.0.0'], "7: option 'iroute' cannot be used in this context (s.conf)"],
    [[NET, 'disable'], "7: option 'disable' cannot be used in this context (s.conf)"],
  ])('%j', (lines, message) => {
    const found = complaints(lines);
    expect(
      found.some((each) => each.startsWith(message)),
      found.join('\n'),
    ).toBe(true);
  });

  it('come with what to do', () => {
    for (const each of errorsOf(
      parse([...FILES, NET, 'dev tap', 'ccd-exclusive', 'remote a', 'port-share a 1']).findings,
    )) {
      expect(each.advice, each.message).toMatch(/^[A-Z].*\.$/);
    }
  });

  it.each([
    ['verify-client-cert none', 'WARNING: POTENTIALLY DANGEROUS OPTION --verify-client-cert none|optional may accept'],
    ['duplicate-cn|client-config-dir ccd', 'WARNING: using --duplicate-cn and --client-config-dir together'],
    ['duplicate-cn|ifconfig-pool-persist x', 'WARNING: --ifconfig-pool-persist will not work with --duplicate-cn'],
    ['topology net30', 'WARNING: --topology net30 support for server configs with IPv4 pools will be removed'],
    ['auth-user-pass-verify x via-file', 'auth-user-pass-verify with script-security 1 refuses every client'],
    ['auth-user-pass-verify x via-env|script-security 2', 'auth-user-pass-verify via-env with script-security 2 gives'],
    ['client-connect x', 'client-connect with script-security 1 refuses every client'],
    ['explicit-exit-notify 3', 'explicit-exit-notify 3 counts as 1 on a server'],
    ['pull-filter ignore x', '--pull-filter ignored for --mode server'],
  ])('may be only doubtful: %s', (lines, message) => {
    const { findings } = parse([...FILES, NET, 'keepalive 10 60', ...lines.split('|')], true);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ severity: 'warning', message: expect.stringContaining(message) });
  });

  it('are in order with keepalive, and told so without', () => {
    const rest = [...FILES, NET, 'auth-user-pass-verify x via-env', 'script-security 3', 'client-connect x'];
    expect(parse([...rest, 'keepalive 10 60']).findings).toEqual([]);
    expect(parse(rest).findings.map((each) => each.message)).toEqual([
      'WARNING: --keepalive option is missing from server config',
    ]);
  });

  it('lack nothing where the program checks logins itself', () => {
    const lines = [...FILES, NET, 'verify-client-cert none', 'username-as-common-name', 'auth-user-pass-optional'];
    expect(errorsOf(parse(lines).findings)).toHaveLength(3);
    expect(errorsOf(parse(lines, true).findings)).toEqual([]);
  });

  it('lack nothing where a script checks logins', () => {
    const { server } = served(
      NET,
      'verify-client-cert none',
      'username-as-common-name',
      'auth-user-pass-verify ./check via-env',
      'script-security 3',
    );
    expect(server).toMatchObject({ verifyClientCert: 'none', usernameAsCommonName: true });
  });

  it('need the files of the server itself', () => {
    expect(errorsOf(parse(['dev tun', NET]).findings).map((each) => each.message)).toEqual([
      'You must define CA file (--ca) or CA path (--capath) and/or peer fingerprint verification (--peer-fingerprint)',
      'You must define certificate file (--cert) or PKCS#12 file (--pkcs12)',
      'You must define private key file (--key) or PKCS#12 file (--pkcs12)',
    ]);
  });
});

describe('options of a server where nothing is served', () => {
  const CLIENT = ['client', 'remote a', 'ca b', 'auth-user-pass'];

  it.each([
    ['ifconfig-pool 10.8.0.1 10.8.0.9', '--ifconfig-pool requires --mode server'],
    ['client-config-dir ccd', '--client-config-dir requires --mode server'],
    ['client-to-client', '--client-to-client requires --mode server'],
    ['duplicate-cn', '--duplicate-cn requires --mode server'],
    ['connect-freq 5 10', '--connect-freq requires --mode server'],
    ['client-connect ./x', '--client-connect requires --mode server'],
    ['verify-client-cert none', '--verify-client-cert requires --mode server'],
    ['auth-gen-token', '--auth-gen-token requires --mode server'],
    ['hash-size 4 4', '--hash-size requires --mode server'],
    ['force-tls-key-material-export', '--force-key-material-export requires --mode server'],
    ['port-share a 443', '--port-share requires TCP server mode (--mode server --proto tcp-server)'],
    ['metrics 9100', '--metrics requires --mode server'],
  ])('are refused: %s', (line, message) => {
    expect(errorsOf(parse([...CLIENT, line]).findings).map((each) => each.message)).toEqual([message]);
  });

  it('are taken where OpenVPN takes them', () => {
    for (const line of ['max-clients 5', 'push "route 1.2.3.4"', 'verify-client-cert require', 'tcp-nodelay']) {
      expect(errorsOf(parse([...CLIENT, line]).findings), line).toEqual([]);
    }
  });

  it('leave one local line: several sockets are a server’s', () => {
    const { findings } = parse([...CLIENT, 'local 192.0.2.1', 'local 192.0.2.2']);
    expect(errorsOf(findings).map((each) => each.message)).toEqual([
      'multiple --local statements only allowed in --server mode',
    ]);
    const { config } = parse([...CLIENT, 'local 192.0.2.1 5000', 'port 4000']);
    expect(config?.connections[0]).toMatchObject({ localHost: '192.0.2.1', localPort: '5000', remotePort: '4000' });
  });

  it('make a TLS server of one peer', () => {
    const { config, findings } = parse([...FILES, 'tls-server', 'ifconfig 10.8.0.1 10.8.0.2']);
    expect(errorsOf(findings)).toEqual([]);
    expect(config).toMatchObject({
      mode: 'p2p',
      pull: false,
      server: undefined,
      tls: { role: 'server', dh: undefined },
    });
  });

  it.each([
    [['tls-client', 'remote a', 'tls-server'], 'specify only one of --tls-server, --tls-client, or --secret'],
    [['tls-client'], 'a tls-client has to know its peer: it is the one that begins'],
    [['tls-server', 'pull', 'remote a'], 'a tls-server without mode server takes no options from its peer'],
  ])('are one end or the other of two equal ones: %j', (lines, message) => {
    const errors = errorsOf(parse([...FILES, ...lines]).findings);
    expect(errors.map((each) => each.message)).toContain(message);
    for (const each of errors) expect(each.advice, each.message).toMatch(/^[A-Z].*\.$/);
  });
});
