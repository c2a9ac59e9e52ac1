import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsEstablished, TlsFailure } from '../../src/control/tls-engine.ts';
import { judgeChain } from '../../src/node/peer-chain.ts';
import { createNodeTlsFactory, type NodeTlsFactory } from '../../src/node/tls-engine.ts';
import { describeTlsFailure, describeVerifyCode } from '../../src/node/tls-words.ts';
import { tlsEngineConformance } from '../conformance/tls-engine.ts';
import { makePki, type Pki } from '../lab/pki.ts';
import { loadSetup } from './tls-setup.ts';

tlsEngineConformance('node:tls', async (setup) => createNodeTlsFactory(await loadSetup(setup)));

const dir = mkdtempSync(join(tmpdir(), 'sallyport-engine-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('nothing came');
    await turn();
  }
}

/** A client of node:tls itself, joined to one of our server engines. */
function rawClient(factory: NodeTlsFactory, options: tls.ConnectionOptions) {
  const seen: { info?: TlsEstablished; failure?: TlsFailure; session?: Buffer } = {};
  const wire = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      engine.handleCiphertext(chunk);
      done();
    },
  });
  const engine = factory.create('server', {
    ciphertext: (bytes) => wire.push(bytes),
    established: (info) => {
      seen.info = info;
    },
    plaintext: () => {},
    flushed: () => {},
    failed: (failure) => {
      seen.failure = failure;
    },
  });
  const socket = tls.connect({
    socket: wire,
    ca: readFileSync(pki.ca.cert),
    cert: readFileSync(pki.client.cert),
    key: readFileSync(pki.client.key),
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('error', () => {});
  socket.on('session', (session) => {
    seen.session = session;
  });
  return {
    seen,
    socket,
    close: () => {
      engine.close();
      socket.destroy();
    },
  };
}

describe('the node:tls engine with other peers', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'never resumes a session in place of a verification, %s',
    async (version) => {
      const factory = createNodeTlsFactory(
        await loadSetup({
          ca: pki.ca.cert,
          identity: pki.server,
          crl: undefined,
          versionMin: '1.2',
          versionMax: '1.3',
        }),
      );
      const bounds = { minVersion: version, maxVersion: version };
      const first = rawClient(factory, bounds);
      await until(() => first.seen.info !== undefined);
      if (version === 'TLSv1.3') await until(() => first.seen.session !== undefined);
      const session = first.seen.session ?? first.socket.getSession();
      first.close();
      expect(session).toBeDefined();
      const second = rawClient(factory, { ...bounds, ...(session && { session }) });
      await until(() => second.seen.info !== undefined);
      expect(second.seen.info?.resumed).toBe(false);
      expect(second.seen.info?.chain[0]?.commonName).toBe('client');
      expect(second.socket.isSessionReused()).toBe(false);
      second.close();
    },
  );

  it('does not renegotiate inside TLS 1.2', async () => {
    const factory = createNodeTlsFactory(
      await loadSetup({ ca: pki.ca.cert, identity: pki.server, crl: undefined, versionMin: '1.2', versionMax: '1.2' }),
    );
    const client = rawClient(factory, { maxVersion: 'TLSv1.2' });
    await until(() => client.seen.info !== undefined && client.socket.authorized);
    let renegotiated = false;
    client.socket.renegotiate({}, (error) => {
      renegotiated = error === null;
    });
    await until(() => client.seen.failure !== undefined || client.socket.destroyed);
    expect(renegotiated).toBe(false);
    client.close();
  });

  it('says when the peer closes the TLS connection', async () => {
    const factory = createNodeTlsFactory(
      await loadSetup({ ca: pki.ca.cert, identity: pki.server, crl: undefined, versionMin: '1.2', versionMax: '1.3' }),
    );
    const client = rawClient(factory, {});
    await until(() => client.seen.info !== undefined);
    client.socket.end();
    await until(() => client.seen.failure !== undefined);
    expect(client.seen.failure).toMatchObject({ origin: 'alert', code: 'CLOSE_NOTIFY' });
    client.close();
  });

  it('judges new sessions by a CRL file that has changed', async () => {
    const crl = join(dir, 'live.crl');
    copyFileSync(pki.emptyCrl, crl);
    const factory = createNodeTlsFactory(
      await loadSetup({ ca: pki.ca.cert, identity: pki.server, crl, versionMin: '1.2', versionMax: '1.3' }),
    );
    const identity = { cert: readFileSync(pki.revoked.cert), key: readFileSync(pki.revoked.key) };
    const before = rawClient(factory, identity);
    await until(() => before.seen.info !== undefined);
    expect(before.seen.info?.verdict).toEqual({ trusted: true });
    before.close();
    rmSync(crl);
    copyFileSync(pki.crl, crl);
    const after = rawClient(factory, identity);
    await until(() => after.seen.info !== undefined);
    expect(after.seen.info?.verdict).toMatchObject({ trusted: false, code: 'CERT_REVOKED', depth: 0 });
    after.close();
  });

  it('leaves no process-wide error and no listener behind, also when many are closed half-way', async () => {
    const factory = createNodeTlsFactory(
      await loadSetup({ ca: pki.ca.cert, identity: pki.server, crl: undefined, versionMin: '1.2', versionMax: '1.3' }),
    );
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => {
      warnings.push(warning);
    };
    process.on('warning', onWarning);
    for (let i = 0; i < 40; i++) {
      const client = rawClient(factory, {});
      for (let k = 0; k < i % 7; k++) await turn();
      client.close();
    }
    for (let i = 0; i < 10; i++) await turn();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

describe('the verdict', () => {
  const certificate = (path: string): X509Certificate => new X509Certificate(readFileSync(path));
  const judge = (change: Partial<Parameters<typeof judgeChain>[0]>) =>
    judgeChain({
      leaf: certificate(pki.server.cert),
      authorized: true,
      authorizationError: undefined,
      authorities: [certificate(pki.ca.cert)],
      revocation: undefined,
      securityLevel: 1,
      peerRole: 'server',
      nowSeconds: Date.UTC(2030, 0, 1) / 1000,
      ...change,
    });

  it('is trust only if node:tls says so, reports no code, and the chain ends in an authority of ours', () => {
    expect(judge({})).toMatchObject({ ok: true, verdict: { trusted: true } });
    const distrusted: Partial<Parameters<typeof judgeChain>[0]>[] = [
      { authorized: false },
      { authorizationError: 'CERT_HAS_EXPIRED' },
      { authorized: false, authorizationError: 'CERT_REVOKED' },
      { authorities: [] },
      { authorities: [certificate(pki.otherCa.cert)] },
      { leaf: certificate(pki.foreign.cert) },
      { leaf: certificate(pki.selfSigned.cert) },
      { leaf: undefined },
    ];
    for (const change of distrusted) expect(judge(change)).toMatchObject({ ok: true, verdict: { trusted: false } });
  });

  it('reads an authority once for all peers, and a peer anew each time', () => {
    const authorities = [certificate(pki.ca.cert)];
    const chains = [pki.server.cert, pki.server.cert, pki.client.cert].map((path) => {
      const judged = judge({ leaf: certificate(path), authorities });
      return judged.ok ? judged.chain : [];
    });
    expect(chains.map((chain) => chain.map(({ commonName }) => commonName))).toEqual([
      ['server', 'Example CA'],
      ['server', 'Example CA'],
      ['client', 'Example CA'],
    ]);
    expect(new Set(chains.map((chain) => chain[1])).size).toBe(1);
    expect(new Set(chains.map((chain) => chain[0])).size).toBe(3);
    // One that a peer sent, and that is no authority of ours, is the peer's own matter.
    const [, sent] = chains[0] ?? [];
    expect(judge({ leaf: certificate(pki.ca.cert), authorities: [] })).toMatchObject({ chain: [{ depth: 0 }] });
    expect(sent).toMatchObject({ depth: 1, isCa: true });
  });

  it('takes no namesake of the issuer for the issuer: the signature decides', () => {
    const openssl = (...args: string[]): string => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
    const keyId = openssl('x509', '-in', pki.ca.cert, '-noout', '-ext', 'subjectKeyIdentifier').split('\n')[1]!;
    const path = join(dir, 'impostor.crt');
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${path}.key`],
      ...['-out', path, '-subj', '/C=DE/O=Example/CN=Example CA'],
      ...['-addext', `subjectKeyIdentifier=${keyId.replace(/[^0-9A-F]/g, '')}`],
    );
    const impostor = certificate(path);
    expect(certificate(pki.server.cert).checkIssued(impostor)).toBe(true);
    const judged = judge({ authorities: [impostor, certificate(pki.ca.cert)] });
    expect(judged.ok && judged.chain[1]?.der).toEqual(new Uint8Array(certificate(pki.ca.cert).raw));
    expect(judge({ authorities: [impostor] })).toMatchObject({ verdict: { trusted: false } });
  });

  it('names the certificate that a code is about', async () => {
    const leaf = certificate(pki.expired.cert);
    expect(judge({ leaf, authorized: false, authorizationError: 'CERT_HAS_EXPIRED' })).toMatchObject({
      verdict: { depth: 0, text: 'certificate has expired' },
    });
    // Long after everything has expired, the leaf is still the first of them; a fresh leaf points at its authority.
    const later = {
      nowSeconds: Date.UTC(2046, 11, 1) / 1000,
      authorized: false,
      authorizationError: 'CERT_HAS_EXPIRED',
    };
    const fresh = await pki.issue({ name: 'fresh', notAfter: '20900101000000Z' });
    expect(judge({ ...later, leaf: certificate(fresh.cert) })).toMatchObject({ verdict: { depth: 1 } });
  });

  it.each([
    ['rsa1024', 'sha256', 1, undefined],
    ['rsa1024', 'sha256', 2, { code: 'EE_KEY_TOO_SMALL', depth: 0, text: 'EE certificate key too weak' }],
    ['rsa', 'sha256', 2, undefined],
    ['rsa', 'sha256', 3, { code: 'EE_KEY_TOO_SMALL', depth: 0 }],
    ['ec', 'sha256', 3, undefined],
    ['ec384', 'sha256', 4, { code: 'CA_MD_TOO_WEAK', depth: 0 }],
    ['ec384', 'sha384', 4, { code: 'CA_KEY_TOO_SMALL', depth: 1 }],
    ['ec', 'sha1', 0, undefined],
    ['ec', 'sha1', 1, { code: 'CA_MD_TOO_WEAK', depth: 0, text: 'CA signature digest algorithm too weak' }],
  ] as const)('says what is too weak: %s signed with %s at level %i', async (key, digest, securityLevel, expected) => {
    const issued = await pki.issue({ name: `weak-${key}-${digest}`, key, digest });
    const judged = judge({
      leaf: certificate(issued.cert),
      authorized: false,
      authorizationError: 'UNSPECIFIED',
      securityLevel,
    });
    expect(judged).toMatchObject({ verdict: { trusted: false, ...(expected ?? { code: 'UNSPECIFIED' }) } });
  });

  it('has words for codes, and makes words of unknown ones', () => {
    expect(describeVerifyCode('CERT_REVOKED')).toBe('certificate revoked');
    expect(describeVerifyCode('SOME_NEW_CODE')).toBe('some new code');
    expect(describeTlsFailure('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'x')).toMatchObject({
      origin: 'alert',
      text: expect.stringContaining('ca file'),
    });
    expect(describeTlsFailure('ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'x')).toMatchObject({
      ...describeTlsFailure('ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'x'),
      code: 'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED',
      alert: { direction: 'received', name: 'certificate expired' },
    });
    expect(describeTlsFailure('ERR_SSL_NEW', 'error:0A000123:SSL routines::some\u001b reason')).toEqual({
      origin: 'local',
      code: 'ERR_SSL_NEW',
      text: 'TLS failed: some  reason',
    });
    expect(describeTlsFailure(undefined, '')).toMatchObject({ origin: 'local', code: 'TLS_ERROR' });
  });
});
