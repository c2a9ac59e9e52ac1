import { expect, it } from 'vitest';
import { certificateField } from '../../src/config/certificate-fields.ts';
import type { CertificateFacts } from '../../src/tunnel/environment.ts';
import { trackedCertificate } from '../../src/tunnel/tracked-fields.ts';

const certificate = (depth: number): CertificateFacts => ({
  depth,
  subject: 'C=DE, OU=one, OU=two, CN=max',
  subjectFields: [
    ['C', 'DE'],
    ['OU', 'one'],
    ['OU', 'two'],
    ['CN', 'max'],
  ],
  commonName: 'max',
  serialHex: '01',
  sha1: Uint8Array.of(0xab, 1),
  sha256: Uint8Array.of(0xcd, 2),
  pem: 'PEM',
  extensionText: (name) => (name === 'keyUsage' ? 'Digital Signature\nCRL Sign' : undefined),
});

const fields = (depth: number, ...names: readonly string[]) =>
  trackedCertificate(
    certificate(depth),
    names.map((name) => ({ name: name.replace('+', ''), wholeChain: name.startsWith('+') })),
  ).subjectFields;

it('scripts are told of the named fields in place of the subject’s, in the names that were written', () => {
  expect(fields(0)).toEqual(certificate(0).subjectFields);
  expect(fields(0, 'commonName', 'OU', 'SHA1', 'sha256', 'emailAddress')).toEqual([
    ['commonName', 'max'],
    ['OU', 'one'],
    ['SHA1', 'AB:01'],
    ['sha256', 'CD:02'],
  ]);
  expect(fields(0, 'CN', 'CN', '+CN')).toEqual([['CN', 'max']]);
});

it('of the issuers only with a plus', () => {
  expect(fields(1, 'CN', '+C')).toEqual([['C', 'DE']]);
  expect(fields(1, 'CN')).toEqual([]);
});

it('an extension is one line', () => {
  expect(fields(0, 'keyUsage', 'X509v3 Key Usage', 'subjectAltName')).toEqual([
    ['keyUsage', 'Digital Signature?CRL Sign'],
    ['X509v3 Key Usage', 'Digital Signature?CRL Sign'],
  ]);
});

it.each([
  ['CN', 'subject'],
  ['commonName', 'subject'],
  ['2.5.4.3', 'subject'],
  ['subjectAltName', 'extension'],
  ['SHA256', 'digest'],
  ['certificatePolicies', 'unwritten'],
  ['1.2.3.4', 'unwritten'],
  ['nosuch', undefined],
  ['cn', undefined],
  ['', undefined],
])('the name %s is one of a %s', (name, kind) => {
  expect(certificateField(name)?.kind).toBe(kind);
});
