// Certificates, keys, revocation lists and TLS settings of a profile, read and checked once, made into what node:tls
// takes. Everything that can be wrong is told here, with option, file and line; in a handshake it is too late.

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { SallyportError } from '../error.ts';
import { nodeTls } from './lazy-tls.ts';
import { cleanLogText } from './logger.ts';
import { toPem } from './peer-certificate.ts';
import { explainNoPem, type PemBlock, parsePem } from './pem.ts';
import { parsePkcs12 } from './pkcs12.ts';
import { parseRevocationList, subjectNameHex } from './revocation-list.ts';
import { chooseCiphers, chooseGroups, chooseVersions } from './tls-settings.ts';
import { describeTlsFailure } from './tls-words.ts';

/** Where an option stood. */
export interface MaterialOrigin {
  readonly file: string;
  readonly line: number;
}

export type MaterialSource =
  | { readonly kind: 'file'; readonly path: string; readonly origin: MaterialOrigin }
  | { readonly kind: 'inline'; readonly text: string; readonly origin: MaterialOrigin };

type TlsVersion = '1.0' | '1.1' | '1.2' | '1.3';

/** The TLS options of a profile that are about material; the configuration's own record fits. */
export interface TlsMaterialInput {
  readonly ca: MaterialSource | undefined;
  readonly caPath: string | undefined;
  readonly cert: MaterialSource | undefined;
  readonly key: MaterialSource | undefined;
  readonly pkcs12: MaterialSource | undefined;
  readonly extraCerts: MaterialSource | undefined;
  readonly dh: MaterialSource | undefined;
  readonly crlVerify: { readonly source: MaterialSource; readonly directory: boolean } | undefined;
  readonly versionMin: TlsVersion | undefined;
  readonly versionMax: TlsVersion | undefined;
  readonly cipherList: string | undefined;
  readonly cipherSuites: string | undefined;
  readonly groups: string | undefined;
  readonly certProfile: 'insecure' | 'legacy' | 'preferred' | 'suiteb' | undefined;
}

/** What loading needs from outside. `nodeMaterialFiles` answers the first two. */
export interface MaterialPorts {
  /** The bytes of a file; throws an error with an errno `code`. */
  read(path: string): Uint8Array;
  /** A text that changes when the file does; undefined when it can't be looked at. */
  stamp(path: string): string | undefined;
  /** Asks for the passphrase of the private key. */
  passphrase(): Promise<string>;
  warn(text: string): void;
}

/** Checked material: what a TLS engine needs. */
export interface TlsMaterial {
  readonly options: SecureContextOptions;
  /** Made once, shared by all client sessions. */
  readonly context: SecureContext;
  readonly authorities: readonly X509Certificate[];
  /** DER of the CRLs. */
  readonly revocationLists: readonly Uint8Array[];
  /** This side's own certificate. */
  readonly certificate: X509Certificate | undefined;
  /** The same material with the CRL file read anew, when the file has changed; cheap when it has not. */
  refresh(): TlsMaterial | undefined;
}

/** Files of the machine. */
export const nodeMaterialFiles: Pick<MaterialPorts, 'read' | 'stamp'> = {
  read: (path) => readFileSync(path),
  stamp: (path) => {
    try {
      const { mtimeMs, size, ino } = statSync(path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return undefined;
    }
  },
};

/** Reads and checks everything; rejects with a SallyportError that names option, file and line. */
export async function loadTlsMaterial(input: TlsMaterialInput, ports: MaterialPorts): Promise<TlsMaterial> {
  if (input.caPath !== undefined)
    throw configError(
      `capath '${input.caPath}' is not supported yet`,
      'put the certificates into one file and name it with ca',
    );
  if (input.crlVerify?.directory === true)
    throw configError(
      'crl-verify with a directory is not supported yet',
      'name one CRL file in PEM form with crl-verify',
    );

  const authorities = input.ca === undefined ? [] : readCertificates('ca', 'CA certificate', input.ca, ports);
  const identity =
    input.pkcs12 === undefined ? await readIdentity(input, ports) : await readPkcs12(input.pkcs12, ports);
  const extra =
    input.extraCerts === undefined ? [] : readCertificates('extra-certs', 'extra-certs', input.extraCerts, ports);
  // As in C: authorities in a PKCS#12 file are trusted only where no `ca` names them.
  const trusted = input.ca === undefined ? identity.others : authorities;
  const certificates = [
    identity.certificate,
    ...(input.ca === undefined ? [] : identity.others),
    ...identity.chain,
    ...extra,
  ];
  const certificate = identity.certificate;
  if (certificate !== undefined) warnAboutDates(certificate, ports);

  const base: SecureContextOptions = {
    ca: trusted.map(certificateText),
    ...(certificate === undefined
      ? {}
      : { cert: certificates.map((one) => (one === undefined ? '' : certificateText(one))).join('') }),
    ...(identity.key === undefined ? {} : { key: identity.key.export({ type: 'pkcs8', format: 'pem' }) }),
    ...(input.dh === undefined ? {} : { dhparam: readDh(input.dh, ports) }),
    ...chooseVersions(input),
    ...chooseCiphers(input, ports.warn),
    ...chooseGroups(input, ports.warn),
    secureOptions: SECURE_OPTIONS,
  };
  const material = (crl: readonly PemBlock[], stamp: string | undefined): TlsMaterial => {
    const options = crl.length === 0 ? base : { ...base, crl: crl.map((block) => block.text) };
    return {
      options,
      context: createContext(options),
      authorities: trusted,
      revocationLists: crl.map(
        (block) => new Uint8Array(Buffer.from(block.text.replace(/-----[^-]+-----/g, ''), 'base64')),
      ),
      certificate,
      refresh: () => {
        const source = input.crlVerify?.source;
        if (source?.kind !== 'file') return undefined;
        const now = ports.stamp(source.path);
        if (now === stamp) return undefined;
        try {
          return material(readRevocationLists(source, ports), now);
        } catch (error) {
          ports.warn(`WARNING: the CRL was not reloaded: ${(error as Error).message}`);
          return material(crl, now);
        }
      },
    };
  };
  const source = input.crlVerify?.source;
  if (source === undefined) return material([], undefined);
  const stamp = source.kind === 'file' ? ports.stamp(source.path) : undefined;
  const loaded = material(readRevocationLists(source, ports), stamp);
  warnAboutCoverage(loaded, source, ports);
  return loaded;
}

// SSL_OP_NO_TICKET, NO_RENEGOTIATION, NO_COMPRESSION, CIPHER_SERVER_PREFERENCE: a session is never resumed and never
// renegotiated inside TLS; OpenVPN's renegotiation is a TLS session of its own. Numbers of OpenSSL 3's ssl.h.
const SECURE_OPTIONS = 0x4000 | 0x40000000 | 0x20000 | 0x400000;

interface Identity {
  readonly certificate: X509Certificate | undefined;
  readonly key: KeyObject | undefined;
  /** Further certificates of the cert file: sent, not trusted. */
  readonly chain: readonly X509Certificate[];
  /** Further certificates of a PKCS#12 file. */
  readonly others: readonly X509Certificate[];
}

async function readIdentity(input: TlsMaterialInput, ports: MaterialPorts): Promise<Identity> {
  if (input.cert === undefined && input.key === undefined)
    return { certificate: undefined, key: undefined, chain: [], others: [] };
  if (input.cert === undefined) throw configError('key is given without cert', 'add cert, or remove key');
  if (input.key === undefined) throw configError('cert is given without key', 'add key, or remove cert');
  const [certificate, ...chain] = readCertificates('cert', 'certificate', input.cert, ports);
  const key = await readKey(input.key, ports);
  if (certificate?.checkPrivateKey(key) !== true) {
    const name = sourceName(input.cert);
    throw problem('key', input.key, `Private key does not match the certificate ${name}`, {
      hint: 'both have to come from the same request; check whether files of two certificates were mixed',
    });
  }
  return { certificate, key, chain, others: [] };
}

async function readKey(source: MaterialSource, ports: MaterialPorts): Promise<KeyObject> {
  const what = `Cannot load private key file ${sourceName(source)}`;
  const bytes = readSource('key', what, source, ports);
  const block = parsePem(bytes).find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) {
    const { text, hint } = explainNoPem(bytes, 'private key');
    throw problem('key', source, `${what}: ${text}`, { hint });
  }
  const encrypted = block.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(block.text);
  const passphrase = encrypted ? await ports.passphrase() : undefined;
  try {
    return createPrivateKey({ key: block.text, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? '';
    if (encrypted && code === 'ERR_OSSL_BAD_DECRYPT')
      throw problem('key', source, `${what}: wrong passphrase`, {
        cause,
        hint: 'check the passphrase, or the file of askpass',
      });
    throw problem(
      'key',
      source,
      encrypted
        ? `${what}: it can't be decrypted, or its kind is not supported`
        : `${what}: it is damaged, or its kind is not supported`,
      {
        cause,
        hint: `check it with: openssl pkey -noout -in ${source.kind === 'file' ? source.path : 'FILE'}`,
      },
    );
  }
}

async function readPkcs12(source: MaterialSource, ports: MaterialPorts): Promise<Identity> {
  const name = sourceName(source);
  const what = source.kind === 'inline' ? 'Error reading inline PKCS#12 file' : `Error reading PKCS#12 file ${name}`;
  const read = readSource('pkcs12', what, source, ports);
  const bytes = source.kind === 'inline' ? new Uint8Array(Buffer.from(source.text, 'base64')) : read;
  // As in C: most files have a password, some have the empty one and nobody should be asked.
  let result = parsePkcs12(bytes, '');
  if (!result.ok && result.reason === 'wrong-password') result = parsePkcs12(bytes, await ports.passphrase());
  if (!result.ok) {
    if (result.reason === 'wrong-password')
      throw problem('pkcs12', source, `Decoding PKCS12 failed: wrong password for ${name}`, {
        hint: 'check the password',
      });
    if (result.reason === 'unsupported')
      throw problem('pkcs12', source, `Decoding PKCS12 failed: ${name}: ${result.detail}`, {
        hint: 'pack it anew: openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW',
      });
    throw problem('pkcs12', source, `${what}: it is not PKCS#12: ${result.detail}`, {
      hint: 'a PEM file belongs to cert, key and ca',
    });
  }
  if (result.key === undefined) throw problem('pkcs12', source, `${what}: there is no private key in it`, {});
  let key: KeyObject;
  let certificates: X509Certificate[];
  try {
    key = createPrivateKey({ key: Buffer.from(result.key), format: 'der', type: 'pkcs8' });
    certificates = result.certificates.map((der) => new X509Certificate(der));
  } catch (cause) {
    throw problem('pkcs12', source, `${what}: its key or a certificate is damaged`, { cause });
  }
  const certificate = certificates.find((one) => one.checkPrivateKey(key));
  if (certificate === undefined)
    throw problem('pkcs12', source, `${what}: Private key does not match the certificate in it`, {});
  return { certificate, key, chain: [], others: certificates.filter((one) => one !== certificate) };
}

function readCertificates(
  option: string,
  kind: string,
  source: MaterialSource,
  ports: MaterialPorts,
): X509Certificate[] {
  const what =
    option === 'extra-certs'
      ? `Cannot load extra-certs file: ${sourceName(source)}`
      : `Cannot load ${kind} file ${sourceName(source)}`;
  const bytes = readSource(option, what, source, ports);
  const blocks = parsePem(bytes).filter(({ label }) => label === 'CERTIFICATE');
  if (blocks.length === 0) {
    const { text, hint } = explainNoPem(bytes, 'certificate');
    throw problem(option, source, `${what}: ${text}`, { hint });
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block.text);
    } catch (cause) {
      throw problem(option, source, `${what}: certificate ${index + 1} of ${blocks.length} is damaged`, {
        cause,
        hint: 'copy the file again; a line may be missing or changed',
      });
    }
  });
}

function readRevocationLists(source: MaterialSource, ports: MaterialPorts): readonly PemBlock[] {
  const what = `CRL: cannot read CRL from file ${sourceName(source)}`;
  const bytes = readSource('crl-verify', what, source, ports);
  const blocks = parsePem(bytes).filter(({ label }) => label === 'X509 CRL');
  if (blocks.length === 0) {
    const { text, hint } = explainNoPem(bytes, 'X509 CRL');
    throw problem('crl-verify', source, `${what}: ${text}`, { hint });
  }
  try {
    nodeTls().createSecureContext({ ca: [], crl: blocks.map(({ text }) => text) });
  } catch (cause) {
    throw problem('crl-verify', source, `${what}: it is damaged`, { cause, hint: 'make it anew or copy it again' });
  }
  return blocks;
}

function readDh(source: MaterialSource, ports: MaterialPorts): string {
  const what = `Cannot load DH parameters from ${sourceName(source)}`;
  const bytes = readSource('dh', what, source, ports);
  const block = parsePem(bytes).find(({ label }) => label === 'DH PARAMETERS');
  if (block !== undefined) return block.text;
  const { text, hint } = explainNoPem(bytes, 'DH PARAMETERS');
  throw problem('dh', source, `${what}: ${text}`, { hint });
}

function readSource(option: string, what: string, source: MaterialSource, ports: MaterialPorts): Uint8Array {
  if (source.kind === 'inline') return new TextEncoder().encode(source.text);
  try {
    return ports.read(source.path);
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? '';
    const [text, hint] = READ_ERRORS.get(code) ?? [`it can't be read (${code || (cause as Error).message})`, undefined];
    throw problem(option, source, `${what}: ${text}`, { cause, ...(hint === undefined ? {} : { hint }) });
  }
}

const READ_ERRORS = new Map<string, readonly [text: string, hint: string]>([
  ['ENOENT', ['No such file or directory', 'a relative path counts from the directory of the start, or from cd']],
  ['EACCES', ['Permission denied', 'the file must be readable for the user that starts the program']],
  ['EPERM', ['Operation not permitted', 'the file must be readable for the user that starts the program']],
  ['EISDIR', ['the file is a directory', 'name a file in it']],
]);

function createContext(options: SecureContextOptions): SecureContext {
  try {
    return nodeTls().createSecureContext(options);
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string };
    const { text } = describeTlsFailure(code, message);
    throw new SallyportError(`the TLS material can't be used together: ${text}`, {
      code: 'SALLYPORT_CONFIG',
      blame: 'config',
      cause,
      hint: 'compare the keys and signatures of the certificates with tls-cert-profile and tls-cipher',
    });
  }
}

function warnAboutDates(certificate: X509Certificate, ports: MaterialPorts): void {
  const now = Date.now();
  if (Date.parse(certificate.validFrom) > now)
    ports.warn(`WARNING: Your certificate is not yet valid! (valid from ${certificate.validFrom})`);
  if (Date.parse(certificate.validTo) < now)
    ports.warn(`WARNING: Your certificate has expired! (on ${certificate.validTo})`);
}

/**
 * OpenSSL wants a CRL of every authority in a chain. C lets a missing one pass; node:tls tells only one code, behind which
 * a worse one may stand, so here such a chain is refused, and that is said before it happens.
 */
function warnAboutCoverage(
  { authorities, revocationLists }: TlsMaterial,
  source: MaterialSource,
  ports: MaterialPorts,
): void {
  const issuers = new Set(revocationLists.map((der) => parseRevocationList(der)?.issuerHex));
  for (const authority of authorities) {
    if (issuers.has(subjectNameHex(authority.raw))) continue;
    const name = cleanLogText(authority.subject.replaceAll('\n', ', '));
    ports.warn(
      `WARNING: the CRL file ${sourceName(source)} has no CRL of '${name}'; certificates issued by it will be refused (unable to get certificate CRL)`,
    );
  }
}

const certificateText = (certificate: X509Certificate): string => toPem(certificate.raw);

/** The C program's name of a source in its messages. */
const sourceName = (source: MaterialSource): string => (source.kind === 'file' ? source.path : '[[INLINE]]');

const configError = (message: string, hint: string): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config', hint });

function problem(
  option: string,
  { origin }: MaterialSource,
  text: string,
  more: { hint?: string; cause?: unknown },
): SallyportError {
  return new SallyportError(`${text} (${option}, ${origin.file}:${origin.line})`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    ...more,
  });
}
