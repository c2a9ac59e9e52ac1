import { describe, expect, it } from 'vitest';
import type { ChainVerdict, PeerCertificate, TlsEstablished } from '../../src/control/tls-engine.ts';
import { type PeerChecks, verifyPeer } from '../../src/control/verify-peer.ts';
import { certificateOf } from '../lab/deterministic-tls.ts';

const NOW = 1_800_000_000;
const CHECKS: PeerChecks = {
  requireCertificate: true,
  keyUsages: undefined,
  extendedKeyUsage: undefined,
  netscapeCertType: undefined,
  name: undefined,
  fingerprints: [],
  withoutCa: false,
  issuerHash: undefined,
};
const leaf = certificateOf('server');
const authority = certificateOf('Lab CA', { depth: 1, isCa: true });

function judge(change: Partial<TlsEstablished>, checks: Partial<PeerChecks> = {}) {
  const info: TlsEstablished = {
    version: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    temporaryKey: undefined,
    resumed: false,
    chain: [leaf, authority],
    verdict: { trusted: true },
    ...change,
  };
  const { error, lines } = verifyPeer(info, { ...CHECKS, ...checks }, NOW);
  return { error, lines: lines.map(([, text]) => text) };
}

const untrusted = (code: string, text: string, depth = 0): ChainVerdict => ({ trusted: false, code, text, depth });
const with_ = (change: Partial<PeerCertificate>) => [certificateOf('server', change), authority];

describe('the judgement on a good peer', () => {
  it('accepts it and says so for each certificate, the authority first', () => {
    expect(judge({})).toEqual({
      error: undefined,
      lines: ['VERIFY OK: depth=1, C=DE, O=Lab, CN=Lab CA', 'VERIFY OK: depth=0, C=DE, O=Lab, CN=server'],
    });
  });

  it('logs the checks in the words of the C program', () => {
    const { error, lines } = judge(
      {},
      {
        keyUsages: [0xa0, 0x88],
        extendedKeyUsage: 'TLS Web Server Authentication',
        name: { name: 'server', type: 'name' },
        netscapeCertType: 'server',
      },
    );
    expect(error).toBeUndefined();
    expect(lines).toEqual([
      'VERIFY OK: depth=1, C=DE, O=Lab, CN=Lab CA',
      'VERIFY OK: nsCertType=SERVER',
      'Validating certificate key usage',
      'VERIFY KU OK',
      'Validating certificate extended key usage',
      '++ Certificate has EKU (str) TLS Web Server Authentication, expects TLS Web Server Authentication',
      'VERIFY EKU OK',
      'VERIFY X509NAME OK: C=DE, O=Lab, CN=server',
      'VERIFY OK: depth=0, C=DE, O=Lab, CN=server',
    ]);
  });

  it('accepts a name prefix, a whole subject, an EKU by OID and a listed fingerprint', () => {
    expect(judge({}, { name: { name: 'ser', type: 'name-prefix' } }).error).toBeUndefined();
    expect(judge({}, { name: { name: 'C=DE, O=Lab, CN=server', type: 'subject' } }).error).toBeUndefined();
    expect(judge({}, { extendedKeyUsage: '1.3.6.1.5.5.7.3.1' }).error).toBeUndefined();
    expect(judge({}, { fingerprints: [leaf.sha256] }).error).toBeUndefined();
    expect(judge({}, { issuerHash: { digest: 'SHA256', hashes: [authority.sha256] } }).error).toBeUndefined();
  });
});

describe('the judgement on a bad peer', () => {
  const refused: readonly (readonly [string, Partial<TlsEstablished>, Partial<PeerChecks>, RegExp, string])[] = [
    ['a resumed session', { resumed: true }, {}, /resumed an old TLS session/, 'VERIFY ERROR'],
    ['no certificate', { chain: [] }, {}, /sent no certificate/, 'VERIFY ERROR'],
    [
      'an expired certificate',
      { chain: with_({ notAfter: NOW - 1 }), verdict: untrusted('CERT_HAS_EXPIRED', 'certificate has expired') },
      {},
      /"C=DE, O=Lab, CN=server" \(depth 0, valid 2023-11-14 22:13:20Z to 2027-01-15 07:59:59Z\) has expired/,
      'VERIFY ERROR: depth=0, error=certificate has expired: C=DE, O=Lab, CN=server, serial=31',
    ],
    [
      'one that is not valid yet',
      {
        chain: with_({ notBefore: NOW + 1 }),
        verdict: untrusted('CERT_NOT_YET_VALID', 'certificate is not yet valid', -1),
      },
      {},
      /is not valid yet/,
      'VERIFY ERROR: depth=0, error=certificate is not yet valid',
    ],
    [
      'a revoked one',
      { verdict: untrusted('CERT_REVOKED', 'certificate revoked') },
      {},
      /was revoked/,
      'VERIFY ERROR: depth=0, error=certificate revoked',
    ],
    [
      'a foreign one',
      { verdict: untrusted('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain', 1) },
      {},
      /depth 1.*not trusted/,
      'VERIFY ERROR: depth=1',
    ],
    [
      'a verdict that nobody knows',
      { verdict: untrusted('X_NEW', 'something new', 0) },
      {},
      /something new/,
      'VERIFY ERROR: depth=0, error=something new',
    ],
    [
      'the wrong EKU',
      { chain: with_({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }) },
      { extendedKeyUsage: 'TLS Web Server Authentication' },
      /TLS Web Client Authentication; TLS Web Server Authentication is needed/,
      'VERIFY EKU ERROR',
    ],
    [
      'no EKU',
      { chain: with_({ extendedKeyUsage: undefined }) },
      { extendedKeyUsage: 'TLS Web Server Authentication' },
      /extended key usage none/,
      'VERIFY EKU ERROR',
    ],
    [
      'the wrong key usage',
      { chain: with_({ keyUsage: 0x0600 }) },
      { keyUsages: [0xa0, 0x88] },
      /key usage 0006, expected one of 00a0, 0088/,
      'ERROR: Certificate has key usage 0006, expected one of:',
    ],
    [
      'no key usage where one is required',
      { chain: with_({ keyUsage: undefined }) },
      { keyUsages: 'required' },
      /states no key usage/,
      'VERIFY KU ERROR',
    ],
    [
      'the wrong netscape type',
      { chain: with_({ netscapeCertType: 0x80 }) },
      { netscapeCertType: 'server' },
      /not one for a server/,
      'VERIFY nsCertType ERROR',
    ],
    [
      'the wrong name',
      {},
      { name: { name: 'other', type: 'name' } },
      /must be other/,
      'VERIFY X509NAME ERROR: server, must be other',
    ],
    ['a longer name', {}, { name: { name: 'serve', type: 'name' } }, /must be serve/, 'VERIFY X509NAME ERROR'],
    [
      'no common name',
      { chain: with_({ commonName: undefined }) },
      { name: { name: 'server', type: 'name' } },
      /must be server/,
      'VERIFY X509NAME ERROR',
    ],
    [
      'another prefix',
      {},
      { name: { name: 'erver', type: 'name-prefix' } },
      /must start with erver/,
      'VERIFY X509NAME ERROR: server, must start with erver',
    ],
    [
      'a fingerprint that is not listed',
      {},
      { fingerprints: [new Uint8Array(32)] },
      /peer-fingerprint does not list/,
      'TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed.',
    ],
    [
      'a fingerprint cut short',
      {},
      { fingerprints: [leaf.sha256.slice(0, 31)] },
      /peer-fingerprint does not list/,
      'TLS Error',
    ],
    [
      'an issuer that is not listed',
      {},
      { issuerHash: { digest: 'SHA1', hashes: [leaf.sha1] } },
      /verify-hash does not list/,
      'TLS Error',
    ],
    [
      'no issuer to compare',
      { chain: [leaf] },
      { issuerHash: { digest: 'SHA1', hashes: [leaf.sha1] } },
      /no issuer certificate/,
      '',
    ],
    [
      'neither CA nor fingerprint',
      { verdict: untrusted('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed') },
      { withoutCa: true },
      /neither a CA nor a fingerprint/,
      '',
    ],
    [
      'a listed fingerprint whose chain is bad and there is a CA',
      { verdict: untrusted('CERT_REVOKED', 'certificate revoked') },
      { fingerprints: [leaf.sha256] },
      /was revoked/,
      'VERIFY ERROR',
    ],
    [
      'an expired certificate under fingerprints without a CA',
      { chain: with_({ notAfter: NOW - 1 }), verdict: untrusted('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed') },
      { withoutCa: true, fingerprints: [leaf.sha256] },
      /has expired/,
      'VERIFY ERROR',
    ],
  ];

  it.each(refused)('refuses %s', (_what, change, checks, message, line) => {
    const { error, lines } = judge(change, checks);
    expect(error?.message).toMatch(message);
    expect(error?.code).toBe('SALLYPORT_CERTIFICATE');
    expect(error?.hint).toBeDefined();
    if (line !== '') expect(lines.some((each) => each.startsWith(line))).toBe(true);
    expect(lines).not.toContain('VERIFY OK: depth=0, C=DE, O=Lab, CN=server');
  });

  it('takes a listed fingerprint without a CA whatever the chain says', () => {
    const verdict = untrusted('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate');
    expect(judge({ chain: [leaf], verdict }, { withoutCa: true, fingerprints: [leaf.sha256] }).error).toBeUndefined();
  });

  it('prints serial numbers in decimal, however long', () => {
    const chain = with_({ serialHex: 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF' });
    const { lines } = judge({ chain, verdict: untrusted('CERT_REVOKED', 'certificate revoked') });
    expect(lines[0]).toContain('serial=340282366920938463463374607431768211455');
  });
});
