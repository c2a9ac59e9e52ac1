// What OpenVPN 2.7 calls deprecated, or 2.8 takes away: each is told once in the log, with what to write instead.

import { describe, expect, it } from 'vitest';
import { warningsOf } from '../../src/config/findings.ts';
import { OPTIONS } from '../../src/config/option-table.ts';
import { parseConfig } from '../../src/config/parse.ts';

const CLIENT = 'client\nremote vpn.example.com\nca ca.crt\nremote-cert-tls server\n';
const SERVER = 'dev tun\nca ca.crt\ncert a\nkey b\ntls-server\nmode server\n';

function warnings(lines: string, base = CLIENT): readonly string[] {
  return warningsOf(parseConfig({ text: `${base}${lines}\n`, file: 'x' }, { readText: () => undefined }).findings);
}

describe('a deprecated option is told once, with what to write instead', () => {
  const since = (name: string, version: string): string => `DEPRECATED OPTION: --${name} (since OpenVPN ${version})`;
  it.each([
    ['persist-key', `${since('persist-key', '2.7')} has no effect`, 'Leave it out'],
    ['fast-io', `${since('fast-io', '2.7')} has no effect`, 'Leave it out.'],
    ['opt-verify', `${since('opt-verify', '2.7')} has no effect`, 'Leave it out.'],
    ['max-routes 100', `${since('max-routes', '2.4')} has no effect`, 'Leave it out.'],
    ['tun-ipv6', `${since('tun-ipv6', '2.4')} has no effect`, 'Leave it out.'],
    ['http-proxy-retry', `${since('http-proxy-retry', '2.4')} has no effect`, 'Write server-poll-timeout'],
    ['socks-proxy-retry', `${since('socks-proxy-retry', '2.4')} has no effect`, 'Write server-poll-timeout'],
    ['http-proxy-timeout 5', `${since('http-proxy-timeout', '2.4')} has no effect`, 'Write server-poll-timeout'],
    ['prng SHA1', `${since('prng', '2.6')} has no effect`, 'Leave it out.'],
    ['ecdh-curve secp384r1', `${since('ecdh-curve', '2.6')} has no effect`, 'Write tls-groups.'],
    ['comp-lzo', since('comp-lzo', '2.4'), 'Remove it on both sides.'],
    ['comp-noadapt', since('comp-noadapt', '2.4'), 'Leave it out.'],
    ['compress lz4', since('compress', '2.6'), 'Remove it on both sides.'],
    ['link-mtu 1400', since('link-mtu', '2.6'), 'Write tun-mtu or mssfix.'],
    ['udp-mtu 1400', since('udp-mtu', '2.0'), 'Write tun-mtu or mssfix.'],
    ['ncp-ciphers AES-256-GCM', since('ncp-ciphers', '2.5'), 'Write data-ciphers.'],
    ['ns-cert-type server', since('ns-cert-type', '2.4'), 'Write remote-cert-tls.'],
    [`verify-hash ${'aa:'.repeat(19)}aa`, since('verify-hash', '2.6'), 'Write peer-fingerprint'],
    ['disable-occ', since('disable-occ', '2.6'), 'Leave it out'],
    [
      'allow-compression yes',
      'DEPRECATED OPTION: "--allow-compression yes" has been removed.',
      'Write allow-compression asym',
    ],
    [
      'cipher AES-128-CBC',
      "DEPRECATED OPTION: --cipher set to 'AES-128-CBC' but missing in --data-ciphers",
      'Remove the line',
    ],
    [
      'providers legacy default\ndata-ciphers AES-256-GCM:BF-CBC',
      'WARNING: INSECURE cipher (BF-CBC) with block size less than 128 bit (64 bit).',
      'Have the other end use AES-256-GCM.',
    ],
    [
      'providers legacy default\ndata-ciphers-fallback DES-EDE3-CBC',
      'WARNING: INSECURE cipher (DES-EDE3-CBC)',
      'Have the other end use AES-256-GCM.',
    ],
  ])('%s', (line, words, instead) => {
    const told = warnings(`${line}\n${line}`).filter((each) => each.includes(words));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(instead);
  });

  it('at a server: tcp-nodelay, and a pool of topology net30', () => {
    const told = warnings('server 10.8.0.0 255.255.255.0\ntopology net30\ntcp-nodelay\ntcp-nodelay', SERVER);
    expect(told.filter((each) => each.startsWith(since('tcp-nodelay', '2.7')))).toHaveLength(1);
    expect(
      told.filter((each) => /--topology net30 support .* will be removed .* Write topology subnet/.test(each)),
    ).toHaveLength(1);
  });

  it('says nothing of the kind where none of them is used', () => {
    expect(warnings('cipher AES-256-GCM')).toEqual([]);
  });
});

it('every row that is deprecated and taken says so in the log', () => {
  const deprecated = [...OPTIONS.values()].filter(
    ({ deprecated: since, status }) => since !== undefined && status.kind !== 'refused',
  );
  expect(deprecated.length).toBeGreaterThan(20);
  for (const { name, minWords, side, contexts } of deprecated) {
    const line = `${name} ${Array.from({ length: minWords }, () => '1').join(' ')}`;
    const base = side === 'server' ? `${SERVER}server 10.8.0.0 255.255.255.0\n` : CLIENT;
    const told = warnings(line, base).filter((each) => each.startsWith(`DEPRECATED OPTION: --${name} (`));
    expect([name, told.length, contexts.length >= 0]).toEqual([name, 1, true]);
  }
});

it.each([
  ['secret a.key', 'static-key mode has no key exchange'],
  ['no-replay', '--no-replay was removed in OpenVPN 2.7.'],
  ['tls-remote a', "the name of the peer's certificate would not be checked"],
])('%s is refused, with what to write instead', (line, words) => {
  const { config, findings } = parseConfig({ text: `${CLIENT}${line}\n`, file: 'x' }, { readText: () => undefined });
  expect(config).toBeUndefined();
  const [error] = findings.filter(({ severity }) => severity === 'error');
  expect(error?.message).toContain(words);
  expect(error?.advice).toMatch(/^(Write|Remove|Set up) /);
});
