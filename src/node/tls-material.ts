// Certificates, keys, revocation lists and TLS settings of a profile, read and checked once, made into what node:tls
// takes. Everything that can be wrong is told here, with option, file and line; in a handshake it is too late.

import type { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { SallyportError } from '../error.ts';
import { nodeTls } from './lazy-tls.ts';
import { cleanLogText } from './logger.ts';
import {
  configError,
  type MaterialPorts,
  type MaterialSource,
  problem,
  readBlocks,
  readCertificates,
  sourceName,
} from './material-source.ts';
import { toPem } from './peer-certificate.ts';
import type { PemBlock } from './pem.ts';
import { MAX_MATERIAL_BYTES, readBoundedFile } from './read-file.ts';
import { parseRevocationList, subjectNameHex } from './revocation-list.ts';
import { readIdentity, readPkcs12 } from './tls-identity.ts';
import { chooseCiphers, chooseGroups, chooseVersions } from './tls-settings.ts';
import { describeTlsFailure } from './tls-words.ts';

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
  read: (path) => readBoundedFile(path, MAX_MATERIAL_BYTES),
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
          return material(readRevocationLists(source, { read: ports.readNow ?? ports.read }), now);
        } catch (error) {
          ports.warn(
            `WARNING: the CRL was not reloaded: ${(error as Error).message}; who is revoked now still gets in`,
          );
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

function readRevocationLists(source: MaterialSource, ports: Pick<MaterialPorts, 'read'>): readonly PemBlock[] {
  const what = `CRL: cannot read CRL from file ${sourceName(source)}`;
  const blocks = readBlocks('crl-verify', what, 'X509 CRL', source, ports);
  try {
    nodeTls().createSecureContext({ ca: [], crl: blocks.map(({ text }) => text) });
  } catch (cause) {
    throw problem('crl-verify', source, `${what}: it is damaged`, { cause, hint: 'make it anew or copy it again' });
  }
  return blocks;
}

function readDh(source: MaterialSource, ports: MaterialPorts): string {
  return readBlocks('dh', `Cannot load DH parameters from ${sourceName(source)}`, 'DH PARAMETERS', source, ports)[0]!
    .text;
}

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
