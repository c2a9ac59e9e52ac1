// What a server demands of clients' certificates, and what it tells scripts of them: capath, lists of revoked ones, profiles,
// names, tracked fields. With SALLYPORT_SERVER=openvpn the C program is asked the same.

import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { type ClientOptions, tunnel, up, useLab } from '../lab/lab.ts';
import type { Credential } from '../lab/pki.ts';
import { run } from '../lab/process.ts';
import { labSuite } from '../lab/requirements.ts';
import { pings } from '../lab/traffic.ts';

labSuite('certificates of clients', () => {
  const lab = useLab();

  const serial = async (certificate: Credential): Promise<string> => {
    const { stdout } = await run(['openssl', 'x509', '-in', certificate.cert, '-noout', '-serial']);
    return BigInt(`0x${stdout.trim().replace('serial=', '')}`).toString();
  };
  const comesIn = async (options: ClientOptions = {}): Promise<void> => {
    const client = await lab().connect({ kind: 'openvpn', ...options });
    expect(await pings(lab().net.client, tunnel.server4)).toBe(true);
    await client.stop();
  };
  const isRefused = async (certificate: Credential): Promise<void> => {
    const client = await lab().client({
      kind: 'openvpn',
      certificate,
      lines: ['hand-window 5', 'connect-retry-max 1'],
    });
    await client.line(/AUTH: Received control message: AUTH_FAILED|TLS handshake failed|TLS key negotiation failed/);
    expect(client.count(up)).toBe(0);
    await client.kill();
  };

  it('of an authority in capath come in, and come in no more when it is gone from there', async () => {
    const folder = await lab().directory('capath');
    await copyFile(lab().pki.ca.cert, `${folder}/example.pem`);
    await copyFile(lab().pki.crl, `${folder}/example.crl`);
    await run(['openssl', 'rehash', folder]);
    const server = await lab().serve({ without: ['ca'], lines: [`capath ${folder}`] });
    await comesIn();
    await isRefused(lab().pki.revoked);
    await server.line(/VERIFY ERROR: depth=0, error=certificate revoked: CN=revoked/);
    await isRefused(lab().pki.foreign);
  });

  it('are refused by a file with their serial number, from when it is there', async () => {
    const folder = await lab().directory('revoked');
    const server = await lab().serve({ lines: [`crl-verify ${folder} dir`] });
    await comesIn();
    const number = await serial(lab().pki.client);
    await writeFile(`${folder}/${number}`, '');
    await isRefused(lab().pki.client);
    await server.line(new RegExp(`VERIFY CRL: depth=0, C=DE, O=Example, CN=client, serial=${number} is revoked`));
    await rm(`${folder}/${number}`);
    await comesIn();
  });

  it('of an authority without a list come in with a warning', async () => {
    const server = await lab().serve({ lines: [`crl-verify ${lab().pki.crl}`] });
    await comesIn({ certificate: lab().pki.chained });
    await server.line(/VERIFY WARNING: depth=0, unable to get certificate CRL: CN=chained/);
    await isRefused(lab().pki.revoked);
  });

  it.each([
    ['legacy', 'rsa1024', 'sha256', undefined],
    ['preferred', 'rsa1024', 'sha256', /VERIFY ERROR: depth=0, error=EE certificate key too weak: CN=weak/],
    ['insecure', 'ec', 'sha1', undefined],
    ['legacy', 'ec', 'sha1', /VERIFY ERROR: depth=0, error=CA signature digest algorithm too weak: CN=weak/],
  ] as const)('under tls-cert-profile %s, with %s and %s', async (profile, key, digest, words) => {
    const certificate = await lab().pki.issue({ name: `weak-${profile}-${key}-${digest}`, key, digest });
    const server = await lab().serve({ lines: [`tls-cert-profile ${profile}`] });
    const lines = ['tls-cert-profile insecure'];
    if (words === undefined) return comesIn({ certificate, lines });
    await lab().client({ kind: 'openvpn', certificate, lines: [...lines, 'hand-window 5'] });
    await server.line(words);
    expect(server.count(/Peer Connection Initiated/)).toBe(0);
  });

  it.each([
    ['CN ST serialNumber', /^client_/],
    ['emailAddress', /^max@example\.com$/],
    ['ext:subjectAltName', /^alt@example\.com$/],
  ] as const)('name their client by %s', async (fields, expected) => {
    const certificate = await lab().pki.issue({
      name: `named-${fields.length}`,
      subject: '/C=DE/ST=client_state/O=Example/CN=client/emailAddress=max@example.com',
      extensions: ['subjectAltName = email:alt@example.com'],
    });
    const seen = `${lab().dir}/name-${fields.length}`;
    const script = await lab().file('connect.sh', `#!/bin/sh\nprintf %s "$common_name" >${seen}\n`, 0o755);
    await lab().serve({
      lines: ['script-security 2', `client-connect ${script}`, `x509-username-field ${fields}`],
    });
    await lab().connect({ kind: 'openvpn', certificate });
    expect(await readFile(seen, 'utf8')).toMatch(expected);
  });

  it('are told to scripts by their tracked fields, and as files', async () => {
    const certificate = await lab().pki.issue({
      name: 'tracked',
      subject: '/C=DE/O=Example/OU=one/OU=two/CN=tracked',
      keyUsage: 'digitalSignature,keyAgreement',
      extensions: ['subjectAltName = DNS:a.example.com,IP:192.0.2.9,email:max@example.com'],
    });
    const folder = await lab().directory('exported');
    const out = `${lab().dir}/tracked-out`;
    const script = await lab().file(
      'verify.sh',
      `#!/bin/sh\n{ env | grep ^X509_ | sort; openssl x509 -in "$peer_cert" -noout -subject; stat -c %a "$peer_cert"; } >>${out}.$1\n`,
      0o755,
    );
    const tracked = [
      'CN',
      '+organizationName',
      'OU',
      '+SHA1',
      'keyUsage',
      'extendedKeyUsage',
      'subjectAltName',
      'basicConstraints',
      'street',
    ];
    await lab().serve({
      lines: [
        'script-security 2',
        `tls-verify ${script}`,
        `tls-export-cert ${folder}`,
        ...tracked.map((name) => `x509-track ${name}`),
      ],
    });
    await lab().connect({ kind: 'openvpn', certificate });
    const hex = '(?:[0-9A-F]{2}:){19}[0-9A-F]{2}';
    // The shell's env has the leaf's fields beside the issuer's.
    expect(await readFile(`${out}.0`, 'utf8')).toMatch(
      new RegExp(
        `^X509_0_CN=tracked
X509_0_OU=one
X509_0_SHA1=${hex}
X509_0_basicConstraints=CA:FALSE
X509_0_extendedKeyUsage=TLS Web Server Authentication, TLS Web Client Authentication
X509_0_keyUsage=Digital Signature, Key Agreement
X509_0_organizationName=Example
X509_0_subjectAltName=DNS:a.example.com, IP Address:192.0.2.9, email:max@example.com
X509_1_SHA1=${hex}
X509_1_organizationName=Example
subject=C = DE, O = Example, OU = one, OU = two, CN = tracked
6\\d\\d
$`,
      ),
    );
    expect(await readFile(`${out}.1`, 'utf8')).toMatch(
      /^X509_1_SHA1=.*\nX509_1_organizationName=Example\nsubject=C = DE, O = Example, CN = Example CA\n/,
    );
    expect(await readdir(folder)).toEqual([]);
  });
});
