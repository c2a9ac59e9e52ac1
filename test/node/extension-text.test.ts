import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createCertificateFiles } from '../../src/node/certificate-files.ts';
import { extensionText } from '../../src/node/extension-text.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-extensions-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const LINES = [
  'basicConstraints=critical,CA:TRUE,pathlen:3',
  'keyUsage=critical,digitalSignature,keyCertSign,cRLSign,decipherOnly',
  'extendedKeyUsage=serverAuth,clientAuth,codeSigning,1.2.3.4',
  'subjectAltName=DNS:vpn.example.com,IP:192.0.2.1,IP:2001:db8::1,email:max@example.com,URI:https://example.com/',
  'subjectKeyIdentifier=hash',
];

it('extensions read as openssl prints them', () => {
  const path = join(dir, 'all.crt');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${path}.key`],
      ...['-out', path, '-subj', '/CN=all', ...LINES.flatMap((line) => ['-addext', line])],
    ],
    { stdio: 'pipe' },
  );
  const { raw } = new X509Certificate(readFileSync(path));
  for (const name of [
    ...['basicConstraints', 'keyUsage', 'extendedKeyUsage'],
    ...['subjectAltName', 'subjectKeyIdentifier', 'authorityKeyIdentifier'],
  ]) {
    const printed = execFileSync('openssl', ['x509', '-in', path, '-noout', '-ext', name], { encoding: 'utf8' });
    expect([name, extensionText(raw, name)]).toEqual([name, printed.split('\n')[1]?.trim()]);
  }
  expect(extensionText(raw, 'issuerAltName')).toBeUndefined();
  expect(extensionText(raw, 'unknown')).toBeUndefined();
  expect(extensionText(raw.subarray(0, 100), 'keyUsage')).toBeUndefined();
});

it('a certificate for scripts is a file of this user alone, until it is removed', () => {
  const files = createCertificateFiles(dir);
  const path = files?.write('PEM') ?? '';
  expect(readFileSync(path, 'utf8')).toBe('PEM');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  files?.remove(path);
  expect(existsSync(path)).toBe(false);
  expect(createCertificateFiles(join(dir, 'none'))?.write('PEM')).toBeUndefined();
  expect(createCertificateFiles(undefined)).toBeUndefined();
});
