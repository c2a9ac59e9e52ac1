import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Config, Finding } from '../../src/config/config.ts';
import { optionsErrorText } from '../../src/config/findings.ts';
import { parseConfig } from '../../src/config/parse.ts';

const CLIENT = ['client', 'remote vpn.example.com', 'ca ca.crt', 'auth-user-pass'];

function parse(lines: readonly string[], files: Readonly<Record<string, string>> = {}) {
  return parseConfig({ text: `${lines.join('\n')}\n`, file: 'x.conf' }, { readText: (path) => files[path] });
}

function good(...lines: readonly string[]): Config {
  const { config, findings } = parse([...CLIENT, ...lines]);
  if (config === undefined) throw new Error(JSON.stringify(findings, undefined, 1));
  return config;
}

const errors = (findings: readonly Finding[]) => findings.filter((each) => each.severity === 'error');

describe('defaults of a client', () => {
  const config = good();

  it('are those of OpenVPN 2.7', () => {
    expect(config).toMatchObject({
      mode: 'p2p',
      pull: true,
      device: { name: 'tun', type: 'tun' },
      auth: 'SHA1',
      cipher: undefined,
      dataCiphers: ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'],
      resolvRetrySeconds: 'infinite',
      replayWindow: { packets: 64, seconds: 15 },
      authRetry: 'none',
      allowCompression: 'no',
      tls: { role: 'client', timeoutSeconds: 2, handWindowSeconds: 60, tranWindowSeconds: 3600, renegSeconds: 3600 },
      process: { verb: 1, mute: 0, persistKey: true, persistTun: false },
      scripts: { security: 1 },
    });
    expect(config.connections).toEqual([
      expect.objectContaining({
        remote: 'vpn.example.com',
        remotePort: '1194',
        proto: { transport: 'udp', family: undefined },
        bindLocal: false,
        connectRetrySeconds: 1,
        connectRetryMaxSeconds: 300,
        connectTimeoutSeconds: 120,
        tunMtuBytes: 1500,
        tunMtuMaxBytes: 1600,
        maxControlPacketBytes: 1250,
        mssFix: undefined,
        explicitExitNotify: 0,
      }),
    ]);
  });

  it('say nothing of silence themselves: the limit depends on the transport', () => {
    expect(config.tunnel.pingRestart).toBeUndefined();
    expect(good('ping-exit 30').tunnel).toMatchObject({ pingExit: 30, pingRestart: undefined });
    expect(good('ping-restart 0').tunnel.pingRestart).toBe(0);
  });
});

describe('options that depend on others', () => {
  it('bind the local port only where it was asked for', () => {
    expect(good('lport 4000').connections[0]).toMatchObject({ bindLocal: true, localPort: '4000' });
    expect(good('bind').connections[0]?.bindLocal).toBe(true);
    expect(good('local 192.0.2.1').connections[0]).toMatchObject({ bindLocal: true, localHost: '192.0.2.1' });
    expect(good('lport 0').connections[0]?.bindLocal).toBe(false);
  });

  it('give tcp a role by who this is', () => {
    expect(good('proto tcp').connections[0]?.proto.transport).toBe('tcp-client');
    expect(good('proto tcp6').connections[0]?.proto).toEqual({ transport: 'tcp-client', family: 6 });
  });

  it('let the protocol of a remote win over proto, wherever it stands', () => {
    const config = parse([
      'proto tcp',
      'remote a 1 udp6',
      'remote b',
      ...CLIENT.slice(0, 1),
      ...CLIENT.slice(2),
      'port 5000',
    ]).config;
    expect(
      config?.connections.map((each) => [each.remote, each.remotePort, each.proto.transport, each.proto.family]),
    ).toEqual([
      ['a', '1', 'udp', 6],
      ['b', '5000', 'tcp-client', undefined],
    ]);
  });

  it('take only the remotes of a forced protocol', () => {
    const config = good('remote b 443 tcp', 'proto-force tcp');
    expect(config.connections.map((each) => each.remote)).toEqual(['b']);
    expect(errors(parse([...CLIENT, 'proto-force tcp']).findings)).toHaveLength(1);
  });

  it('adjust mssfix to fragment and to another tun-mtu', () => {
    expect(good('fragment 1200').connections[0]?.mssFix).toEqual({ bytes: 1200, mode: 'mtu' });
    expect(good('tun-mtu 1400').connections[0]?.mssFix).toEqual({ bytes: 1400, mode: 'fixed' });
    expect(good('mssfix 0').connections[0]?.mssFix).toEqual({ bytes: 0, mode: 'payload' });
    expect(good('mssfix 1400 mtu').connections[0]?.mssFix).toEqual({ bytes: 1400, mode: 'mtu' });
    expect(good('max-packet-size 1000').connections[0]).toMatchObject({
      maxControlPacketBytes: 1000,
      mssFix: { bytes: 1000, mode: 'mtu' },
    });
  });

  it('leave ping-exit and ping-restart to the later line', () => {
    expect(good('ping-restart 10', 'ping-exit 20').tunnel).toMatchObject({ pingExit: 20, pingRestart: undefined });
    expect(good('ping-exit 20', 'ping-restart 10').tunnel).toMatchObject({ pingExit: undefined, pingRestart: 10 });
  });

  it('put the cipher on the list for old peers where compat-mode asks for it', () => {
    expect(good('compat-mode 2.4.0', 'cipher AES-256-CBC').dataCiphers).toContain('AES-256-CBC');
    expect(good('cipher AES-256-CBC').dataCiphers).not.toContain('AES-256-CBC');
  });

  it('take BF-CBC only with the legacy provider', () => {
    const list = 'data-ciphers AES-256-GCM:BF-CBC';
    expect(errors(parse([...CLIENT, list]).findings)).toMatchObject([
      { option: 'data-ciphers', origin: { line: 5 }, advice: expect.stringContaining('providers legacy default') },
    ]);
    expect(good(list, 'providers legacy default').dataCiphers).toEqual(['AES-256-GCM', 'BF-CBC']);
    expect(errors(parse([...CLIENT, 'data-ciphers-fallback bf-cbc']).findings)).toHaveLength(1);
  });

  it('write cipher names as OpenVPN does, whatever their case', () => {
    expect(good('data-ciphers aes-256-gcm:DEFAULT').dataCiphers).toEqual([
      'AES-256-GCM',
      'AES-128-GCM',
      'CHACHA20-POLY1305',
    ]);
  });

  it('give an inline tls-auth its direction from key-direction, before or after', () => {
    const block = ['<tls-auth>', 'K', '</tls-auth>'];
    expect(good('key-direction 1', ...block).connections[0]?.wrap).toMatchObject({
      direction: 1,
      source: { text: 'K\n' },
    });
    expect(good(...block, 'key-direction 0').connections[0]?.wrap).toMatchObject({ direction: 0 });
    expect(good(...block).connections[0]?.wrap).toMatchObject({ direction: undefined });
    expect(good('tls-auth ta.key 1').connections[0]?.wrap).toMatchObject({
      direction: 1,
      source: { kind: 'file', path: 'ta.key', origin: { file: 'x.conf', line: 5 } },
    });
  });

  it('ask for a password where no file is named', () => {
    expect(good().authUserPass).toEqual({ source: undefined, usernameOnly: false });
    expect(good('auth-user-pass stdin').authUserPass?.source).toBeUndefined();
    expect(good('auth-user-pass username-only').authUserPass?.usernameOnly).toBe(true);
    expect(good('<auth-user-pass>', 'u', 'p', '</auth-user-pass>').authUserPass?.source).toMatchObject({
      text: 'u\np\n',
    });
  });

  it('make no option of a name that JavaScript knows', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(errors(parse([...CLIENT, name]).findings)).toMatchObject([{ kind: 'unknown', option: name }]);
    }
  });
});

describe('the command line', () => {
  const host = { readText: (path: string) => (path === 'a.conf' ? `${CLIENT.join('\n')}\n` : undefined) };

  it('takes a lone word for the file', () => {
    expect(parseConfig({ argv: ['a.conf'] }, host).config?.connections[0]?.remote).toBe('vpn.example.com');
  });

  it('adds to a file what stands before and after it', () => {
    const { config } = parseConfig({ argv: ['--verb', '4', '--config', 'a.conf', '--dev', 'tun3', '--nobind'] }, host);
    expect(config).toMatchObject({ process: { verb: 4 }, device: { name: 'tun3' } });
    expect(config?.lines.map((line) => line.origin.file)).toEqual([
      '[CMD-LINE]',
      '[CMD-LINE]',
      'a.conf',
      'a.conf',
      'a.conf',
      'a.conf',
      '[CMD-LINE]',
      '[CMD-LINE]',
    ]);
  });

  it('finds the file from the directory of an earlier cd', () => {
    const seen: string[] = [];
    const read = (path: string) => {
      seen.push(path);
      return undefined;
    };
    parseConfig({ argv: ['--cd', '/etc/openvpn', '--cd', 'client', '--config', 'x.conf'] }, { readText: read });
    parseConfig({ argv: ['--config', '/abs/x.conf'] }, { readText: read });
    parseConfig({ argv: ['--config', 'stdin'] }, { readText: read });
    expect(seen).toEqual(['/etc/openvpn/client/x.conf', '/abs/x.conf', 'stdin']);
  });

  it('says that a word in the wrong place is no option', () => {
    const { findings } = parseConfig({ argv: ['verb', '--config', 'a.conf'] }, host);
    expect(errors(findings)[0]?.message).toBe(
      `I'm trying to parse "verb" as an --option parameter but I don't see a leading '--'`,
    );
  });

  it('counts everything as line 1 in the words that users know', () => {
    const { findings } = parseConfig({ argv: ['--config', 'a.conf', '--frobnicate'] }, host);
    expect(errors(findings)[0]).toMatchObject({
      message: 'Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: frobnicate (2.7.8)',
      origin: { file: '[CMD-LINE]', line: 3 },
    });
  });

  it('is wrong when it is empty', () => {
    expect(parseConfig({ argv: [] }, host)).toMatchObject({ config: undefined, findings: [{ severity: 'error' }] });
  });

  it('takes what NetworkManager writes', () => {
    const argv =
      '--remote vpn.example.com 443 udp --nobind --dev tun --cipher AES-256-CBC --auth-nocache --verify-x509-name vpn.example.com name --reneg-sec 0 --verb 1 --syslog nm-openvpn --tun-mtu 1360 --script-security 2 --up-restart --persist-key --persist-tun --management SOCKET unix --management-client-user root --management-client-group root --management-query-passwords --auth-retry interact --route-noexec --ifconfig-noexec --client --auth-user-pass --ca FILE --user nm-openvpn --group nm-openvpn'.split(
        ' ',
      );
    argv.push(
      '--up',
      'HELPER --debug 0 25779 --bus-name org.freedesktop.NetworkManager.openvpn.Connection_82 --tun --',
    );
    const { findings } = parseConfig({ argv }, host);
    expect(errors(findings)).toEqual([]);
    const { config } = parseConfig({ argv }, host);
    expect(config).toMatchObject({
      pull: true,
      authNocache: true,
      authRetry: 'interact',
      routeNoexec: true,
      ifconfigNoexec: true,
      tls: { renegSeconds: 0, verifyX509Name: { name: 'vpn.example.com', type: 'name' } },
      scripts: {
        security: 2,
        upRestart: true,
        up: [
          'HELPER',
          '--debug',
          '0',
          '25779',
          '--bus-name',
          'org.freedesktop.NetworkManager.openvpn.Connection_82',
          '--tun',
          '--',
        ],
      },
      process: { user: 'nm-openvpn', group: 'nm-openvpn', syslog: { name: 'nm-openvpn' }, persistTun: true },
    });
  });
});

describe('files inside files', () => {
  it('are read in place', () => {
    const { config } = parse([...CLIENT, 'config more.conf', 'verb 5'], { 'more.conf': 'verb 4\ndev tun9\n' });
    expect(config).toMatchObject({ process: { verb: 5 }, device: { name: 'tun9' } });
    expect(config?.lines.find((line) => line.option === 'dev')?.origin).toEqual({ file: 'more.conf', line: 2 });
  });

  it('end after ten levels', () => {
    const { findings } = parse([...CLIENT, 'config x.conf'], { 'x.conf': 'config x.conf\n' });
    expect(errors(findings)).toMatchObject([
      {
        message: expect.stringContaining('Maximum recursive include levels exceeded in include attempt of file x.conf'),
      },
    ]);
  });

  it('are ten at most, the first one counted', () => {
    const chain = (length: number) => {
      const readText = (path: string) =>
        path === `f${length}` ? `${CLIENT.join('\n')}\n` : `config f${Number(path.slice(1)) + 1}\n`;
      return parseConfig({ argv: ['f1'] }, { readText }).config;
    };
    expect(chain(10)?.pull).toBe(true);
    expect(chain(11)).toBeUndefined();
  });

  it('end even if each of them includes many', () => {
    let reads = 0;
    const readText = () => {
      reads++;
      return 'config x\n'.repeat(20);
    };
    parseConfig({ text: 'config x\n', file: 'x' }, { readText });
    expect(reads).toBeLessThanOrEqual(1000);
  });

  it('give the reason when they cannot be read', () => {
    const readText = () => {
      throw new Error('Permission denied');
    };
    const { findings } = parseConfig({ text: 'client\nconfig secret.conf\n', file: 'x' }, { readText });
    expect(errors(findings)[0]?.message).toBe(
      'In x:2: Error opening configuration file: secret.conf: Permission denied',
    );
  });
});

describe('errors', () => {
  it('are all reported, each with its line, in the words that users know', () => {
    const { config, findings } = parse([...CLIENT, 'nobindd', 'verb 1 2', 'dev tun', 'proto sctp', 'keepalive 10 11']);
    expect(config).toBeUndefined();
    expect(errors(findings).map((each) => [each.origin.line, each.message])).toEqual([
      [5, 'Unrecognized option or missing or extra parameter(s) in x.conf:5: nobindd (2.7.8)'],
      [6, 'Unrecognized option or missing or extra parameter(s) in x.conf:6: verb (2.7.8)'],
      [8, expect.stringMatching(/^Bad protocol: 'sctp'\. Allowed protocols with --proto option: /)],
      [9, expect.stringContaining('(restart timeout=11) must be at least twice')],
    ]);
    expect(errors(findings)[0]?.advice).toBe('Did you mean nobind?');
    expect(errors(findings)[1]?.advice).toBe('Its form is: verb n');
  });

  it('are logged with their place, once', () => {
    const [unknown, later] = parse([...CLIENT, 'nobindd', 'pkcs11-id-management']).findings;
    expect(unknown && optionsErrorText(unknown)).toBe(
      'Options error: Unrecognized option or missing or extra parameter(s) in x.conf:5: nobindd (2.7.8)',
    );
    expect(later && optionsErrorText(later)).toMatch(/^Options error: .* \(x\.conf:6\)$/);
  });

  it('always say what to do', () => {
    const bad = [
      'secret k',
      'plugin x',
      'tls-remote a',
      'dh',
      'route',
      'port x/y',
      'ifconfig a b',
      'dev a/b',
      'tls-auth k 7',
      'mtu-disc x',
    ];
    for (const line of bad) {
      for (const each of errors(parse([...CLIENT, line]).findings)) {
        expect(each.advice, each.message).toMatch(/^[A-Z]/);
      }
    }
  });

  it('never carry control characters out of the profile', () => {
    const { findings } = parse([...CLIENT, 'verb \x1b[31m', 'x\x07y', 'proto \x1b]0;t\x07', 'dev \x9bx']);
    expect(errors(findings).length).toBeGreaterThanOrEqual(4);
    for (const each of findings)
      expect(`${each.message}${each.option}${each.advice}`).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
  });

  it('never come as an exception, whatever the profile says', () => {
    const word = fc.constantFrom(
      'remote',
      'route',
      'dns',
      'server',
      '1',
      '-1',
      '10.0.0.1',
      'fd00::1/64',
      '"',
      '<ca>',
      '</ca>',
      '<connection>',
      '</connection>',
      'client',
      'setenv',
      'opt',
      'x',
      '99999999999999999999',
      'config',
      'tls-auth',
      'peer-fingerprint',
      'keepalive',
      'local',
    );
    const line = fc.array(word, { maxLength: 6 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const { config, findings } = parse(lines, { x: lines.join('\n') });
        return (config === undefined) === findings.some((each) => each.severity === 'error');
      }),
      { numRuns: 300 },
    );
  });
});

describe('the parser is lenient', () => {
  it('about lines under setenv opt, and reads those that it knows', () => {
    const config = good('setenv opt verb 4', 'setenv opt not-known 1');
    expect(config.process.verb).toBe(4);
  });

  it('about names in ignore-unknown-option, from there on', () => {
    expect(parse([...CLIENT, 'ignore-unknown-option --new-one', 'new-one 1']).config).toBeDefined();
    expect(parse([...CLIENT, 'new-one 1', 'ignore-unknown-option new-one']).config).toBeUndefined();
  });

  it('but not about an option that it knows and cannot obey', () => {
    expect(parse([...CLIENT, 'setenv opt secret k']).config).toBeUndefined();
    expect(parse([...CLIENT, 'setenv FORWARD_COMPATIBLE 1', 'pkcs11-id-management']).config).toBeUndefined();
  });
});
