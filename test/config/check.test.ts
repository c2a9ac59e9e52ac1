import { describe, expect, it } from 'vitest';
import { checkProfile } from '../../src/config/check.ts';

const SAFE = [
  'client',
  'remote vpn.example.com',
  'ca ca.crt',
  'remote-cert-tls server',
  'auth-user-pass',
  'auth-nocache',
];

const check = (...lines: readonly string[]) =>
  checkProfile({ text: `${[...SAFE, ...lines].join('\n')}\n`, file: 'x' }, { readText: () => undefined }).findings;

describe('a profile under inspection', () => {
  it('has nothing to be said about it when it is in order', () => {
    expect(check()).toEqual([]);
  });

  it.each([
    ['auth none', 'warning'],
    ['auth MD5', 'warning'],
    ['cipher BF-CBC', 'warning'],
    ['cipher none', 'warning'],
    ['data-ciphers-fallback none', 'warning'],
    ['providers legacy default', 'warning'],
    ['tls-version-min 1.0', 'warning'],
    ['tls-version-max 1.2', 'notice'],
    ['tls-cipher DEFAULT:@SECLEVEL=0', 'warning'],
    ['tls-cert-profile insecure', 'warning'],
    ['script-security 3', 'warning'],
    ['allow-compression asym', 'warning'],
    ['comp-lzo', 'warning'],
    ['compress lz4', 'warning'],
    ['reneg-sec 0', 'notice'],
    ['management 127.0.0.1 7505', 'warning'],
    ['tls-auth ta.key', 'notice'],
    ['duplicate-cn', 'notice'],
    ['metrics 0.0.0.0:9100', 'warning'],
    ['metrics [2001:db8::1]:9100', 'warning'],
  ])('is told that %j is unsafe, why, and what to write instead', (line, severity) => {
    const unsafe = check(line).filter((each) => each.kind === 'unsafe');
    expect(unsafe).toMatchObject([{ severity, origin: { file: 'x', line: 7 }, option: line.split(' ')[0] }]);
    expect(unsafe[0]?.advice?.length).toBeGreaterThan(10);
  });

  it.each([
    'auth SHA256',
    'cipher AES-256-GCM',
    'tls-version-min 1.2',
    'tls-version-max 1.3',
    'script-security 2',
    'comp-lzo no',
    'compress stub-v2',
    'reneg-sec 3600',
    'management /run/m unix',
    'tls-auth ta.key 1',
    'metrics 9100',
    'metrics 127.0.0.1:9100',
    'metrics [::1]:9100',
    'tls-cipher TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384',
  ])('is not troubled about %j', (line) => {
    expect(check(line).filter((each) => each.kind === 'unsafe')).toEqual([]);
  });

  it('is told when any client could pose as the server', () => {
    const text = 'remote a\nclient\nca ca.crt\nauth-user-pass\nauth-nocache\n';
    const { findings } = checkProfile({ text, file: 'x' }, { readText: () => undefined });
    expect(findings).toMatchObject([
      { kind: 'unsafe', option: 'client', origin: { line: 2 }, advice: 'Write remote-cert-tls server.' },
    ]);
    for (const line of [
      'verify-x509-name a name',
      'remote-cert-eku x',
      'ns-cert-type server',
      `verify-hash ${Array(20).fill('aa').join(':')}`,
    ]) {
      const more = checkProfile({ text: `${text}${line}\n`, file: 'x' }, { readText: () => undefined });
      expect(more.findings.filter((each) => each.kind === 'unsafe')).toEqual([]);
    }
  });

  it('is told about a password that stands in it, without showing it', () => {
    const findings = check('<auth-user-pass>', 'me', 'hunter2', '</auth-user-pass>');
    expect(findings).toMatchObject([{ kind: 'unsafe', origin: { line: 7 } }]);
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });

  it.each([
    [['redirect-gateway def1', 'only-its-networks'], 'redirect-gateway'],
    [['only-its-networks', 'redirect-gateway'], 'redirect-gateway'],
    [['block-ipv6-leak yes', 'route-noexec'], 'block-ipv6-leak'],
    [['block-ipv6-leak no', 'route-noexec'], undefined],
    [['only-its-networks', 'route 10.20.0.0 255.255.0.0'], undefined],
  ])('is told of %j that one line takes the effect of another', (lines, option) => {
    const found = check(...lines).filter((each) => each.severity === 'warning');
    expect(found.map((each) => [each.kind, each.option])).toEqual(option === undefined ? [] : [['ignored', option]]);
  });

  it('hears of everything in the order of the lines', () => {
    const findings = check('comp-lzo', 'frobnicate', 'fast-io', 'auth none', 'proto sctp');
    expect(findings.map((each) => each.origin.line)).toEqual([7, 7, 8, 9, 10, 11]);
    expect(findings.map((each) => each.kind)).toEqual([
      'deprecated',
      'unsafe',
      'unknown',
      'ignored',
      'unsafe',
      'invalid',
    ]);
  });

  it('hears of what has no effect, even where that is no matter', () => {
    expect(check('persist-key')).toMatchObject([{ severity: 'notice', kind: 'ignored', option: 'persist-key' }]);
  });
});
