import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parsePeerCertificate } from '../../src/node/peer-certificate.ts';
import { judgeChain, type RevocationCheck } from '../../src/node/peer-chain.ts';
import { parsePem, pemBytes } from '../../src/node/pem.ts';
import { findRevoked, revocationState, withoutList } from '../../src/node/revocation.ts';
import { parseRevocationList } from '../../src/node/revocation-list.ts';
import { isSignedBy } from '../../src/node/signature.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-revocation-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NOW = Date.UTC(2030, 0, 1) / 1000;
const certificate = (path: string): X509Certificate => new X509Certificate(readFileSync(path));
const parsed = (path: string) => parsePeerCertificate(new Uint8Array(certificate(path).raw), 0)!;
const listOf = (path: string): Uint8Array => pemBytes(parsePem(readFileSync(path))[0]!);
const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { cwd: join(dir, 'pki'), stdio: 'pipe' });
};

/** A list of `ca` with lines of an extension section, and other arguments. */
function makeList(name: string, extensions: readonly string[], ...args: string[]): Uint8Array {
  const config = join(dir, 'pki', `${name}.cnf`);
  writeFileSync(config, `${readFileSync(join(dir, 'pki', 'ca.cnf'), 'utf8')}\n[list]\n${extensions.join('\n')}\n`);
  openssl('ca', '-config', config, '-gencrl', '-crlexts', 'list', ...args, '-out', `${name}.crl`);
  return listOf(join(dir, 'pki', `${name}.crl`));
}

describe('a certificate by the lists of its issuer', () => {
  const state = (path: string, lists: readonly Uint8Array[], { issuers = [pki.ca.cert], now = NOW } = {}) =>
    revocationState({ certificate: parsed(path), issuers: issuers.map(certificate) }, lists, now);

  it('is revoked if it stands there, and good if not', () => {
    expect(state(pki.revoked.cert, [listOf(pki.crl)])).toEqual({ code: 'CERT_REVOKED' });
    expect(state(pki.revoked.cert, [listOf(pki.emptyCrl)])).toBe('good');
    expect(state(pki.client.cert, [listOf(pki.crl)])).toBe('good');
    expect(state(pki.revoked.cert, [listOf(pki.emptyCrl), listOf(pki.crl)])).toEqual({ code: 'CERT_REVOKED' });
  });

  it('has no list where only those of others are there', () => {
    expect(state(pki.revoked.cert, [])).toBe('missing');
    expect(state(pki.revoked.cert, [listOf(pki.intermediateCrl)])).toBe('missing');
  });

  it('is refused where the list is out of date, unless another one is not', () => {
    expect(state(pki.client.cert, [listOf(pki.expiredCrl)])).toEqual({ code: 'CRL_HAS_EXPIRED' });
    expect(state(pki.client.cert, [listOf(pki.expiredCrl), listOf(pki.crl)])).toBe('good');
    expect(state(pki.revoked.cert, [listOf(pki.expiredCrl), listOf(pki.crl)])).toEqual({ code: 'CERT_REVOKED' });
    const early = { now: Date.UTC(2019, 0, 1) / 1000 };
    expect(state(pki.client.cert, [listOf(pki.expiredCrl)], early)).toEqual({ code: 'CRL_NOT_YET_VALID' });
  });

  it('is refused where the list of its issuer is signed by another key', () => {
    const der = listOf(pki.emptyCrl).slice();
    der[der.length - 1]! ^= 1;
    expect(state(pki.client.cert, [der])).toEqual({ code: 'CRL_SIGNATURE_FAILURE' });
    const impostor = join(dir, 'impostor.crt');
    openssl(
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        `${impostor}.key`,
      ],
      ...['-out', impostor, '-subj', '/C=DE/O=Example/CN=Example CA', '-addext', 'subjectKeyIdentifier=none'],
    );
    const alone = { issuers: [impostor] };
    expect(state(pki.client.cert, [listOf(pki.emptyCrl)], alone)).toEqual({ code: 'CRL_SIGNATURE_FAILURE' });
  });

  it('is not refused for a list that names another key than its issuer’s, which says nothing of it', () => {
    const list = makeList('keyed', ['authorityKeyIdentifier = keyid']);
    expect(state(pki.client.cert, [list])).toBe('good');
    const other = certificate(pki.otherCa.cert);
    const issued = { certificate: parsed(pki.client.cert), issuers: [other] };
    expect(revocationState(issued, [list], NOW)).toBe('missing');
  });

  it('is refused where its issuer may not sign lists', () => {
    const path = join(dir, 'pki', 'no-crl-sign');
    openssl(
      ...['x509', '-new', '-key', 'ca.key', '-subj', '/C=DE/O=Example/CN=Example CA', '-days', '7300', '-out', path],
      ...['-extfile', extensionsFile('keyUsage = critical, keyCertSign')],
    );
    expect(state(pki.client.cert, [listOf(pki.crl)], { issuers: [path] })).toEqual({ code: 'KEYUSAGE_NO_CRL_SIGN' });
  });

  const extensionsFile = (text: string): string => {
    writeFileSync(join(dir, 'pki', 'extra.ext'), `${text}\n`);
    return 'extra.ext';
  };

  it.each([
    ['onlyuser:TRUE', 'client', 'good'],
    ['onlyuser:TRUE', 'intermediate', 'missing'],
    ['onlyCA:TRUE', 'client', 'missing'],
    ['onlyCA:TRUE', 'intermediate', 'good'],
    ['indirectCRL:TRUE', 'client', 'missing'],
    ['onlyAA:TRUE', 'client', 'missing'],
    ['onlysomereasons:keyCompromise', 'client', 'missing'],
  ] as const)('is spoken of by a list with %s as the scope says: %s %s', (scope, who, expected) => {
    const list = makeList('scoped', ['issuingDistributionPoint = critical, @idp', '[idp]', scope.replace(':', ' = ')]);
    expect(state(pki[who].cert, [list])).toBe(expected);
  });

  it('is not judged by a list of changes, and refused by one with a critical extension that nobody knows', () => {
    const delta = makeList('delta', ['2.5.29.27 = critical, DER:02:01:01']);
    expect(state(pki.revoked.cert, [delta])).toBe('missing');
    const odd = makeList('odd', ['1.2.3.4 = critical, DER:05:00']);
    expect(state(pki.client.cert, [odd])).toEqual({ code: 'UNHANDLED_CRITICAL_CRL_EXTENSION' });
    expect(state(pki.client.cert, [makeList('even', ['1.2.3.4 = DER:05:00'])])).toBe('good');
  });

  it('is found among those that are in already', () => {
    const chain = [parsed(pki.revoked.cert), parsed(pki.ca.cert)];
    expect(findRevoked(chain, [listOf(pki.crl)])).toBe(0);
    expect(findRevoked(chain, [listOf(pki.emptyCrl)])).toBe(-1);
    expect(findRevoked([...chain].reverse(), [listOf(pki.crl)])).toBe(1);
  });

  it('tells the authorities that no list is of', () => {
    const authorities = [certificate(pki.ca.cert), certificate(pki.otherCa.cert)];
    expect(withoutList(authorities, [listOf(pki.crl)])).toEqual([authorities[1]]);
  });
});

describe('a chain with lists', () => {
  const judge = (revocation: Partial<RevocationCheck>, leaf = pki.chained.cert, authorities = [pki.ca.cert]) => {
    const [first, second] = parsePem(readFileSync(leaf)).map(({ text }) => new X509Certificate(text));
    // As node:tls hands it over: what the peer sent behind its certificate.
    if (second !== undefined) Object.defineProperty(first!, 'issuerCertificate', { value: second });
    return judgeChain({
      leaf: first,
      authorized: true,
      authorizationError: undefined,
      authorities: authorities.map(certificate),
      revocation: { lists: [], expectsLists: true, serials: undefined, ...revocation },
      securityLevel: 1,
      peerRole: 'client',
      nowSeconds: NOW,
    });
  };
  const depths = (judged: ReturnType<typeof judge>) =>
    judged.ok ? judged.unlisted.map(({ depth }) => depth) : undefined;

  it('is trusted where an issuer has no list, and the certificates without one are named', () => {
    const all = [listOf(pki.crl), listOf(pki.intermediateCrl)];
    expect(judge({ lists: all })).toMatchObject({ verdict: { trusted: true }, unlisted: [] });
    const some = judge({ lists: [listOf(pki.crl)] });
    expect(some).toMatchObject({ verdict: { trusted: true } });
    expect(depths(some)).toEqual([0]);
    expect(depths(judge({ lists: [listOf(pki.intermediateCrl)] }))).toEqual([1, 2]);
    expect(depths(judge({ expectsLists: false }))).toEqual([]);
  });

  it('is refused for any certificate in it', () => {
    openssl('ca', '-config', 'ca.cnf', '-revoke', 'intermediate.crt');
    openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'later.crl');
    const later = listOf(join(dir, 'pki', 'later.crl'));
    expect(judge({ lists: [later] })).toMatchObject({ verdict: { trusted: false, code: 'CERT_REVOKED', depth: 1 } });
    expect(judge({ lists: [later] }, pki.client.cert)).toMatchObject({ verdict: { trusted: true } });
  });

  it('is refused for a certificate of an issuer that it could also have gone through', () => {
    // The intermediate authority was certified a second time, by the same key; the first certificate is revoked.
    openssl(
      'ca',
      ...'-config ca.cnf -batch -notext -extensions authority -days 7300'.split(' '),
      '-in',
      'intermediate.csr',
      '-out',
      'again.crt',
    );
    const again = join(dir, 'pki', 'again.crt');
    const later = listOf(join(dir, 'pki', 'later.crl'));
    const through = [again, pki.intermediate.cert, pki.ca.cert];
    expect(judge({ lists: [later] }, pki.chained.cert, through)).toMatchObject({
      verdict: { trusted: false, code: 'CERT_REVOKED', depth: 1 },
    });
    expect(judge({ lists: [listOf(pki.crl)] }, pki.chained.cert, through)).toMatchObject({
      verdict: { trusted: true },
    });
  });

  it('is refused by a file with the serial number of any certificate in it, or where none can be looked for', () => {
    const numbers: string[] = [];
    const serials = (found: (serial: string) => boolean | { problem: string }) => ({
      serials: { path: 'revoked', stamp: () => undefined, find: found },
    });
    const seen = judge(serials((serial) => numbers.push(serial) < 0));
    expect(seen).toMatchObject({ verdict: { trusted: true } });
    expect(numbers).toEqual(
      [pki.chained.cert, pki.intermediate.cert, pki.ca.cert].map((path) =>
        BigInt(`0x${certificate(path).serialNumber}`).toString(),
      ),
    );
    for (const [depth, number] of numbers.entries()) {
      expect(judge(serials((serial) => serial === number))).toMatchObject({
        verdict: { trusted: false, code: 'SERIAL_REVOKED', depth },
      });
    }
    expect(judge(serials(() => ({ problem: 'Permission denied' })))).toMatchObject({
      verdict: { trusted: false, code: 'SERIALS_UNREADABLE', depth: 0 },
    });
  });
});

it('lists with RSA, RSA-PSS and Ed25519 signatures are verified as those with ECDSA', () => {
  const config = readFileSync(join(dir, 'pki', 'ca.cnf'), 'utf8');
  for (const [name, key, ...options] of [
    ['by-rsa', 'rsa:2048'],
    ['by-pss', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'],
    ['by-ed25519', 'ed25519'],
  ] as const) {
    writeFileSync(join(dir, 'pki', `${name}.cnf`), config.replaceAll(' ca.', ` ${name}.`));
    writeFileSync(join(dir, 'pki', `${name}.index`), '');
    writeFileSync(join(dir, 'pki', `${name}.crlnumber`), '01\n');
    openssl(
      ...['req', '-x509', '-newkey', key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', '/CN=x'],
    );
    const digest = key === 'ed25519' ? ['-md', 'null'] : [];
    openssl('ca', '-config', `${name}.cnf`, '-gencrl', ...digest, ...options, '-out', `${name}.crl`);
    const list = parseRevocationList(listOf(join(dir, 'pki', `${name}.crl`)))!;
    expect([name, isSignedBy(list, certificate(join(dir, 'pki', `${name}.crt`)).publicKey)]).toEqual([name, true]);
    expect(isSignedBy(list, certificate(pki.ca.cert).publicKey)).toBe(false);
    expect(
      isSignedBy({ ...list, signed: list.signed.slice(1) }, certificate(join(dir, 'pki', `${name}.crt`)).publicKey),
    ).toBe(false);
  }
});
