import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DerTag,
  parseChildren,
  parseDer,
  parseOid,
  parseSmallInteger,
  parseText,
  parseTime,
  readDer,
} from '../../src/node/der.ts';
import { parsePeerCertificate } from '../../src/node/peer-certificate.ts';
import { parsePkcs12 } from '../../src/node/pkcs12.ts';
import { parseRevocationList } from '../../src/node/revocation-list.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-der-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const element = (tag: number, ...content: number[]) => ({
  tag,
  content: Uint8Array.from(content),
  whole: new Uint8Array(),
});
const ascii = (tag: number, text: string) => element(tag, ...new TextEncoder().encode(text));
const derOf = (path: string): Uint8Array => new Uint8Array(new X509Certificate(readFileSync(path)).raw);

describe('the DER reader', () => {
  it.each([
    ['nothing', []],
    ['a tag alone', [0x30]],
    ['a length longer than the bytes', [0x30, 5, 1, 1]],
    ['the indefinite length', [0x30, 0x80, 0, 0]],
    ['a length of five bytes', [0x30, 0x85, 0, 0, 0, 0, 1, 0]],
    ['a length that is cut off', [0x30, 0x82, 1]],
    ['a high tag number', [0x3f, 0x81, 1, 0]],
    ['an enormous length', [0x30, 0x84, 0xff, 0xff, 0xff, 0xff]],
  ])('refuses %s', (_, bytes) => {
    expect(readDer(Uint8Array.from(bytes))).toBeUndefined();
  });

  it('reads long lengths, and tells leftovers', () => {
    const bytes = Uint8Array.from([0x04, 0x81, 0x80, ...new Array(128).fill(7)]);
    expect(parseDer(bytes)?.content).toHaveLength(128);
    expect(parseDer(Uint8Array.from([...bytes, 0]))).toBeUndefined();
    expect(parseChildren(element(0x30, 2, 1, 5, 2))).toBeUndefined();
    expect(parseChildren(element(0x30, ...new Array(1024 * 2).fill(0)))).toHaveLength(1024);
    expect(parseChildren(element(0x30, ...new Array(1025 * 2).fill(0)))).toBeUndefined();
  });

  it.each([
    [[0x55, 4, 3], '2.5.4.3'],
    [[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d], '1.2.840.113549'],
    [[0x88, 0x37], '2.999'],
    [[], undefined],
    [[0x55, 0x84], undefined],
    [[0x55, ...new Array(40).fill(1)], undefined],
    [[0x55, ...new Array(20).fill(0xff), 1], undefined],
  ])('reads the object identifier %j as %s', (bytes, oid) => {
    expect(parseOid(element(DerTag.oid, ...bytes))).toBe(oid);
  });

  it.each([
    [DerTag.utcTime, '491231235959Z', Date.UTC(2049, 11, 31, 23, 59, 59) / 1000],
    [DerTag.utcTime, '500101000000Z', Date.UTC(1950, 0, 1) / 1000],
    [DerTag.generalizedTime, '20900101000000Z', Date.UTC(2090, 0, 1) / 1000],
    [DerTag.utcTime, '4912312359Z', undefined],
    [DerTag.utcTime, '491331235959Z', undefined],
    [DerTag.generalizedTime, '20900101000000+0100', undefined],
    [DerTag.octetString, '20900101000000Z', undefined],
  ])('reads time of tag %i %s', (tag, text, seconds) => {
    expect(parseTime(ascii(tag, text))).toBe(seconds);
  });

  it('reads small integers and strings of every width', () => {
    expect(parseSmallInteger(element(2, 8, 0))).toBe(2048);
    expect(parseSmallInteger(element(2, 0xff))).toBeUndefined();
    expect(parseSmallInteger(element(2, 1, 1, 1, 1, 1, 1))).toBeUndefined();
    expect(parseText(element(DerTag.bmpString, 0, 0x41, 0x20, 0xac))).toBe('A€');
    expect(parseText(element(DerTag.universalString, 0, 1, 0xf6, 0, 0xff, 0xff, 0xff, 0xff))).toBe('😀\ufffd');
    expect(parseText(element(DerTag.utf8String, 0xc3, 0xa9))).toBe('é');
    expect(parseText(element(0x13, 0x41, 0xe9))).toBe('Aé');
  });

  it('and all that reads through it survive any bytes, cut and changed certificates, lists and PKCS#12', () => {
    const samples = [derOf(pki.server.cert), new Uint8Array(readFileSync(pki.pkcs12)), crlDer(pki.crl)];
    const tryAll = (bytes: Uint8Array): void => {
      parsePeerCertificate(bytes, 0);
      parseRevocationList(bytes);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), tryAll), { numRuns: 300 });
    for (const sample of samples) {
      for (let length = 0; length < sample.length; length += 3) {
        const cut = sample.subarray(0, length);
        expect(parsePeerCertificate(cut, 0)).toBeUndefined();
        expect(parseRevocationList(cut)).toBeUndefined();
        expect(parsePkcs12(cut, '').ok).toBe(false);
      }
      fc.assert(
        fc.property(fc.nat(sample.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
          const changed = sample.slice();
          changed[at]! ^= change;
          tryAll(changed);
        }),
        { numRuns: 300 },
      );
    }
  });
});

function crlDer(path: string): Uint8Array {
  return new Uint8Array(Buffer.from(readFileSync(path, 'latin1').replace(/-----[^-]+-----/g, ''), 'base64'));
}

describe('a peer certificate', () => {
  it('has the fields that checks, log and scripts want, as openssl prints them', async () => {
    const { cert } = await pki.issue({
      name: 'rich',
      subject: '/C=DE/ST=Süd/O=Exämple, Inc/OU=a\\\\b/CN=first/CN=rich/emailAddress=a@example.com',
      eku: 'serverAuth,1.2.3.4',
      keyUsage: 'digitalSignature,keyEncipherment',
      key: 'ec384',
      extensions: [
        'nsCertType = server',
        'subjectAltName = DNS:vpn.example,IP:192.0.2.1,IP:2001:db8::1,email:a@example.com,URI:https://x.example',
      ],
    });
    const parsed = parsePeerCertificate(derOf(cert), 0)!;
    const openssl = (...args: string[]): string =>
      execFileSync('openssl', ['x509', '-in', cert, '-noout', ...args], { encoding: 'utf8' }).trim();
    expect(`subject=${parsed.subject}`).toBe(
      openssl('-subject', '-nameopt', 'sep_comma_plus_space,sname,utf8,esc_ctrl'),
    );
    expect(parsed.subject).toBe(
      'C=DE, ST=Süd, O=Exämple, Inc, OU=a\\\\b, CN=first, CN=rich, emailAddress=a@example.com',
    );
    expect(parsed.issuer).toBe('C=DE, O=Example, CN=Example CA');
    expect(parsed.commonName).toBe('rich');
    expect(parsed.subjectFields.slice(0, 3)).toEqual([
      ['C', 'DE'],
      ['ST', 'Süd'],
      ['O', 'Exämple, Inc'],
    ]);
    expect(`serial=${parsed.serialHex}`).toBe(openssl('-serial'));
    expect(parsed.notBefore).toBe(Date.UTC(2020, 0, 1) / 1000);
    expect(parsed.notAfter).toBe(Date.UTC(2045, 0, 1) / 1000);
    const hex = (bytes: Uint8Array): string =>
      Buffer.from(bytes)
        .toString('hex')
        .toUpperCase()
        .replace(/..(?=.)/g, '$&:');
    expect(openssl('-fingerprint', '-sha256')).toContain(hex(parsed.sha256));
    expect(openssl('-fingerprint', '-sha1')).toContain(hex(parsed.sha1));
    expect(parsed.keyUsage).toBe(0xa0);
    expect(parsed.extendedKeyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.2.3.4']);
    expect(parsed.netscapeCertType).toBe(0x40);
    expect(parsed.isCa).toBe(false);
    expect(parsed.keyDescription).toBe('384 bits ECsecp384r1');
    expect(parsed.signatureAlgorithm).toBe('ecdsa-with-SHA256');
    expect(parsed.subjectAltNames).toEqual([
      'DNS:vpn.example',
      'IP:192.0.2.1',
      'IP:2001:db8:0:0:0:0:0:1',
      'email:a@example.com',
      'URI:https://x.example',
    ]);
    expect(new X509Certificate(parsed.pem).raw.equals(parsed.der)).toBe(true);
  });

  it('says what is absent, and what kind of key there is', async () => {
    const bare = await pki.issue({ name: 'bare', eku: '', key: 'ed25519' });
    expect(parsePeerCertificate(derOf(bare.cert), 0)).toMatchObject({
      extendedKeyUsage: undefined,
      netscapeCertType: undefined,
      subjectAltNames: [],
      issuerAltNames: [],
      keyDescription: '256 bits ED25519',
    });
    expect(parsePeerCertificate(derOf(pki.rsa.cert), 3)).toMatchObject({ depth: 3, keyDescription: '2048 bits RSA' });
    expect(parsePeerCertificate(derOf(pki.ca.cert), 1)).toMatchObject({ isCa: true, keyUsage: 0x06 });
    expect(parsePeerCertificate(derOf(pki.notYetValid.cert), 0)?.notBefore).toBe(Date.UTC(2090, 0, 1) / 1000);
  });

  it('keeps control characters of its names out of lines and fields', async () => {
    // The request can't hold them, so a harmless value is exchanged in the finished certificate.
    const { cert } = await pki.issue({ name: 'evil', subject: '/O=AAAABBBB/CN=evil' });
    const der = derOf(cert);
    const at = Buffer.from(der).indexOf('AAAABBBB');
    der.set([0x0a, 0x1b, 0x00, 0x7f], at);
    const parsed = parsePeerCertificate(der, 0)!;
    expect(parsed.subject).toBe('O=\\0A\\1B\\00\\7FBBBB, CN=evil');
    expect(parsed.subjectFields[0]).toEqual(['O', '____BBBB']);
  });
});

describe('a revocation list', () => {
  it('names its issuer and its serials', () => {
    const list = parseRevocationList(crlDer(pki.crl))!;
    expect([...list.serials]).toEqual([parsePeerCertificate(derOf(pki.revoked.cert), 0)?.serialHex]);
    expect(parseRevocationList(crlDer(pki.emptyCrl))?.serials.size).toBe(0);
  });

  it('is read once, however often the same bytes are asked for', () => {
    const der = crlDer(pki.crl);
    const list = parseRevocationList(der);
    expect(list).toBeDefined();
    expect(parseRevocationList(der)).toBe(list);
    expect(parseRevocationList(der.slice())).not.toBe(list);
  });

  it('says until when it counts', () => {
    expect(parseRevocationList(crlDer(pki.expiredCrl))?.nextUpdate).toBe(Date.UTC(2021, 0, 1) / 1000);
    expect(parseRevocationList(crlDer(pki.crl))?.nextUpdate).toBeGreaterThan(Date.now() / 1000);
  });
});
