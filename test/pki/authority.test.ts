import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWorkbench, serialIn, type Workbench } from './workbench.ts';

const DAY = 86_400;
let bench: Workbench;

beforeEach(() => {
  bench = openWorkbench();
});
afterEach(() => bench.remove());

const mode = (...parts: readonly string[]): string => (statSync(bench.path(...parts)).mode & 0o777).toString(8);
const text = (...parts: readonly string[]): string =>
  bench.openssl('x509', '-in', bench.path(...parts), '-noout', '-text');

describe('sallyport pki init', () => {
  it('makes an authority that openssl takes strictly, with an empty revocation list', async () => {
    await bench.start();
    const ca = text('pki', 'ca.crt');
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE/);
    expect(ca).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    expect(ca).toContain('prime256v1');
    const crl = bench.openssl('crl', '-in', 'pki/crl.pem', '-noout', '-text', '-CAfile', 'pki/ca.crt');
    expect(crl).toContain('No Revoked Certificates');
    expect(crl).toMatch(/CRL Number:\s+1\b/);
    expect(bench.read('pki', 'crl.pem')).toContain('-----BEGIN X509 CRL-----');
  });

  it('lets nobody else read keys, nor look into the folder', async () => {
    await bench.start('alice');
    for (const folder of [['pki'], ['pki', 'private']]) expect(mode(...folder)).toBe('700');
    for (const key of ['ca', 'vpn.example.org', 'alice']) expect(mode('pki', 'private', `${key}.key`)).toBe('600');
    expect([mode('pki', 'tls-crypt-v2-server.key'), mode('alice.ovpn')]).toEqual(['600', '600']);
  });

  it('leaves an authority that is there alone', async () => {
    await bench.start();
    const before = bench.read('pki', 'ca.crt');
    const { code, err } = await bench.pki('init');
    expect(code).toBe(1);
    expect(err).toContain('there is an authority in');
    expect(bench.read('pki', 'ca.crt')).toBe(before);
  });

  it('goes on with the key of an init that was interrupted', async () => {
    await bench.start();
    const key = bench.read('pki', 'private', 'ca.key');
    rmSync(bench.path('pki', 'ca.crt'));
    expect(await bench.pki('init')).toMatchObject({ code: 0, err: expect.stringContaining('it is used') });
    expect(bench.read('pki', 'private', 'ca.key')).toBe(key);
    expect(verifyKey('pki/ca.crt', 'pki/private/ca.key')).toBe(true);
  });

  it('protects the key with a passphrase, which every later command asks for', async () => {
    bench.answers = ['correct horse', 'correct horse'];
    expect(await bench.pki('init', '--ask-pass', '--remote', 'h')).toMatchObject({ code: 0 });
    expect(bench.read('pki', 'private', 'ca.key')).toContain('ENCRYPTED PRIVATE KEY');
    bench.openssl('pkey', '-in', 'pki/private/ca.key', '-passin', 'pass:correct horse', '-noout');
    bench.answers = ['wrong'];
    expect(await bench.pki('server', 's')).toMatchObject({ code: 1, err: expect.stringContaining('does not open') });
    bench.answers = ['correct horse'];
    expect(await bench.pki('server', 's')).toMatchObject({ code: 0 });
    writeFileSync(bench.path('pass'), 'correct horse\n');
    expect(await bench.pki('client', 'alice', '--pass-file', 'pass')).toMatchObject({ code: 0 });
    expect(await bench.pki('list')).toMatchObject({ code: 0 });
  });

  it('makes nothing when the passphrase is not given twice alike', async () => {
    bench.answers = ['correct horse', 'correct hoarse'];
    expect(await bench.pki('init', '--ask-pass')).toMatchObject({ code: 1, err: expect.stringContaining('differ') });
    expect(existsSync(bench.path('pki', 'private', 'ca.key'))).toBe(false);
  });
});

function verifyKey(certificate: string, key: string): boolean {
  return (
    bench.openssl('x509', '-in', certificate, '-noout', '-pubkey') === bench.openssl('pkey', '-in', key, '-pubout')
  );
}

describe('a certificate', () => {
  it('of a server is one for servers only', async () => {
    await bench.start();
    expect(bench.verify('pki/issued/vpn.example.org.crt', 'sslserver')).toContain('OK');
    expect(() => bench.verify('pki/issued/vpn.example.org.crt', 'sslclient')).toThrow();
    const facts = text('pki', 'issued', 'vpn.example.org.crt');
    expect(facts).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(facts).toMatch(/Key Usage: critical\s+Digital Signature, Key Agreement/);
    expect(facts).toContain('TLS Web Server Authentication');
    expect(facts).toContain('DNS:vpn.example.org');
    expect(facts).toContain('Subject Key Identifier');
    expect(facts).toContain('Authority Key Identifier');
  });

  it('of a client is one for clients only', async () => {
    await bench.start('alice');
    expect(bench.verify('pki/issued/alice.crt', 'sslclient')).toContain('OK');
    expect(() => bench.verify('pki/issued/alice.crt', 'sslserver')).toThrow();
    const facts = text('pki', 'issued', 'alice.crt');
    expect(facts).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(facts).not.toContain('Subject Alternative Name');
  });

  it('has a random serial of 128 bits that the index has, too', async () => {
    await bench.start('alice', 'bob');
    const serials = ['alice', 'bob'].map((name) =>
      bench.openssl('x509', '-in', `pki/issued/${name}.crt`, '-noout', '-serial').trim().replace('serial=', ''),
    );
    expect(new Set(serials).size).toBe(2);
    for (const serial of serials) {
      expect(serial).toMatch(/^[0-9A-F]{32}$/);
      expect(bench.read('pki', 'index.txt')).toContain(`\t${serial}\tunknown\t`);
      expect(existsSync(bench.path('pki', 'certs_by_serial', `${serial}.pem`))).toBe(true);
    }
  });

  it('has an RSA key on request, and key usages that go with it', async () => {
    expect(await bench.pki('init', '--rsa', '2048', '--remote', 'h')).toMatchObject({ code: 0 });
    expect(await bench.pki('server', 's')).toMatchObject({ code: 0 });
    expect(await bench.pki('client', 'alice', '--ec')).toMatchObject({ code: 0 });
    expect(text('pki', 'issued', 's.crt')).toMatch(
      /Public-Key: \(2048 bit\)[\s\S]*Digital Signature, Key Encipherment/,
    );
    expect(text('pki', 'issued', 'alice.crt')).toContain('prime256v1');
    expect(bench.verify('pki/issued/s.crt') + bench.verify('pki/issued/alice.crt')).toMatch(/OK[\s\S]*OK/);
  });

  it('takes alternative names', async () => {
    await bench.start();
    const { code } = await bench.pki('server', 'b', '--san', 'ip:203.0.113.5', '--san', 'dns:b.example.org');
    expect(code).toBe(0);
    expect(text('pki', 'issued', 'b.crt')).toContain('DNS:b, IP Address:203.0.113.5, DNS:b.example.org');
  });

  it('ends with its authority at the latest', async () => {
    expect(await bench.pki('init', '--days', '10', '--remote', 'h')).toMatchObject({ code: 0 });
    const { err } = await bench.pki('server', 's');
    expect(err).toContain('ends with the authority');
    expect(bench.verify('pki/issued/s.crt')).toContain('OK');
  });

  it('is not made twice for a name, nor for one that differs by case', async () => {
    await bench.start('alice');
    const index = bench.read('pki', 'index.txt');
    const again = await bench.pki('client', 'alice', '--force');
    expect(again).toMatchObject({ code: 1, err: expect.stringContaining('alice has a certificate already') });
    expect(await bench.pki('client', 'ALICE')).toMatchObject({ code: 1, err: expect.stringContaining('case') });
    expect(bench.read('pki', 'index.txt')).toBe(index);
  });
});

describe('sallyport pki client', () => {
  it('writes a profile with everything inline', async () => {
    await bench.start('alice');
    const profile = bench.read('alice.ovpn');
    for (const line of [
      'remote vpn.example.org 1195',
      'proto tcp',
      'remote-cert-tls server',
      'verify-x509-name vpn.example.org name',
    ]) {
      expect(profile.split('\n')).toContain(line);
    }
    for (const block of ['ca', 'cert', 'key', 'tls-crypt-v2']) expect(profile).toContain(`<${block}>\n-----BEGIN`);
  });

  it('gives every profile a tls-crypt-v2 key of its own', async () => {
    await bench.start('alice', 'bob');
    const keys = ['alice', 'bob'].map(
      (name) => /<tls-crypt-v2>([\s\S]*)<\/tls-crypt-v2>/.exec(bench.read(`${name}.ovpn`))?.[1],
    );
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('makes nothing when it does not know where the server is', async () => {
    expect(await bench.pki('init')).toMatchObject({ code: 0 });
    const { code, err } = await bench.pki('client', 'alice');
    expect(code).toBe(1);
    expect(err).toContain('Add --remote HOST[:PORT]');
    expect(bench.read('pki', 'index.txt')).toBe('');
    expect(await bench.pki('client', 'alice', '--remote', '[2001:db8::1]:443')).toMatchObject({ code: 0 });
    expect(bench.read('alice.ovpn')).toContain('remote 2001:db8::1 443\n');
    expect(await bench.pki('client', 'bob')).toMatchObject({ code: 0 });
    expect(bench.read('bob.ovpn')).toContain('remote 2001:db8::1 443\n');
  });

  it('does not overwrite a profile unasked, and writes one again when asked', async () => {
    await bench.start();
    writeFileSync(bench.path('alice.ovpn'), 'mine');
    expect(await bench.pki('client', 'alice')).toMatchObject({ code: 1, err: expect.stringContaining('--force') });
    expect(bench.read('alice.ovpn')).toBe('mine');
    expect(bench.read('pki', 'index.txt')).not.toContain('alice');
    expect(await bench.pki('client', 'alice', '--force')).toMatchObject({ code: 0 });
    expect(await bench.pki('client', 'alice', '--profile-only', '--out', 'again.ovpn')).toMatchObject({ code: 0 });
    expect(bench.read('again.ovpn')).toContain('<cert>');
    expect(await bench.pki('client', 'vpn.example.org', '--profile-only')).toMatchObject({ code: 1 });
  });

  const badRemotes = ['', 'a b', 'host:0', 'host:65536', 'host:x', '[::1', 'ho\nst', '-x', 'a..b', '2001:db8::zz'];
  it.each(badRemotes)('refuses %j as a remote', async (remote) => {
    expect(await bench.pki('init', `--remote=${remote}`)).toMatchObject({ code: 1 });
    expect(existsSync(bench.path('pki', 'ca.crt'))).toBe(false);
  });
});

describe('sallyport pki revoke', () => {
  it('puts the certificate on the list, for openssl as well', async () => {
    await bench.start('alice', 'bob');
    const { code, out } = await bench.pki('revoke', 'alice', '--reason', 'keycompromise');
    expect(code).toBe(0);
    const serial = serialIn(out);
    expect(() => bench.verify(`pki/revoked/certs_by_serial/${serial}.crt`)).toThrow('certificate revoked');
    expect(bench.verify('pki/issued/bob.crt')).toContain('OK');
    const crl = bench.openssl('crl', '-in', 'pki/crl.pem', '-noout', '-text', '-CAfile', 'pki/ca.crt');
    expect(crl).toMatch(new RegExp(`Serial Number: ${serial}[\\s\\S]*Key Compromise`));
    expect(crl).toMatch(/CRL Number:\s+2\b/);
    expect(bench.read('pki', 'index.txt')).toMatch(new RegExp(`^R\\t\\d+Z\\t\\d+Z,keyCompromise\\t${serial}\\t`, 'm'));
    expect(existsSync(bench.path('pki', 'private', 'alice.key'))).toBe(false);
    expect(existsSync(bench.path('pki', 'revoked', 'private_by_serial', `${serial}.key`))).toBe(true);
  });

  it('frees the name', async () => {
    await bench.start('alice');
    await bench.pki('revoke', 'alice');
    expect(await bench.pki('client', 'alice', '--force')).toMatchObject({ code: 0 });
    expect(bench.verify('pki/issued/alice.crt')).toContain('OK');
  });

  it('revokes what was superseded and is still good, too', async () => {
    await bench.start('alice');
    await bench.pki('renew', 'alice', '--force');
    const { out } = await bench.pki('revoke', 'alice');
    expect(out.match(/is revoked/g)).toHaveLength(2);
    expect(bench.read('pki', 'index.txt')).not.toMatch(/^V.*CN=alice$/m);
  });

  it('given again brings a list up to date that a crash left behind', async () => {
    await bench.start('alice');
    const before = bench.read('pki', 'crl.pem');
    await bench.pki('revoke', 'alice');
    writeFileSync(bench.path('pki', 'crl.pem'), before);
    expect((await bench.pki('list')).out).toContain('alice is revoked, but crl.pem does not say so');
    expect(await bench.pki('revoke', 'alice')).toMatchObject({ code: 0 });
    expect((await bench.pki('list')).out).not.toContain('warning');
  });

  it('refuses what is not the name of a certificate', async () => {
    await bench.start('alice');
    const index = bench.read('pki', 'index.txt');
    for (const name of ['nobody', '../alice', '', '.', 'private/ca']) {
      expect(await bench.pki('revoke', name), name).toMatchObject({ code: 1 });
    }
    expect(bench.read('pki', 'index.txt')).toBe(index);
  });

  it('refuses a reason that is none', async () => {
    await bench.start('alice');
    expect(await bench.pki('revoke', 'alice', '--reason', 'boredom')).toMatchObject({ code: 1 });
    expect(bench.read('pki', 'index.txt')).not.toMatch(/^R/m);
  });
});

describe('sallyport pki renew', () => {
  it('makes a successor with a new key; the old certificate stays good', async () => {
    await bench.start('alice');
    const key = bench.read('pki', 'private', 'alice.key');
    const old = bench.read('pki', 'issued', 'alice.crt');
    bench.nowUnix += 100 * DAY;
    const { code, out } = await bench.pki('renew', 'alice', '--force');
    expect(code).toBe(0);
    expect(bench.read('pki', 'private', 'alice.key')).not.toBe(key);
    expect(verifyKey('pki/issued/alice.crt', 'pki/private/alice.key')).toBe(true);
    expect(bench.read('alice.ovpn')).toContain(bench.read('pki', 'issued', 'alice.crt'));
    writeFileSync(bench.path('old.crt'), old);
    expect(bench.verify('old.crt')).toContain('OK');
    expect((await bench.pki('list')).out).toMatch(/alice .*superseded\nalice .*valid\n/);
    expect(serialIn(out)).toMatch(/^[0-9A-F]{32}$/);
  });

  it('keeps the key when asked, subject, role and alternative names always', async () => {
    await bench.start();
    const key = bench.read('pki', 'private', 'vpn.example.org.key');
    expect(await bench.pki('renew', 'vpn.example.org', '--same-key')).toMatchObject({ code: 0 });
    expect(bench.read('pki', 'private', 'vpn.example.org.key')).toBe(key);
    expect(verifyKey('pki/issued/vpn.example.org.crt', 'pki/private/vpn.example.org.key')).toBe(true);
    expect(bench.verify('pki/issued/vpn.example.org.crt', 'sslserver')).toContain('OK');
    expect(text('pki', 'issued', 'vpn.example.org.crt')).toContain('DNS:vpn.example.org');
  });

  it('ends the old certificate at once when asked', async () => {
    await bench.start('alice');
    writeFileSync(bench.path('old.crt'), bench.read('pki', 'issued', 'alice.crt'));
    expect(await bench.pki('renew', 'alice', '--revoke-old', '--force')).toMatchObject({ code: 0 });
    expect(() => bench.verify('old.crt')).toThrow('certificate revoked');
    expect(bench.verify('pki/issued/alice.crt')).toContain('OK');
    expect(bench.read('pki', 'index.txt')).toMatch(/,superseded\t/);
  });

  it('does not bring back what is revoked', async () => {
    await bench.start('alice');
    await bench.pki('revoke', 'alice');
    const { code, err } = await bench.pki('renew', 'alice', '--force');
    expect(code).toBe(1);
    expect(err).toContain('the certificate of alice is revoked');
    expect(err).toContain('a new one under this name: sallyport pki client alice --force');
    expect(await bench.pki('client', 'alice', '--force')).toMatchObject({ code: 0 });
  });

  it('is finished by the next command when it was interrupted between index and files', async () => {
    await bench.start('alice');
    const oldKey = bench.read('pki', 'private', 'alice.key');
    const oldCertificate = bench.read('pki', 'issued', 'alice.crt');
    await bench.pki('renew', 'alice', '--force');
    const newKey = bench.read('pki', 'private', 'alice.key');
    // As it was after the index had been written: the new key waits, the old files are in their place.
    renameSync(bench.path('pki', 'private', 'alice.key'), bench.path('pki', 'private', '.alice.next'));
    writeFileSync(bench.path('pki', 'private', 'alice.key'), oldKey);
    writeFileSync(bench.path('pki', 'issued', 'alice.crt'), oldCertificate);
    expect(await bench.pki('client', 'alice', '--profile-only', '--force')).toMatchObject({ code: 0 });
    expect(bench.read('pki', 'private', 'alice.key')).toBe(newKey);
    expect(verifyKey('pki/issued/alice.crt', 'pki/private/alice.key')).toBe(true);
  });
});

describe('sallyport pki list', () => {
  it('shows name, role, serial, expiry and state', async () => {
    await bench.start('alice');
    const { code, out } = await bench.pki('list');
    expect(code).toBe(0);
    expect(out).toMatch(/^name +role +serial +expires +state\n/m);
    expect(out).toMatch(/^vpn\.example\.org +server +[0-9A-F]{32} +\d{4}-\d\d-\d\d +valid\n/m);
    expect(out).toMatch(/^alice +client +[0-9A-F]{32} +\d{4}-\d\d-\d\d +valid\n/m);
    expect(out).not.toContain('warning');
  });

  it('warns 30 days before an end, with exit code 0, and not of what has a successor', async () => {
    await bench.start('alice', 'bob');
    bench.nowUnix += 800 * DAY;
    expect(await bench.pki('renew', 'bob', '--force')).toMatchObject({ code: 0 });
    const { code, out } = await bench.pki('list');
    expect(code).toBe(0);
    expect(out).toContain('warning: alice expires in 25 days');
    expect(out).toContain('warning: vpn.example.org expires in 25 days');
    expect(out).not.toContain('warning: bob');
    // Renewing has the authority's key at hand: the list was made anew by the way.
    expect(out).not.toContain('warning: the revocation list');
  });

  it('warns of the revocation list, and `crl` makes it anew', async () => {
    expect(await bench.pki('init', '--crl-days', '20')).toMatchObject({ code: 0 });
    expect((await bench.pki('list')).out).toContain('warning: the revocation list expires in 20 days');
    expect(await bench.pki('crl', '--days', '90')).toMatchObject({ code: 0 });
    expect((await bench.pki('list')).out).not.toContain('warning');
  });

  it('writes JSON for programs', async () => {
    await bench.start('alice');
    await bench.pki('revoke', 'alice', '--reason', 'superseded');
    const { out } = await bench.pki('list', '--json');
    expect(JSON.parse(out)).toMatchObject({
      ca: { name: 'Sallyport CA' },
      crl: { nextUpdate: expect.stringMatching(/Z$/) },
      certificates: [
        { name: 'vpn.example.org', role: 'server', state: 'valid', revoked: null },
        { name: 'alice', role: 'client', state: 'revoked', reason: 'superseded', revoked: expect.stringMatching(/Z$/) },
      ],
      warnings: [],
    });
  });

  it('shows nothing of an index that steers a terminal', async () => {
    await bench.start();
    writeFileSync(bench.path('pki', 'index.txt'), 'V\t290302211310Z\t\t01\tunknown\t/CN=a\x1b[2J\n');
    expect((await bench.pki('list')).out).not.toContain('\x1b');
  });

  it('refuses a folder that is none, and an index that is damaged', async () => {
    expect(await bench.pki('list')).toMatchObject({ code: 1, err: expect.stringContaining('sallyport pki init') });
    await bench.start('alice');
    writeFileSync(bench.path('pki', 'index.txt'), 'V\t29');
    expect(await bench.pki('list')).toMatchObject({ code: 1, err: expect.stringContaining('line 1') });
    expect(await bench.pki('revoke', 'alice')).toMatchObject({ code: 1, err: expect.stringContaining('line 1') });
  });
});
