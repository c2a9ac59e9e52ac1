// A throw-away PKI for tests, made with the openssl command: EC P-256, about a second for everything. Two authorities
// (`ca` and `otherCa`) and an intermediate one; every way for a certificate to be wrong has a certificate.

import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of a certificate and its key, PEM. */
export interface Credential {
  readonly cert: string;
  readonly key: string;
}

type KeyKind = 'ec' | 'ec384' | 'rsa' | 'rsa1024' | 'ed25519';

export interface IssueOptions {
  /** File name without extension; also the CN unless `subject` is given. */
  readonly name: string;
  /** As for `openssl -subj`: `/C=DE/O=Example/CN=server`. */
  readonly subject?: string;
  /** Comma-separated extended key usages; default both `serverAuth` and `clientAuth`; empty for none. */
  readonly eku?: string;
  readonly keyUsage?: string;
  /** Further lines of an openssl extension section. */
  readonly extensions?: readonly string[];
  /** `YYYYMMDDHHMMSSZ`. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Key type; default `ec`. */
  readonly key?: KeyKind;
  /** Of the signature; default sha256. */
  readonly digest?: string;
  readonly by?: 'ca' | 'otherCa' | 'intermediate';
}

export interface Pki {
  readonly dir: string;
  readonly ca: Credential;
  /** An authority that the peers do not know. */
  readonly otherCa: Credential;
  /** Signed by `ca`. */
  readonly intermediate: Credential;
  /** `C=DE, O=Example, CN=server`, serverAuth only. */
  readonly server: Credential;
  /** `C=DE, O=Example, CN=client`, clientAuth only. */
  readonly client: Credential;
  /** 2048 bits RSA. */
  readonly rsa: Credential;
  /** The remaining ones are good for both roles but for the one thing that their name says. */
  readonly expired: Credential;
  readonly notYetValid: Credential;
  readonly revoked: Credential;
  /** codeSigning only. */
  readonly wrongEku: Credential;
  /** Issued by `otherCa`. */
  readonly foreign: Credential;
  readonly selfSigned: Credential;
  /** Issued by `intermediate`; `cert` has the leaf and then the intermediate certificate. */
  readonly chained: Credential;
  /** CRL of `ca` that lists `revoked`; the same without any; one whose nextUpdate is past. */
  readonly crl: string;
  readonly emptyCrl: string;
  readonly expiredCrl: string;
  /** CRL of `intermediate`, empty. */
  readonly intermediateCrl: string;
  /** Password of everything encrypted below. */
  readonly password: string;
  /** The client's key as encrypted PKCS#8, and in the traditional form with Proc-Type headers. */
  readonly encryptedKey: string;
  readonly traditionalEncryptedKey: string;
  /** Client certificate, key and CA as PKCS#12: AES with PBKDF2; triple DES; RC2-40 (not there where openssl can't). */
  readonly pkcs12: string;
  readonly pkcs12TripleDes: string;
  readonly pkcs12Rc2: string | undefined;
  issue(options: IssueOptions): Promise<Credential>;
}

/** Makes a PKI in `dir`, which is created. */
export async function makePki(dir: string): Promise<Pki> {
  await mkdir(dir, { recursive: true });
  const openssl = (...args: string[]): Promise<unknown> =>
    run('openssl', args, { cwd: dir, env: { PATH: process.env.PATH ?? '', RANDFILE: join(dir, '.rnd') } });
  const path = (name: string): string => join(dir, name);
  const password = 'corréct horse';

  const authority = async (name: string, subject: string, signedBy?: string): Promise<Credential> => {
    await mkdir(path(`${name}.issued`), { recursive: true });
    await writeFile(path(`${name}.index`), '');
    await writeFile(path(`${name}.index.attr`), 'unique_subject = no\n');
    await writeFile(path(`${name}.crlnumber`), '01\n');
    await writeFile(path(`${name}.cnf`), authorityConfig(name));
    await openssl(
      'req',
      '-config',
      `${name}.cnf`,
      ...newKey('ec'),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-utf8',
      '-subj',
      subject,
    );
    const sign = signedBy === undefined ? ['-selfsign', '-keyfile', `${name}.key`] : [];
    await openssl(
      'ca',
      '-config',
      `${signedBy ?? name}.cnf`,
      ...sign,
      '-batch',
      '-notext',
      '-extensions',
      'authority',
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.crt`,
      '-days',
      '7300',
    );
    return { cert: path(`${name}.crt`), key: path(`${name}.key`) };
  };

  const issue = async (options: IssueOptions): Promise<Credential> => {
    const { name, by = 'ca', eku = 'serverAuth,clientAuth' } = options;
    await writeFile(
      path(`${name}.ext`),
      [
        'basicConstraints = CA:FALSE',
        `keyUsage = ${options.keyUsage ?? 'digitalSignature'}`,
        ...(eku === '' ? [] : [`extendedKeyUsage = ${eku}`]),
        'subjectKeyIdentifier = hash',
        'authorityKeyIdentifier = keyid',
        ...(options.extensions ?? []),
        '',
      ].join('\n'),
    );
    await openssl(
      'req',
      '-config',
      `${by}.cnf`,
      ...newKey(options.key ?? 'ec'),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-utf8',
      '-subj',
      options.subject ?? `/CN=${name}`,
    );
    await openssl(
      'ca',
      '-config',
      `${by}.cnf`,
      '-batch',
      '-notext',
      ...(options.digest === undefined ? [] : ['-md', options.digest]),
      '-extfile',
      `${name}.ext`,
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.crt`,
      '-startdate',
      options.notBefore ?? '20200101000000Z',
      '-enddate',
      options.notAfter ?? '20450101000000Z',
    );
    return { cert: path(`${name}.crt`), key: path(`${name}.key`) };
  };

  const ca = await authority('ca', '/C=DE/O=Example/CN=Example CA');
  const otherCa = await authority('otherCa', '/O=Elsewhere/CN=Other CA');
  const intermediate = await authority('intermediate', '/C=DE/O=Example/CN=Example Intermediate', 'ca');
  const server = await issue({
    name: 'server',
    subject: '/C=DE/O=Example/CN=server',
    eku: 'serverAuth',
    keyUsage: 'digitalSignature,keyEncipherment',
  });
  const client = await issue({ name: 'client', subject: '/C=DE/O=Example/CN=client', eku: 'clientAuth' });
  const rsa = await issue({ name: 'rsa', key: 'rsa', keyUsage: 'digitalSignature,keyEncipherment' });
  const expired = await issue({ name: 'expired', notBefore: '20200101000000Z', notAfter: '20210101000000Z' });
  const notYetValid = await issue({ name: 'notYetValid', notBefore: '20900101000000Z', notAfter: '20950101000000Z' });
  const revoked = await issue({ name: 'revoked' });
  const wrongEku = await issue({ name: 'wrongEku', eku: 'codeSigning' });
  const foreign = await issue({ name: 'foreign', by: 'otherCa' });
  const leaf = await issue({ name: 'chained', by: 'intermediate' });
  await writeFile(
    path('chained.chain.crt'),
    Buffer.concat([await readFile(leaf.cert), await readFile(intermediate.cert)]),
  );

  await openssl(
    'req',
    '-x509',
    '-config',
    'ca.cnf',
    ...newKey('ec'),
    '-keyout',
    'selfSigned.key',
    '-out',
    'selfSigned.crt',
    '-subj',
    '/CN=selfSigned',
    '-days',
    '3650',
  );
  await openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'empty.crl');
  await openssl('ca', '-config', 'intermediate.cnf', '-gencrl', '-out', 'intermediate.crl');
  await openssl('ca', '-config', 'ca.cnf', '-revoke', 'revoked.crt');
  await openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'ca.crl');
  await openssl(
    'ca',
    '-config',
    'ca.cnf',
    '-gencrl',
    '-crl_lastupdate',
    '20200101000000Z',
    '-crl_nextupdate',
    '20210101000000Z',
    '-out',
    'expired.crl',
  );

  await openssl(
    'pkcs8',
    '-topk8',
    '-v2',
    'aes-256-cbc',
    '-in',
    'client.key',
    '-passout',
    `pass:${password}`,
    '-out',
    'client.encrypted.key',
  );
  await openssl('ec', '-aes128', '-in', 'client.key', '-passout', `pass:${password}`, '-out', 'client.traditional.key');
  const pack = [
    'pkcs12',
    '-export',
    '-inkey',
    'client.key',
    '-in',
    'client.crt',
    '-certfile',
    'ca.crt',
    '-name',
    'client',
    '-passout',
    `pass:${password}`,
  ];
  await openssl(...pack, '-out', 'client.p12');
  await openssl(
    ...pack,
    '-certpbe',
    'PBE-SHA1-3DES',
    '-keypbe',
    'PBE-SHA1-3DES',
    '-macalg',
    'sha1',
    '-out',
    'client.3des.p12',
  );
  const rc2 = await openssl(...pack, '-legacy', '-out', 'client.rc2.p12').then(
    () => path('client.rc2.p12'),
    () => undefined,
  );

  return {
    dir,
    ca,
    otherCa,
    intermediate,
    server,
    client,
    rsa,
    expired,
    notYetValid,
    revoked,
    wrongEku,
    foreign,
    selfSigned: { cert: path('selfSigned.crt'), key: path('selfSigned.key') },
    chained: { cert: path('chained.chain.crt'), key: leaf.key },
    crl: path('ca.crl'),
    emptyCrl: path('empty.crl'),
    expiredCrl: path('expired.crl'),
    intermediateCrl: path('intermediate.crl'),
    password,
    encryptedKey: path('client.encrypted.key'),
    traditionalEncryptedKey: path('client.traditional.key'),
    pkcs12: path('client.p12'),
    pkcs12TripleDes: path('client.3des.p12'),
    pkcs12Rc2: rc2,
    issue,
  };
}

function newKey(kind: KeyKind): string[] {
  switch (kind) {
    case 'ec':
      return ['-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    case 'ec384':
      return ['-new', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'];
    case 'rsa1024':
      return ['-new', '-nodes', '-newkey', 'rsa:1024'];
    case 'rsa':
      return ['-new', '-nodes', '-newkey', 'rsa:2048'];
    case 'ed25519':
      return ['-new', '-nodes', '-newkey', 'ed25519'];
  }
}

const authorityConfig = (name: string): string => `
[req]
distinguished_name = empty
prompt = no
[empty]
[ca]
default_ca = authority_settings
[authority_settings]
database = ${name}.index
new_certs_dir = ${name}.issued
certificate = ${name}.crt
private_key = ${name}.key
crlnumber = ${name}.crlnumber
rand_serial = yes
default_md = sha256
default_days = 3650
default_crl_days = 3650
policy = anything
preserve = yes
email_in_dn = yes
[anything]
countryName = optional
stateOrProvinceName = optional
localityName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
emailAddress = optional
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;
