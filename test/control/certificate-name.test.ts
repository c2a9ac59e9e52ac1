import { describe, expect, it } from 'vitest';
import { certificateName, namingEngines } from '../../src/control/certificate-name.ts';
import type { PeerCertificate, TlsEngine, TlsListener } from '../../src/control/tls-engine.ts';
import { verifyPeer } from '../../src/control/verify-peer.ts';
import { certificateOf } from '../lab/deterministic-tls.ts';

const max = certificateOf('max', {
  serialHex: '01AB',
  subjectFields: [
    ['OU', 'one'],
    ['OU', 'two'],
    ['CN', 'max'],
    ['emailAddress', 'max@example.com'],
    ['street', ''],
    ['title', 'x'.repeat(64)],
    ['description', `${'x'.repeat(63)}ä`],
  ],
  subjectAltNames: ['DNS:max.example.com', 'email:old@example.com', 'email:new@example.com', 'URI:urn:x'],
  issuerAltNames: ['email:ca@example.com'],
});

describe('the name of a certificate', () => {
  it.each([
    [['CN'], 'max'],
    [['commonName'], 'max'],
    [['emailAddress'], 'max@example.com'],
    [['OU'], 'two'],
    [['organizationalUnitName'], 'two'],
    [['serialNumber'], '0x01AB'],
    [['CN', 'serialNumber'], 'max_0x01AB'],
    [['CN', 'OU', 'emailAddress'], 'max_two_max@example.com'],
    [['ext:subjectAltName'], 'new@example.com'],
    [['ext:issuerAltName'], 'ca@example.com'],
    [['title'], 'x'.repeat(64)],
  ])('by %j is %s', (fields, name) => {
    expect(certificateName(max, fields)).toEqual({ name });
  });

  it.each([
    [['O'], 'O'],
    [['cn'], 'cn'],
    [['street'], 'street'],
    [['description'], 'description'],
    [['CN', 'O'], 'O'],
    [['title', 'title', 'title', 'title'], 'title'],
    [['ext:keyUsage'], 'ext:keyUsage'],
  ])('by %j is none', (fields, missing) => {
    expect(certificateName(max, fields)).toEqual({ missing });
  });

  it('of an alternative name is an address and nothing else', () => {
    expect(certificateName(certificateOf('a', { subjectAltNames: ['DNS:a'] }), ['ext:subjectAltName'])).toEqual({
      missing: 'ext:subjectAltName',
    });
  });
});

describe('a client without the name that is asked for', () => {
  const judge = (nameFields: readonly string[] | undefined) => {
    const established = {
      version: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      temporaryKey: undefined,
      resumed: false,
      chain: [max],
      verdict: { trusted: true } as const,
    };
    const checks = {
      requireCertificate: true,
      keyUsages: undefined,
      extendedKeyUsage: undefined,
      netscapeCertType: undefined,
      name: undefined,
      nameFields,
      fingerprints: [],
      withoutCa: false,
      issuerHash: undefined,
    };
    return verifyPeer(established, checks, 1_800_000_000);
  };

  it('is refused in the C program’s words', () => {
    const { error, lines } = judge(['CN', 'O']);
    expect(error?.message).toContain('has no O ');
    expect(lines.map(([, text]) => text)).toEqual([
      "VERIFY ERROR: could not extract O from X509 subject string ('C=DE, O=Lab, CN=max') -- note that the field length is limited to 64 characters",
    ]);
  });

  it.each([[['CN']], [['CN', 'serialNumber']], [undefined]])('is none under %j', (fields) => {
    expect(judge(fields).error).toBeUndefined();
  });
});

describe('engines with a name of their own', () => {
  it('name every certificate of a chain so, and leave everything else alone', () => {
    const heard: unknown[] = [];
    let inner: TlsListener | undefined;
    const engine = {} as TlsEngine;
    const naming = namingEngines(
      {
        create: (_role, listener) => {
          inner = listener;
          return engine;
        },
      },
      ['OU'],
    );
    const outer: TlsListener = {
      ciphertext: (bytes) => heard.push(bytes),
      plaintext: (bytes) => heard.push(bytes),
      failed: (failure) => heard.push(failure),
      flushed: () => heard.push('flushed'),
      established: ({ chain }) => heard.push(chain.map(({ commonName }: PeerCertificate) => commonName)),
    };
    expect(naming.create('server', outer)).toBe(engine);
    const bytes = Uint8Array.of(1);
    const failure = { origin: 'local', code: 'X', text: 'x' } as const;
    inner?.ciphertext(bytes);
    inner?.plaintext(bytes);
    inner?.failed(failure);
    inner?.flushed();
    inner?.established({ chain: [max, certificateOf('CA')] } as never);
    expect(heard).toEqual([bytes, bytes, failure, 'flushed', ['two', undefined]]);
  });

  it('are the same engines where CN is the name', () => {
    const engines = { create: () => ({}) as TlsEngine };
    expect(namingEngines(engines, ['CN'])).toBe(engines);
    expect(namingEngines(engines, ['CN', 'OU'])).not.toBe(engines);
  });
});
