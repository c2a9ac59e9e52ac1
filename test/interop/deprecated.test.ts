// One profile with everything that OpenVPN 2.7 has a word about because it is old, before the real program and before ours.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { run } from '../lab/process.ts';
import { clientCommand, labSuite, peerProgram } from '../lab/requirements.ts';

/** The line, what 2.7 says of it, what ours says of it, and what to write instead. */
const OLD: readonly (readonly [line: string, theirs: RegExp, ours: RegExp, instead: string])[] = [
  ['persist-key', /--persist-key option ignored/, /--persist-key \(since/, 'Leave it out'],
  ['fast-io', /--fast-io option ignored/, /--fast-io \(since/, 'Leave it out.'],
  ['opt-verify', /--opt-verify was removed/, /--opt-verify \(since/, 'Leave it out.'],
  ['max-routes 100', /--max-routes option ignored/, /--max-routes \(since/, 'Leave it out.'],
  ['tun-ipv6', /option tun-ipv6 is ignored/, /--tun-ipv6 \(since/, 'Leave it out.'],
  ['http-proxy-retry', /http-proxy-retry option ignored/, /--http-proxy-retry \(since/, 'Write server-poll-timeout'],
  ['socks-proxy-retry', /socks-proxy-retry option ignored/, /--socks-proxy-retry \(since/, 'Write server-poll-timeout'],
  ['http-proxy-timeout 5', /http-proxy-timeout option ignored/, /--http-proxy-timeout \(/, 'Write server-poll-timeout'],
  ['prng SHA1', /--prng option ignored/, /--prng \(since/, 'Leave it out.'],
  ['ecdh-curve secp384r1', /instead of forcing a specific curve/, /--ecdh-curve \(since/, 'Write tls-groups.'],
  ['comp-lzo', /Compression support is deprecated/, /--comp-lzo \(since/, 'Remove it on both sides.'],
  ['ncp-ciphers AES-256-GCM', /renamed in OpenVPN 2.5/, /--ncp-ciphers \(since/, 'Write data-ciphers.'],
  ['ns-cert-type server', /--ns-cert-type is DEPRECATED/, /--ns-cert-type \(since/, 'Write remote-cert-tls.'],
  ['allow-compression yes', /"--allow-compression yes"/, /"--allow-compression yes"/, 'Write allow-compression asym'],
  ['cipher AES-128-CBC', /--cipher set to 'AES-128-CBC'/, /--cipher set to 'AES-128-CBC'/, 'Remove the line'],
  [
    'tls-cipher ECDHE-RSA-AES256-GCM-SHA384',
    /Deprecated TLS cipher name/,
    /Deprecated TLS cipher name/,
    "please use IANA name 'TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384'",
  ],
];

const folder = mkdtempSync(join(tmpdir(), 'sallyport-deprecated-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

labSuite('what is deprecated', () => {
  it('is told by both, and by ours once, with what to write instead', async () => {
    writeFileSync(join(folder, 'login'), 'name\npassword\n', { mode: 0o600 });
    const lines = OLD.map(([line]) => line);
    const profile = [
      'client\ndev null\nremote 127.0.0.1 9 udp\nnobind\nconnect-retry-max 1\nserver-poll-timeout 1',
      `peer-fingerprint ${Array.from({ length: 32 }, () => '5A').join(':')}`,
      'auth-user-pass login\nauth-nocache\nremote-cert-tls server',
      ...lines,
      // Nobody is told twice.
      ...lines,
    ];
    writeFileSync(join(folder, 'old.ovpn'), `${profile.join('\n')}\n`);
    const tell = async (program: readonly string[]): Promise<readonly string[]> =>
      (await run([...program, '--config', 'old.ovpn'], { cwd: folder, anyCode: true })).stdout.split('\n');
    const [theirs, mine] = [await tell([peerProgram('2.7')]), await tell(clientCommand())];
    for (const [line, their, our, instead] of OLD) {
      expect(theirs.filter((each) => their.test(each)).length, `2.7: ${line}`).toBeGreaterThan(0);
      const told = mine.filter((each) => our.test(each));
      expect(told, line).toHaveLength(1);
      expect(told[0], line).toContain(instead);
    }
  });
});
