// The same small configurations before the real program and before ours: what OpenVPN accepts we accept, what it refuses
// we refuse, and where we differ on purpose the table says why.
//
// The real program is stopped right after its option checks: `management-hold` keeps it from doing anything, the title
// line in its log says that the options were accepted.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPTIONS, parseConfig } from '../../src/config.ts';
import { peerProgram } from '../lab/requirements.ts';

interface Case {
  readonly name: string;
  readonly text: string;
  /** Why our verdict is another one, on purpose. */
  readonly differs?: string;
  /** Why this version of the real program has another verdict than 2.7.8. */
  readonly only27?: string;
}

const CLIENT = 'client\ndev null\nremote 127.0.0.1 1194\nca ca.crt\nauth-user-pass login.txt\n';
const with_ = (...lines: readonly string[]): string => `${CLIENT}${lines.join('\n')}\n`;
const without = (option: string, ...lines: readonly string[]): string =>
  with_(...lines)
    .split('\n')
    .filter((line) => line.split(' ')[0] !== option)
    .join('\n');

const CASES: readonly Case[] = [
  { name: 'a plain client', text: CLIENT },
  { name: 'an unknown option', text: with_('no-such-option') },
  { name: 'too many words', text: with_('nobind please') },
  { name: 'too few words', text: with_('reneg-sec') },
  { name: 'an unknown option under setenv opt', text: with_('setenv opt no-such-option 1 2') },
  { name: 'an unknown option under FORWARD_COMPATIBLE', text: with_('setenv FORWARD_COMPATIBLE 1', 'no-such-option') },
  { name: 'FORWARD_COMPATIBLE too late', text: with_('no-such-option', 'setenv FORWARD_COMPATIBLE 1') },
  { name: 'ignore-unknown-option', text: with_('ignore-unknown-option a-b --c-d', 'a-b 1', 'c-d') },
  { name: 'an unclosed quotation', text: with_('setenv AB "b') },
  { name: 'an unclosed single quotation', text: with_("setenv AB 'b") },
  { name: 'a bad backslash', text: with_('setenv AB c:\\temp') },
  { name: 'a quoted comment sign', text: with_('setenv AB "b # c"') },
  { name: 'quotation marks inside a word', text: with_('setenv AB b"c"') },
  { name: 'dashes before an option in a file', text: with_('--nobind') },
  { name: 'CRLF at the ends of lines', text: CLIENT.replaceAll('\n', '\r\n') },
  { name: 'a byte order mark', text: `\ufeff${CLIENT}` },
  { name: 'a line of 254 characters', text: with_(`setenv AB ${'x'.repeat(244)}`) },
  { name: 'a line of 255 characters', text: with_(`setenv AB ${'x'.repeat(245)}`) },
  { name: 'a line of 600 characters', text: with_(`setenv AB ${'x'.repeat(590)}`) },
  { name: 'an inline certificate', text: without('ca', '<ca>', 'text', '</ca>') },
  { name: 'an inline block without an end', text: without('ca', '<ca>', 'text') },
  { name: 'an inline block of an option that has none', text: with_('<verb>', '3', '</verb>') },
  {
    name: 'a connection block',
    text: without('remote', '<connection>', 'remote 127.0.0.1 1194 udp', 'nobind', '</connection>'),
  },
  { name: 'a connection block without remote', text: with_('<connection>', 'nobind', '</connection>') },
  {
    name: 'a foreign option in a connection block',
    text: with_('<connection>', 'remote a', 'verb 3', '</connection>'),
  },
  { name: 'a file that includes itself', text: with_('config itself.conf') },
  { name: 'an included file that is not there', text: with_('config nothing.conf') },
  { name: 'no ca', text: without('ca') },
  { name: 'no login and no certificate', text: without('auth-user-pass') },
  { name: 'cert without key', text: with_('cert own.crt') },
  { name: 'cert and key', text: without('auth-user-pass', 'cert own.crt', 'key own.key') },
  { name: 'pkcs12 with cert', text: with_('pkcs12 own.p12', 'cert own.crt', 'key own.key') },
  { name: 'pkcs12', text: without('ca', 'pkcs12 own.p12') },
  { name: 'peer-fingerprint without ca', text: without('ca', `peer-fingerprint ${Array(32).fill('AB').join(':')}`) },
  { name: 'peer-fingerprint that is too short', text: with_(`peer-fingerprint ${Array(20).fill('AB').join(':')}`) },
  {
    name: 'auth-user-pass without pull',
    text: 'dev null\ntls-client\nremote 127.0.0.1\nca ca.crt\ncert own.crt\nkey own.key\nauth-user-pass login.txt\n',
  },
  { name: 'nobind with lport', text: with_('nobind', 'lport 4000') },
  { name: 'nobind with bind', text: with_('nobind', 'bind') },
  { name: 'nobind with local', text: with_('nobind', 'local 127.0.0.1') },
  { name: 'fragment over TCP', text: with_('proto tcp-client', 'fragment 1300') },
  { name: 'fragment over UDP', text: with_('fragment 1300') },
  { name: 'fragment in mtu mode', text: with_('fragment 1300 mtu') },
  { name: 'fragment that is too small', text: with_('fragment 10') },
  { name: 'explicit-exit-notify over TCP', text: with_('proto tcp', 'explicit-exit-notify 2') },
  { name: 'an unknown protocol', text: with_('proto sctp') },
  { name: 'an unknown protocol of a remote', text: with_('remote b 1194 sctp') },
  { name: 'tun-mtu with link-mtu', text: with_('tun-mtu 1400', 'link-mtu 1500') },
  { name: 'tun-mtu of 99', text: with_('tun-mtu 99'), only27: '2.6 takes any MTU' },
  { name: 'mssfix that is too small', text: with_('mssfix 100'), only27: '2.6 has no lower limit' },
  { name: 'a number that is none', text: with_('hand-window soon'), only27: '2.6 reads it as 0' },
  { name: 'verb that is none', text: with_('resolv-retry never'), only27: '2.6 reads it as 0' },
  { name: 'keepalive', text: with_('keepalive 10 60') },
  { name: 'keepalive with too short a timeout', text: with_('keepalive 10 15') },
  { name: 'keepalive beside ping', text: with_('keepalive 10 60', 'ping 10') },
  { name: 'ping of a year', text: with_('ping 31536000'), only27: '2.6 has no upper limit' },
  { name: 'data-ciphers with an unknown cipher', text: with_('data-ciphers AES-256-GCM:WHATEVER') },
  { name: 'data-ciphers with an unknown optional cipher', text: with_('data-ciphers AES-256-GCM:?WHATEVER') },
  {
    name: 'data-ciphers with DEFAULT',
    text: with_('data-ciphers DEFAULT:AES-256-CBC'),
    only27: 'DEFAULT came with 2.7',
  },
  { name: 'ncp-ciphers', text: with_('ncp-ciphers AES-128-GCM') },
  { name: 'cipher BF-CBC', text: with_('cipher BF-CBC') },
  { name: 'AES-256-CBC with comp-lzo', text: with_('cipher AES-256-CBC', 'comp-lzo') },
  { name: 'comp-lzo maybe', text: with_('comp-lzo maybe') },
  { name: 'compress with an unknown algorithm', text: with_('compress zstd') },
  { name: 'allow-compression no with comp-lzo', text: with_('allow-compression no', 'comp-lzo') },
  { name: 'allow-compression asym with comp-lzo', text: with_('allow-compression asym', 'comp-lzo') },
  { name: 'allow-compression asym after no', text: with_('allow-compression no', 'allow-compression asym') },
  { name: 'tls-version-min above tls-version-max', text: with_('tls-version-min 1.3', 'tls-version-max 1.2') },
  { name: 'an unknown TLS version', text: with_('tls-version-min 1.4') },
  { name: 'an unknown TLS version or the highest', text: with_('tls-version-min 1.4 or-highest') },
  { name: 'tls-auth with tls-crypt', text: with_('tls-auth ta.key 1', 'tls-crypt ta.key') },
  { name: 'tls-auth with a direction', text: with_('tls-auth ta.key 1') },
  { name: 'tls-auth with a wrong direction', text: with_('tls-auth ta.key 2') },
  { name: 'key-direction of 3', text: with_('key-direction 3') },
  { name: 'tls-crypt-v2 with tls-auth', text: with_('tls-crypt-v2 ta.key', 'tls-auth ta.key') },
  { name: 'remote-cert-tls of neither side', text: with_('remote-cert-tls peer') },
  { name: 'verify-x509-name of an unknown type', text: with_('verify-x509-name a wildcard') },
  { name: 'ns-cert-type', text: with_('ns-cert-type server') },
  { name: 'replay-window', text: with_('replay-window 128 30') },
  { name: 'replay-window without numbers', text: with_('replay-window') },
  { name: 'replay-window that is too wide', text: with_('replay-window 100000') },
  { name: 'script-security 4', text: with_('script-security 4'), only27: '2.6 takes any number' },
  { name: 'a script with arguments outside quotation marks', text: with_('script-security 2', 'up ./up.sh one') },
  { name: 'a script with arguments inside quotation marks', text: with_('script-security 2', 'up "./up.sh one"') },
  { name: 'redirect-gateway with flags', text: with_('redirect-gateway def1 ipv6 !ipv4 bypass-dhcp') },
  { name: 'redirect-gateway with an unknown flag', text: with_('redirect-gateway def2') },
  { name: 'pull-filter of an unknown kind', text: with_('pull-filter drop route') },
  { name: 'remap-usr1 to another signal', text: with_('remap-usr1 SIGKILL') },
  { name: 'topology of an unknown kind', text: with_('topology ring') },
  { name: 'ifconfig with names', text: with_('ifconfig host-a host-b') },
  { name: 'ifconfig with equal addresses', text: with_('ifconfig 10.8.0.1 10.8.0.1') },
  { name: 'dns without an address', text: with_('dns server 1 dnssec yes') },
  { name: 'dns', text: with_('dns server 1 address 10.8.0.1:53 fd00::1', 'dns search-domains a.example') },
  { name: 'dhcp-option', text: with_('dhcp-option DNS 10.8.0.1', 'dhcp-option DOMAIN a.example') },
  { name: 'a generic configuration', text: with_('setenv GENERIC_CONFIG 1') },
  { name: 'options that were removed long ago', text: with_('no-iv') },
  { name: 'compat-names', text: with_('compat-names') },
  { name: 'tls-remote', text: with_('tls-remote a') },
  {
    name: 'fast-io, persist-key, max-routes, tun-ipv6',
    text: with_('fast-io', 'persist-key', 'max-routes 100', 'tun-ipv6'),
  },
  { name: 'http-proxy-retry', text: with_('http-proxy-retry') },
  { name: 'push outside a server', text: with_('iroute 10.0.0.0 255.0.0.0') },
  { name: 'push-continuation in a profile', text: with_('push-continuation 1') },
  {
    name: 'no TLS at all',
    text: 'dev null\nremote 127.0.0.1\n',
    only27: '2.6 falls back to clear text with a warning',
  },
  { name: 'tls-client with tls-server', text: with_('tls-server') },
  { name: 'no-replay', text: with_('no-replay'), only27: '2.6 only warns' },

  {
    name: 'keysize',
    text: with_('keysize 256'),
    differs: 'profiles and NetworkManager carry it, and it means nothing',
  },
  { name: 'ncp-disable', text: with_('ncp-disable'), differs: 'profiles and NetworkManager carry it' },
  { name: 'key-method 2', text: with_('key-method 2'), differs: 'profiles carry it, and it is the only method' },
  { name: 'a Windows option', text: with_('block-outside-dns'), differs: 'a profile for all systems must not fail' },
  { name: 'route-method', text: with_('route-method exe') },
  { name: 'a proxy', text: with_('proto tcp-client', 'http-proxy 127.0.0.1 8080'), differs: 'not yet' },
  { name: 'static-challenge', text: with_('static-challenge Code 1') },
  {
    name: 'a port that cannot be',
    text: with_('port 99999'),
    differs: 'found when the profile is read, not when it connects',
  },
];

const dir = mkdtempSync(join(tmpdir(), 'sallyport-verdicts-'));

beforeAll(async () => {
  for (const name of ['ca.crt', 'own.crt', 'own.key', 'own.p12', 'ta.key'])
    writeFileSync(join(dir, name), 'x\n', { mode: 0o600 });
  writeFileSync(join(dir, 'login.txt'), 'user\npassword\n', { mode: 0o600 });
  writeFileSync(join(dir, 'itself.conf'), 'config itself.conf\n');
  writeFileSync(join(dir, 'up.sh'), '#!/bin/sh\n');
  chmodSync(join(dir, 'up.sh'), 0o755);
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function ourVerdict(text: string): boolean {
  const host = { readText: (path: string) => (path === 'itself.conf' ? 'config itself.conf\n' : undefined) };
  return parseConfig({ text, file: 'case.conf' }, host).config !== undefined;
}

// Accepted: the title line is in the log. Refused: it ends before.
function realVerdict(command: string, text: string, index: number): Promise<{ accepted: boolean; log: string }> {
  const file = join(dir, `case-${index}.conf`);
  writeFileSync(file, text, { encoding: 'utf8' });
  const socket = join(dir, `m${index}.sock`);
  const argv = ['--cd', dir, '--config', file, '--management', socket, 'unix', '--management-hold', '--verb', '1'];
  return new Promise((resolve, reject) => {
    // On hold it would wait for ever, also for a test run that was killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    const deadline = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`no verdict from ${command} within 20 s:\n${log}`));
    }, 20_000);
    const heard = (chunk: Buffer): void => {
      log += chunk.toString();
      if (/\bOpenVPN 2\.\d+\.\d+ .*\[SSL/.test(log)) child.kill('SIGKILL');
    };
    child.stdout.on('data', heard);
    child.stderr.on('data', heard);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(deadline);
      resolve({ accepted: /\bOpenVPN 2\.\d+\.\d+ .*\[SSL/.test(log), log });
    });
  });
}

const isThere = (command: string): boolean =>
  spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;

describe('verdicts on configurations', () => {
  for (const version of ['2.6', '2.7'] as const) {
    const command = peerProgram(version);
    const there = isThere(command);
    if (!there) console.warn(`skipped: openvpn ${version} is not on this machine (scripts/peers.sh fetches it)`);
    it.skipIf(!there)(
      `are those of OpenVPN ${version}, but for the differences that are meant`,
      async () => {
        const wrong: string[] = [];
        for (const [index, each] of CASES.entries()) {
          const real = await realVerdict(command, each.text, index);
          const ours = ourVerdict(each.text);
          if (each.differs !== undefined) {
            if (real.accepted === ours && version === '2.7')
              wrong.push(`${each.name}: there is no difference any more`);
          } else if (real.accepted !== ours && (each.only27 === undefined || version === '2.7')) {
            const last = real.log.trim().split('\n').slice(-3).join(' / ');
            wrong.push(
              `${each.name}: openvpn ${version} ${real.accepted ? 'accepts' : 'refuses'} it, we do not (${last})`,
            );
          }
        }
        expect(wrong).toEqual([]);
      },
      120_000,
    );
    it.skipIf(!there)(`know every option that the help of OpenVPN ${version} names`, () => {
      const { stdout } = spawnSync(command, ['--help'], { encoding: 'utf8' });
      const named = [...stdout.matchAll(/^--([a-z0-9][a-z0-9-]+)/gm)].map((match) => match[1] ?? '');
      expect(named.length).toBeGreaterThan(200);
      expect([...new Set(named)].filter((name) => !OPTIONS.has(name))).toEqual([]);
    });
  }
});
