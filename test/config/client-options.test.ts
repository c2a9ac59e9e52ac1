import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ClientOptionsContext, clientFileName, parseClientOptions } from '../../src/config/client-options.ts';
import { CLIENT_CLASSES } from '../../src/config/option-row.ts';
import { OPTIONS } from '../../src/config/option-table.ts';
import { type ClientOptions, NO_CLIENT_OPTIONS } from '../../src/config/server-options.ts';
import { OPENVPN_VERSION } from '../../src/version.ts';

const context = (files: Readonly<Record<string, string>> = {}): ClientOptionsContext => ({
  serverIpv6: 'fd00:8::1',
  providers: [],
  readText: (path) => files[path],
});

const parse = (lines: readonly string[], base: ClientOptions = NO_CLIENT_OPTIONS, files = {}) =>
  parseClientOptions(`${lines.join('\n')}\n`, 'ccd/anna', base, context(files));

function good(...lines: readonly string[]): ClientOptions {
  const { options, findings } = parse(lines);
  expect(findings).toEqual([]);
  return options;
}

describe('a file of client-config-dir', () => {
  it.each<[string[], Partial<ClientOptions>]>([
    [
      ['ifconfig-push 10.8.0.77 255.255.255.0'],
      { ifconfig: { local: '10.8.0.77', remoteOrNetmask: '255.255.255.0', alias: undefined } },
    ],
    [
      ['ifconfig-push 10.8.0.77 10.8.0.78 192.0.2.7'],
      { ifconfig: { local: '10.8.0.77', remoteOrNetmask: '10.8.0.78', alias: '192.0.2.7' } },
    ],
    [
      ['ifconfig-ipv6-push fd00:8::77/64'],
      { ifconfigIpv6: { local: 'fd00:8::77', prefixLength: 64, remote: 'fd00:8::1' } },
    ],
    [
      ['ifconfig-ipv6-push fd00:8::77/112 fd00:8::9'],
      { ifconfigIpv6: { local: 'fd00:8::77', prefixLength: 112, remote: 'fd00:8::9' } },
    ],
    [
      ['iroute 10.77.0.0 255.255.255.0', 'iroute 10.78.0.9 255.255.0.0', 'iroute 10.79.0.1', 'iroute 0.0.0.0 0.0.0.0'],
      { iroutes: ['10.77.0.0/24', '10.78.0.0/16', '10.79.0.1/32', '0.0.0.0/0'] },
    ],
    [['iroute-ipv6 fd00:77::/48', 'iroute-ipv6 fd00:78::1'], { iroutes6: ['fd00:77::/48', 'fd00:78::1/128'] }],
    [
      [
        'push-reset',
        'push "route 10.0.0.0 255.0.0.0"',
        'push-remove route-gateway',
        '--push "dhcp-option DNS 10.0.0.1"',
      ],
      {
        push: [
          { type: 'reset' },
          { type: 'add', option: 'route 10.0.0.0 255.0.0.0' },
          { type: 'remove', prefix: 'route-gateway' },
          { type: 'add', option: 'dhcp-option DNS 10.0.0.1' },
        ],
      },
    ],
    [['disable'], { disable: true }],
    [['override-username anna'], { overrideUsername: 'anna' }],
    [['max-routes-per-client 5'], { maxRoutes: 5 }],
    [['ping 5', 'ping-restart 30'], { ping: 5, pingRestart: 30, pingExit: undefined }],
    [['ping-restart 30', 'ping-exit 20'], { pingRestart: undefined, pingExit: 20 }],
    [
      ['inactive 600 1000', 'session-timeout 3600'],
      { inactive: { seconds: 600, bytes: 1000 }, sessionTimeoutSeconds: 3600 },
    ],
    [
      ['cipher aes-256-cbc', 'data-ciphers AES-128-GCM:AES-256-CBC'],
      { cipher: 'AES-256-CBC', dataCiphers: ['AES-128-GCM', 'AES-256-CBC'] },
    ],
    [['ncp-ciphers AES-192-GCM'], { dataCiphers: ['AES-192-GCM'] }],
    [['data-ciphers-fallback AES-128-CBC'], { dataCiphersFallback: 'AES-128-CBC' }],
    [['comp-lzo no'], { compress: { framing: 'comp-lzo', algorithm: 'none', text: 'comp-lzo no' } }],
    [['compress stub-v2'], { compress: { framing: 'stub-v2', algorithm: 'none', text: 'compress stub-v2' } }],
    [['# nothing', '', '; nothing'], {}],
  ])('%j', (lines, expected) => {
    expect(good(...lines)).toEqual({ ...NO_CLIENT_OPTIONS, ...expected });
  });

  it('is laid over what was said before: single values are replaced, lists grow', () => {
    const first = good(
      'ifconfig-push 10.8.0.7 255.255.255.0',
      'iroute 10.7.0.0 255.255.0.0',
      'push "echo a"',
      'ping 5',
    );
    const { options } = parse(
      ['ifconfig-push 10.8.0.9 255.255.255.0', 'iroute 10.9.0.0 255.255.0.0', 'push-reset'],
      first,
    );
    expect(options).toMatchObject({
      ifconfig: { local: '10.8.0.9' },
      iroutes: ['10.7.0.0/16', '10.9.0.0/16'],
      push: [{ type: 'add', option: 'echo a' }, { type: 'reset' }],
      ping: 5,
    });
    // What it was laid over is as it was.
    expect(first.iroutes).toEqual(['10.7.0.0/16']);
    expect(first.push).toHaveLength(1);
  });

  it('tells the IPv6 address again that was taken off the list before', () => {
    expect(good('push-remove ifconfig-ipv6', 'ifconfig-ipv6-push fd00:8::7/64').push).toEqual([]);
    expect(good('ifconfig-ipv6-push fd00:8::7/64', 'push-remove ifconfig-ipv6').push).toHaveLength(1);
    expect(good('push-remove ifconfig', 'ifconfig-push 10.8.0.7 255.255.255.0').push).toHaveLength(1);
  });

  it('may include another file, and goes on when it is not there', () => {
    const files = {
      'groups/staff': 'push "echo staff"\nconfig groups/all\n',
      'groups/all': 'iroute 10.1.0.0 255.255.0.0\n',
    };
    const { options, findings } = parse(['config groups/staff', 'config nothing', 'disable'], NO_CLIENT_OPTIONS, files);
    expect(options).toMatchObject({ disable: true, iroutes: ['10.1.0.0/16'], push: [{ option: 'echo staff' }] });
    expect(findings).toMatchObject([
      {
        severity: 'error',
        origin: { file: 'ccd/anna', line: 2 },
        message: 'In ccd/anna:2: Error opening configuration file: nothing',
      },
    ]);
  });

  it('ends when it includes itself', () => {
    const { options, findings } = parse(['config me', 'disable'], NO_CLIENT_OPTIONS, {
      me: 'push "echo x"\nconfig me\nconfig me\n',
    });
    expect(options.disable).toBe(true);
    expect(options.push.length).toBeLessThanOrEqual(100);
    expect(findings[0]?.message).toContain('Maximum recursive include levels exceeded in include attempt of file me');
  });

  it('never reads options from the terminal', () => {
    const asked: string[] = [];
    const { findings } = parseClientOptions('config stdin\n', 'ccd/anna', NO_CLIENT_OPTIONS, {
      ...context(),
      readText: (path) => {
        asked.push(path);
        return 'disable\n';
      },
    });
    expect(asked).toEqual([]);
    expect(findings).toHaveLength(1);
  });
});

describe('what a file of client-config-dir may not say', () => {
  // The words are those that OpenVPN 2.7.8 logged for the same file, after "Options error: ".
  it.each([
    ['setenv-safe X 1', "option 'setenv-safe' cannot be used in this context (ccd/anna)"],
    ['verb 3', "option 'verb' cannot be used in this context (ccd/anna)"],
    ['keepalive 10 60', "option 'keepalive' cannot be used in this context (ccd/anna)"],
    ['route 1.2.3.4', "option 'route' cannot be used in this context (ccd/anna)"],
    ['explicit-exit-notify 1', "option 'explicit-exit-notify' cannot be used in this context (ccd/anna)"],
    ['sndbuf 1000', "option 'sndbuf' cannot be used in this context (ccd/anna)"],
    ['persist-tun', "option 'persist-tun' cannot be used in this context (ccd/anna)"],
    ['reneg-sec 100', "option 'reneg-sec' cannot be used in this context (ccd/anna)"],
    ['dhcp-option DNS 1.2.3.4', "option 'dhcp-option' cannot be used in this context (ccd/anna)"],
    ['topology net30', "option 'topology' cannot be used in this context (ccd/anna)"],
    ['peer-id 5', "option 'peer-id' cannot be used in this context (ccd/anna)"],
    ['shaper 100', "option 'shaper' cannot be used in this context (ccd/anna)"],
    ['tun-mtu 1400', "option 'tun-mtu' cannot be used in this context (ccd/anna)"],
    ['push-continuation 1', "option 'push-continuation' cannot be used in this context (ccd/anna)"],
    ['client-connect ./x', "option 'client-connect' cannot be used in this context (ccd/anna)"],
    ['up ./x', "option 'up' cannot be used in this context (ccd/anna)"],
    ['setenv A b', "option 'setenv' cannot be used in this context (ccd/anna)"],
    ['nonsense', `Unrecognized option or missing or extra parameter(s) in ccd/anna:1: nonsense (${OPENVPN_VERSION})`],
    [
      'ifconfig-push nonsense',
      `Unrecognized option or missing or extra parameter(s) in ccd/anna:1: ifconfig-push (${OPENVPN_VERSION})`,
    ],
    ['iroute 10.0.0.0 255.0.255.0', 'in --iroute 10.0.0.0 255.0.255.0 : Bad network/subnet specification'],
    ['iroute here', 'in --iroute here  : Bad network/subnet specification'],
    ['iroute-ipv6 here/64', 'in --iroute-ipv6 here/64: Bad IPv6 prefix specification'],
    ['ifconfig-push host-a host-b', 'cannot parse --ifconfig-push addresses'],
    ['ifconfig-push 0.0.0.0 255.255.255.0', 'cannot parse --ifconfig-push addresses'],
    ['ifconfig-ipv6-push fd00::1/200', 'cannot parse --ifconfig-ipv6-push addresses'],
    ['ifconfig-ipv6-push fd00::1/64 nowhere', 'cannot parse --ifconfig-ipv6-push addresses'],
    ['max-routes-per-client 0', 'max-routes-per-client: Must be an integer >= 1, not 0'],
    ['push "a,b"', "PUSH OPTION FAILED (illegal comma (',') in string): 'a,b'"],
    ['<push>\necho a\n</push>', "option 'push' is not expected to be inline (ccd/anna:1)"],
    ['session-timeout abc', "Cannot parse argument 'abc' as non-negative integer"],
    ['data-ciphers NO-SUCH', '--data-ciphers list contains unsupported ciphers or is too long. (NO-SUCH)'],
    ['cipher NO-SUCH', 'Unsupported cipher in --cipher: NO-SUCH'],
    ['compress zip', 'bad comp option: zip'],
    [
      'vlan-pvid 5',
      'the VLAN options (vlan-tagging, vlan-accept, vlan-pvid) are not taken: every client of a TAP server is in one network, and tags pass as they are',
    ],
    ['push "open', 'No closing quotation (") in ccd/anna:1'],
  ])('%s', (line, message) => {
    const { options, findings } = parse([line, 'iroute 10.1.0.0 255.255.0.0']);
    expect(findings[0]).toMatchObject({ severity: 'error', message, origin: { file: 'ccd/anna', line: 1 } });
    expect(findings[0]?.advice).toMatch(/\S/);
    // It is left out, and the rest counts.
    expect(options).toEqual({ ...NO_CLIENT_OPTIONS, iroutes: ['10.1.0.0/16'] });
  });

  it('needs an own address of the server for half an ifconfig-ipv6-push', () => {
    const { options, findings } = parseClientOptions('ifconfig-ipv6-push fd00::7/64\n', 'f', NO_CLIENT_OPTIONS, {
      ...context(),
      serverIpv6: undefined,
    });
    expect(options.ifconfigIpv6).toBeUndefined();
    expect(findings.map((each) => each.message)).toEqual([
      'second argument to --ifconfig-ipv6-push missing and no global --ifconfig-ipv6 address set',
    ]);
  });

  it('refuses the client rather than leave it a name that was to be replaced', () => {
    const { options, findings } = parse(['override-username "a\x1b[31mb"']);
    expect(options).toMatchObject({ disable: true, overrideUsername: undefined });
    expect(findings).toHaveLength(1);
  });

  it('is told where an option has no effect', () => {
    for (const line of [
      'echo hello',
      'socket-flags TCP_NODELAY',
      'auth-token abc',
      'comp-noadapt',
      'providers legacy',
    ]) {
      const { options, findings } = parse([line]);
      expect(options).toEqual(NO_CLIENT_OPTIONS);
      expect(findings, line).toMatchObject([{ severity: 'notice', kind: 'ignored' }]);
    }
  });

  it('may be unknown under setenv opt', () => {
    const { options, findings } = parse(['setenv opt nonsense 1', 'setenv opt push "echo x"']);
    expect(findings).toMatchObject([{ severity: 'warning', kind: 'unknown' }]);
    expect(options.push).toEqual([{ type: 'add', option: 'echo x' }]);
  });

  it('never comes as an exception, and never carries control characters into a log', () => {
    const word = fc.oneof(
      fc.constantFrom(...[...OPTIONS.keys()].filter((each) => each !== 'help'), '10.0.0.1', 'fd00::/64', '"', '<push>'),
      fc.string({ maxLength: 12 }),
    );
    const line = fc.array(word, { maxLength: 5 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), (lines) => {
        const { findings } = parse(lines, NO_CLIENT_OPTIONS, { x: lines.join('\n') });
        for (const each of findings) expect(`${each.message}${each.option}`).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
      }),
    );
  });

  it('is decided by the classes that the option table has', () => {
    for (const row of OPTIONS.values()) {
      const allowed = row.classes.some((each) => CLIENT_CLASSES.includes(each));
      if (row.contexts.includes('ccd')) expect(allowed, row.name).toBe(true);
      const words = Array.from({ length: row.minWords }, () => '1').join(' ');
      const { findings } = parse([`${row.name} ${words}`]);
      const refusal = `option '${row.name}' cannot be used in this context (ccd/anna)`;
      expect(
        findings.some((each) => each.message === refusal),
        row.name,
      ).toBe(!allowed);
    }
  });
});

describe('the file that belongs to a common name', () => {
  it.each([
    ['anna', 'anna'],
    ['Anna Müller', 'Anna Müller'],
    ['anna@example.com', 'anna@example.com'],
    ['.hidden', '.hidden'],
    ['a\\b', 'a\\b'],
    ['../../etc/shadow', '.._.._etc_shadow'],
    ['/etc/passwd', '_etc_passwd'],
    ['a/../b', 'a_.._b'],
    ['anna\0', 'anna_'],
    ['a\nb\tc\x7f', 'a_b_c_'],
    ['..\0', '.._'],
    ['.', undefined],
    ['..', undefined],
    ['', undefined],
  ])('%j: %j', (commonName, file) => {
    expect(clientFileName(commonName)).toBe(file);
  });

  it('is never a path that leaves the directory', () => {
    const nasty = fc.array(fc.constantFrom('.', '/', '\0', 'a', '\n'), { maxLength: 8 }).map((list) => list.join(''));
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string()), (commonName) => {
        const file = clientFileName(commonName);
        if (file === undefined) return;
        expect(file).not.toMatch(/[/\0]/);
        expect(['', '.', '..']).not.toContain(file);
      }),
    );
  });
});
