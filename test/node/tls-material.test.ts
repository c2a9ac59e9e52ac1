import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SallyportError } from '../../src/error.ts';
import type { MaterialSource } from '../../src/node/material-source.ts';
import { translateCipherName } from '../../src/node/tls-cipher-names.ts';
import type { TlsMaterial, TlsMaterialInput } from '../../src/node/tls-material.ts';
import { loadTlsMaterial, nodeMaterialFiles } from '../../src/node/tls-material.ts';
import { makePki, type Pki } from '../lab/pki.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-material-'));
let pki: Pki;
beforeAll(async () => {
  pki = await makePki(join(dir, 'pki'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const origin = { file: 'office.ovpn', line: 7 };
const file = (path: string): MaterialSource => ({ kind: 'file', path, origin });
const inline = (text: string): MaterialSource => ({ kind: 'inline', text, origin });
const put = (name: string, content: string | Uint8Array): MaterialSource => {
  writeFileSync(join(dir, name), content);
  return file(join(dir, name));
};
const text = (path: string): string => readFileSync(path, 'utf8');

/** The group ffdhe2048 of RFC 7919, as `openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048` writes it. */
const DH = `-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
`;

interface Loaded {
  readonly material: TlsMaterial;
  readonly warnings: readonly string[];
  readonly asked: number;
}

async function load(change: Partial<TlsMaterialInput>, passphrase = 'nobody asked'): Promise<Loaded> {
  const warnings: string[] = [];
  let asked = 0;
  const input: TlsMaterialInput = {
    ca: file(pki.ca.cert),
    caPath: undefined,
    cert: file(pki.client.cert),
    key: file(pki.client.key),
    pkcs12: undefined,
    extraCerts: undefined,
    dh: undefined,
    crlVerify: undefined,
    versionMin: undefined,
    versionMax: undefined,
    cipherList: undefined,
    cipherSuites: undefined,
    groups: undefined,
    certProfile: undefined,
    ...change,
  };
  const material = await loadTlsMaterial(input, {
    ...nodeMaterialFiles,
    passphrase: async () => {
      asked++;
      return passphrase;
    },
    warn: (line) => warnings.push(line),
  });
  return { material, warnings, asked };
}

const refusal = async (change: Partial<TlsMaterialInput>, passphrase?: string): Promise<SallyportError> => {
  const error = await load(change, passphrase).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SallyportError);
  return error as SallyportError;
};

describe('TLS material', () => {
  it('is read from files and from the profile itself alike', async () => {
    const fromFiles = await load({});
    const fromText = await load({
      ca: inline(text(pki.ca.cert)),
      cert: inline(text(pki.client.cert)),
      key: inline(text(pki.client.key)),
    });
    expect(fromText.material.options.cert).toBe(fromFiles.material.options.cert);
    expect(fromText.material.options.ca).toEqual(fromFiles.material.options.ca);
    expect(fromFiles.warnings).toEqual([]);
  });

  it('is found behind text, with CR LF, a byte-order mark, and several authorities in one file', async () => {
    const both = `\ufeffBag Attributes\r\n    name: x\r\n${text(pki.ca.cert).replaceAll('\n', '\r\n')}junk\r\n${text(pki.otherCa.cert)}`;
    const { material } = await load({ ca: put('two.crt', both) });
    expect(material.authorities.map(({ subject }) => subject.split('\n').at(-1))).toEqual([
      'CN=Example CA',
      'CN=Other CA',
    ]);
  });

  it('sends the whole chain of the cert file and of extra-certs, and trusts none of it', async () => {
    const { material } = await load({
      cert: file(pki.chained.cert),
      key: file(pki.chained.key),
      extraCerts: file(pki.otherCa.cert),
    });
    expect((material.options.cert as string).match(/BEGIN/g)).toHaveLength(3);
    expect(material.authorities).toHaveLength(1);
  });

  it('without ca trusts nobody rather than the authorities of the system', async () => {
    const { material } = await load({ ca: undefined });
    expect(material.options.ca).toEqual([]);
  });

  it.each(['encryptedKey', 'traditionalEncryptedKey'] as const)(
    'opens the %s with its passphrase, asked for once',
    async (name) => {
      expect((await load({ key: file(pki[name]) }, pki.password)).asked).toBe(1);
      const error = await refusal({ key: file(pki[name]) }, 'wrong');
      expect(error.message).toBe(`Cannot load private key file ${pki[name]}: wrong passphrase (key, office.ovpn:7)`);
      expect(error.hint).toContain('askpass');
    },
  );

  it('calls a passphrase wrong also when what it decrypts to has an end that looks right', async () => {
    const key = readFileSync(pki.traditionalEncryptedKey);
    const codeOf = (passphrase: string): string | undefined => {
      try {
        createPrivateKey({ key, passphrase });
        return undefined;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };
    let index = 0;
    while (codeOf(`wrong ${index}`) === 'ERR_OSSL_BAD_DECRYPT') index++;
    expect(codeOf(`wrong ${index}`)).toBe('ERR_OSSL_UNSUPPORTED');
    const error = await refusal({ key: file(pki.traditionalEncryptedKey) }, `wrong ${index}`);
    expect(error.message).toContain(': wrong passphrase (key, office.ovpn:7)');
  });

  it.each(['pkcs12', 'pkcs12TripleDes'] as const)(
    'takes %s apart: identity, and authorities only where ca names none',
    async (name) => {
      const none = { cert: undefined, key: undefined, pkcs12: file(pki[name]) };
      const alone = await load({ ...none, ca: undefined }, pki.password);
      expect(alone.asked).toBe(1);
      expect(alone.material.certificate?.subject).toContain('CN=client');
      expect(alone.material.authorities.map(({ subject }) => subject)).toEqual(['C=DE\nO=Example\nCN=Example CA']);
      const named = await load({ ...none, ca: file(pki.otherCa.cert) }, pki.password);
      expect(named.material.authorities.map(({ subject }) => subject)).toEqual(['O=Elsewhere\nCN=Other CA']);
      expect((named.material.options.cert as string).match(/BEGIN/g)).toHaveLength(2);
      expect((await refusal(none, 'wrong')).message).toContain('wrong password');
      const base64 = readFileSync(pki[name]).toString('base64').replace(/.{64}/g, '$&\n');
      expect((await load({ ...none, pkcs12: inline(base64) }, pki.password)).material.certificate?.subject).toContain(
        'CN=client',
      );
    },
  );

  it('takes a PKCS#12 file without password without asking, and tells how to repack an old one', async () => {
    const path = join(dir, 'open.p12');
    execFileSync('openssl', [
      'pkcs12',
      '-export',
      '-inkey',
      pki.client.key,
      '-in',
      pki.client.cert,
      '-passout',
      'pass:',
      '-out',
      path,
    ]);
    const none = { cert: undefined, key: undefined };
    expect((await load({ ...none, pkcs12: file(path) })).asked).toBe(0);
    if (pki.pkcs12Rc2 === undefined) return;
    const error = await refusal({ ...none, pkcs12: file(pki.pkcs12Rc2) }, pki.password);
    expect(error.message).toContain('RC2 with 40 bits');
    expect(error.hint).toContain('openssl pkcs12 -legacy');
  });

  it('says of each wrong file what is wrong, where it is named, and what to do', async () => {
    const der = execFileSync('openssl', ['x509', '-in', pki.ca.cert, '-outform', 'der']);
    const cut = text(pki.ca.cert).slice(0, 300);
    const damaged = text(pki.ca.cert).replace(/\n([A-Za-z0-9+/]{20})/, '\nAAAAAAAAAAAAAAAAAAAA');
    const rows: readonly (readonly [Partial<TlsMaterialInput>, RegExp])[] = [
      [{ ca: file(join(dir, 'none.crt')) }, /Cannot load CA certificate file .*none.crt: No such file or directory/],
      [{ ca: file(dir) }, /the file is a directory/],
      [{ ca: put('empty', '') }, /the file is empty/],
      [{ ca: put('ca.der', der) }, /not PEM: it looks like DER/],
      [{ ca: put('ca.cut', cut) }, /its PEM block is not whole/],
      [{ ca: put('ca.damaged', damaged) }, /certificate 1 of 1 is damaged/],
      [{ ca: put('ca.utf16', Buffer.from(text(pki.ca.cert), 'utf16le')) }, /UTF-16/],
      [{ ca: put('ca.txt', 'hello') }, /not PEM: there is no BEGIN line/],
      [{ cert: file(pki.client.key) }, /Cannot load certificate file .*: it has PRIVATE KEY but no certificate/],
      [{ key: file(pki.client.cert) }, /Cannot load private key file .*: it has CERTIFICATE but no private key/],
      [{ key: file(pki.server.key) }, /Private key does not match the certificate/],
      [{ key: undefined }, /cert is given without key/],
      [{ cert: undefined }, /key is given without cert/],
      [{ cert: undefined, key: undefined, pkcs12: file(pki.client.cert) }, /it is not PKCS#12/],
      [
        { crlVerify: { source: file(pki.ca.cert), directory: false } },
        /CRL: cannot read CRL from file .*: it has CERTIFICATE/,
      ],
      [
        { crlVerify: { source: file(join(dir, 'no-folder')), directory: true } },
        /CRL: cannot look into the directory .*no-folder/,
      ],
      [
        { crlVerify: { source: put('cut.crl', text(pki.crl).replace(/\nMI/, '\nMA')), directory: false } },
        /it is damaged/,
      ],
      [{ extraCerts: inline('nothing') }, /Cannot load extra-certs file: \[\[INLINE\]\]/],
      [{ dh: inline('nothing') }, /Cannot load DH parameters from \[\[INLINE\]\]/],
      [{ dh: file(join(dir, 'none.pem')) }, /Cannot load DH parameters from .*none\.pem: No such file or directory/],
      [{ dh: put('dh.txt', 'hello') }, /Cannot load DH parameters from .*dh\.txt: not PEM: there is no BEGIN line/],
      [{ dh: put('dh.cut', DH.slice(0, 200)) }, /Cannot load DH parameters from .*dh\.cut: its PEM block is not whole/],
      [{ dh: file(pki.ca.cert) }, /Cannot load DH parameters from .*: it has CERTIFICATE but no DH PARAMETERS/],
      [{ caPath: file(join(dir, 'no-folder')) }, /Cannot read the directory .*no-folder: No such file or directory/],
      [{ caPath: file(pki.ca.cert) }, /Cannot read the directory .*ca.crt: Not a directory/],
    ];
    for (const [change, words] of rows) {
      const error = await refusal(change);
      expect(error.message).toMatch(words);
      expect(error).toMatchObject({ code: 'SALLYPORT_CONFIG', blame: 'config', retry: false });
      expect(error.hint).toBeDefined();
      if (!/without/.test(error.message))
        expect(error.message).toMatch(/\((ca|capath|cert|key|pkcs12|crl-verify|extra-certs|dh), office\.ovpn:7\)$/);
    }
  });

  it('has the Diffie-Hellman parameters of the dh file, and none without it', async () => {
    expect((await load({ dh: put('dh.pem', `text around it\n${DH}`) })).material.options.dhparam).toBe(DH);
    expect((await load({})).material.options).not.toHaveProperty('dhparam');
  });

  it('warns of an own certificate that has expired or is not yet valid, and goes on', async () => {
    const past = await load({ cert: file(pki.expired.cert), key: file(pki.expired.key) });
    expect(past.warnings[0]).toMatch(/^WARNING: Your certificate has expired! .*2021/);
    const future = await load({ cert: file(pki.notYetValid.cert), key: file(pki.notYetValid.key) });
    expect(future.warnings[0]).toMatch(/^WARNING: Your certificate is not yet valid! .*2090/);
  });

  it('warns of an authority without a CRL', async () => {
    const crlVerify = { source: file(pki.crl), directory: false };
    expect((await load({ crlVerify })).warnings).toEqual([]);
    const two = put('both.crt', text(pki.ca.cert) + text(pki.otherCa.cert));
    expect((await load({ ca: two, crlVerify })).warnings).toEqual([
      expect.stringContaining("has no CRL of 'O=Elsewhere, CN=Other CA'"),
    ]);
  });

  it('reads the CRL file anew when it changes, and keeps the old one when it becomes unreadable', async () => {
    const path = join(dir, 'live.crl');
    copyFileSync(pki.emptyCrl, path);
    const { material, warnings } = await load({ crlVerify: { source: file(path), directory: false } });
    expect(material.refresh()).toBeUndefined();
    rmSync(path);
    copyFileSync(pki.crl, path);
    const second = material.refresh()!;
    expect(second.revocationLists).not.toEqual(material.revocationLists);
    expect(second.refresh()).toBeUndefined();
    writeFileSync(path, 'broken');
    const third = second.refresh()!;
    expect(third.revocationLists).toEqual(second.revocationLists);
    // OpenSSL is not given the lists, so the context is the same one.
    expect(third.context).toBe(material.context);
    expect(warnings).toEqual([expect.stringContaining('the CRL was not reloaded')]);
    expect(third.refresh()).toBeUndefined();
  });
});

describe('TLS settings', () => {
  it('allow TLS 1.2 and 1.3 by default, and the bounds of the profile', async () => {
    expect((await load({})).material.options).toMatchObject({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' });
    expect((await load({ versionMin: '1.3' })).material.options).toMatchObject({ minVersion: 'TLSv1.3' });
    expect((await load({ versionMax: '1.2' })).material.options).toMatchObject({ maxVersion: 'TLSv1.2' });
    expect((await refusal({ versionMin: '1.3', versionMax: '1.2' })).message).toContain('higher than');
  });

  it.each([
    ['TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
    ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['TLS-DHE-RSA-WITH-AES-256-CBC-SHA', 'DHE-RSA-AES256-SHA'],
    ['TLS_RSA_WITH_AES_128_CBC_SHA256', 'AES128-SHA256'],
    ['TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8', 'ECDHE-ECDSA-AES256-CCM8'],
    ['TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA', 'DHE-RSA-CAMELLIA256-SHA'],
    ['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
    ['TLS_NO_SUCH_THING', 'TLS_NO_SUCH_THING'],
  ])('know %s as %s', (iana, openssl) => {
    expect(translateCipherName(iana)).toBe(openssl);
  });

  it('translate tls-cipher, leave unknown names out with a warning, and never end with none', async () => {
    const { material, warnings } = await load({
      cipherList: 'TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384:NO-SUCH:TLS_AES_128_GCM_SHA256:!kRSA',
    });
    expect(material.options.ciphers?.split(':').slice(0, 3)).toEqual([
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      '!kRSA',
      '@SECLEVEL=1',
    ]);
    expect(warnings).toHaveLength(2);
    expect(warnings.join()).toContain("'NO-SUCH' is not known");
    expect(warnings.join()).toContain('belongs to tls-ciphersuites');
    expect((await refusal({ cipherList: 'NO-SUCH:TLS_NEITHER' })).message).toContain('no cipher');
    expect((await refusal({ cipherSuites: 'AES' })).message).toContain('no known TLS 1.3');
    expect((await load({ cipherSuites: 'TLS-AES-128-GCM-SHA256' })).material.options.ciphers).toMatch(
      /:TLS_AES_128_GCM_SHA256$/,
    );
  });

  it('leave groups out that the library lacks', async () => {
    const { material, warnings } = await load({ groups: 'NO-SUCH-GROUP:X25519:secp384r1' });
    expect(material.options.ecdhCurve).toBe('X25519:secp384r1');
    expect(warnings).toEqual([expect.stringContaining("'NO-SUCH-GROUP' is not known")]);
    expect((await refusal({ groups: 'NO-SUCH-GROUP' })).message).toContain('no group');
  });

  it.each([
    ['insecure', 0],
    ['legacy', 1],
    ['preferred', 2],
    ['suiteb', 3],
  ] as const)('make the profile %s security level %i, unless the list has its own', async (certProfile, level) => {
    expect((await load({ certProfile })).material.options.ciphers).toContain(`@SECLEVEL=${level}`);
    const own = await load({ certProfile, cipherList: 'DEFAULT:@SECLEVEL=0' });
    expect(own.material.options.ciphers?.match(/@SECLEVEL=/g)).toHaveLength(1);
  });
});
