import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkMaterial } from '../../src/check-material.ts';
import { checkProfile } from '../../src/config.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-check-material-'));
const now = Date.now() / 1000;
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
  const put = (name: string, path: string) => copyFileSync(path, join(dir, name));
  put('ca.crt', pki.ca.cert);
  put('own.crt', pki.client.cert);
  put('own.key', pki.client.key);
  put('other.key', pki.server.key);
  put('expired.crt', pki.expired.cert);
  put('expired.key', pki.expired.key);
  put('early.crt', pki.notYetValid.cert);
  put('early.key', pki.notYetValid.key);
  put('locked.key', pki.encryptedKey);
  put('own.p12', pki.pkcs12);
  put('crl.pem', pki.crl);
  put('old-crl.pem', pki.expiredCrl);
  writeFileSync(join(dir, 'password'), `${pki.password}\n`);
  writeFileSync(join(dir, 'wrong-password'), 'wrong\n');
  writeFileSync(join(dir, 'empty'), '');
  writeFileSync(join(dir, 'damaged.crt'), readFileSync(pki.client.cert, 'utf8').replace(/[A-Za-z]{20}/, '-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CLIENT = ['client', 'remote a', 'remote-cert-tls server'];
const SERVER = ['dev tun', 'server 10.8.0.0 255.255.255.0', 'dh none'];
const OWN = ['ca ca.crt', 'cert own.crt', 'key own.key'];
async function look(lines: readonly string[], nowUnix = now) {
  const text = `${lines.join('\n')}\n`;
  const { config } = checkProfile({ text, file: 'a.ovpn' }, { readText: () => undefined });
  const findings = await checkMaterial(config, dir, nowUnix);
  return findings.map(
    ({ severity, origin, option, message }) => `${severity} ${origin.file}:${origin.line} ${option}: ${message}`,
  );
}

const staticKey = (): string =>
  `-----BEGIN OpenVPN Static key V1-----\n${'0123456789abcdef0123456789abcdef\n'.repeat(16)}-----END OpenVPN Static key V1-----\n`;

describe('what is in the files of a profile', () => {
  it.each([
    [[...CLIENT, ...OWN, 'crl-verify crl.pem', 'tls-crypt good.key']],
    [[...SERVER, ...OWN, 'crl-verify crl.pem', 'tls-auth good.key 0', 'tls-version-min 1.2']],
    [[...CLIENT, 'ca ca.crt', 'cert own.crt', 'key locked.key', 'askpass password']],
    [[...CLIENT, 'ca ca.crt', 'auth-user-pass']],
  ])('is in order: %j', async (lines) => {
    writeFileSync(join(dir, 'good.key'), staticKey());
    expect(await look(lines)).toEqual([]);
  });

  it.each([
    ['ca empty', /^error a.ovpn:4 ca: Cannot load CA certificate file empty: /],
    ['ca own.key', /^error a.ovpn:4 ca: Cannot load CA certificate file own.key: /],
  ])('is no authority: %s', async (line, said) => {
    expect((await look([...CLIENT, line]))[0]).toMatch(said);
  });

  it.each([
    [['cert damaged.crt', 'key own.key'], /^error a.ovpn:5 cert: Cannot load certificate file damaged.crt: /],
    [['cert own.crt', 'key other.key'], /^error a.ovpn:6 key: Private key does not match the certificate own.crt$/],
    [['cert own.crt', 'key own.crt'], /^error a.ovpn:6 key: Cannot load private key file own.crt: /],
    [['cert expired.crt', 'key expired.key'], /^error a.ovpn:5 cert: the certificate has expired on /],
    [['cert early.crt', 'key early.key'], /^warning a.ovpn:5 cert: the certificate is not yet valid/],
    [['cert own.crt', 'key locked.key', 'askpass wrong-password'], /^error a.ovpn:6 key: .*wrong passphrase$/],
    [
      ['cert own.crt', 'key own.key', 'crl-verify old-crl.pem'],
      /^error a.ovpn:7 crl-verify: the revocation list has expired on /,
    ],
    [
      ['cert own.crt', 'key own.key', 'crl-verify ca.crt'],
      /^error a.ovpn:7 crl-verify: CRL: cannot read CRL from file ca.crt: /,
    ],
    [
      ['cert own.crt', 'key own.key', 'extra-certs empty'],
      /^error a.ovpn:7 extra-certs: Cannot load extra-certs file: empty: /,
    ],
    [['cert own.crt', 'key own.key', 'tls-crypt empty'], /^error a.ovpn:7 tls-crypt: file 'empty' can't be used: /],
    [['cert own.crt', 'key own.key', 'tls-auth own.key 1'], /^error a.ovpn:7 tls-auth: file 'own.key' can't be used: /],
    [
      ['cert own.crt', 'key own.key', 'tls-crypt-v2 own.key'],
      /^error a.ovpn:7 tls-crypt-v2: file 'own.key' can't be used: /,
    ],
    [['pkcs12 own.crt'], /^error a.ovpn:5 pkcs12: Error reading PKCS#12 file own.crt: /],
  ])('is told with file and line: %j', async (lines, said) => {
    const found = await look([...CLIENT, 'ca ca.crt', ...lines]);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(said);
  });

  it('is told of all at once, blocks in the profile too', async () => {
    const lines = [
      ...CLIENT,
      'ca empty',
      'cert expired.crt',
      'key other.key',
      '<tls-crypt>',
      'x',
      '</tls-crypt>',
      'crl-verify old-crl.pem',
    ];
    expect((await look(lines)).map((line) => line.split(': ')[0])).toEqual([
      'error a.ovpn:4 ca',
      'error a.ovpn:5 cert',
      'error a.ovpn:10 crl-verify',
      'error a.ovpn:7 tls-crypt',
    ]);
  });

  it('ends: what has less than a month left is a warning, what has ended an error', async () => {
    const end = Date.parse('2050-01-01') / 1000;
    expect((await look([...CLIENT, ...OWN], end)).map((line) => line.slice(0, line.indexOf(':', 8) + 6))).toEqual([
      'error a.ovpn:4 ca:',
      'error a.ovpn:5 cer',
    ]);
  });

  it('asks nobody for a passphrase, and lets what is locked be', async () => {
    expect(await look([...CLIENT, 'ca ca.crt', 'cert own.crt', 'key locked.key'])).toEqual([]);
    expect(await look([...CLIENT, 'ca ca.crt', 'pkcs12 own.p12'])).toEqual([]);
    expect(await look([...CLIENT, 'ca ca.crt', 'pkcs12 own.p12', 'askpass password'])).toEqual([]);
  });

  it('is not told of where the file is not there: that is told elsewhere', async () => {
    expect(await look([...CLIENT, 'ca gone', 'cert gone', 'key gone', 'crl-verify gone', 'tls-crypt gone'])).toEqual(
      [],
    );
    expect(await look([...CLIENT, 'ca /dev/zero'])).toEqual([]);
  });

  it('is the key of tokens and of tls-crypt-v2 at a server', async () => {
    const lines = [...SERVER, ...OWN, 'tls-crypt-v2 own.key', 'auth-gen-token', 'auth-gen-token-secret own.key'];
    const found = await look([...lines]);
    expect(found[0]).toMatch(/^error a.ovpn:7 tls-crypt-v2: file 'own.key' can't be used: /);
    expect(found[1]).toMatch(
      /^error a.ovpn:9 auth-gen-token-secret: there is no -----BEGIN OpenVPN auth-token server key/,
    );
  });
});
