// Certificates, keys, revocation lists and TLS settings of a profile, read and checked once, made into what node:tls
// takes. Everything that can be wrong is told here, with option, file and line; in a handshake it is too late.

import type { X509Certificate } from 'node:crypto';
import { closeSync, constants, opendirSync, openSync, statSync } from 'node:fs';
import type { SecureContext, SecureContextOptions } from 'node:tls';
import { SallyportError } from '../error.ts';
import { type HashedFolder, readHashedFolder } from './hashed-folder.ts';
import { nodeTls } from './lazy-tls.ts';
import { cleanLogText } from './logger.ts';
import {
  type MaterialPorts,
  type MaterialSource,
  problem,
  readBlocks,
  readCertificates,
  sourceName,
} from './material-source.ts';
import { toPem } from './peer-certificate.ts';
import { pemBytes } from './pem.ts';
import { readMaterialFile } from './read-file.ts';
import { withoutList } from './revocation.ts';
import { parseRevocationList } from './revocation-list.ts';
import { openSerialFolder, type SerialFolder } from './serial-folder.ts';
import { readIdentity, readPkcs12 } from './tls-identity.ts';
import { chooseCiphers, chooseGroups, chooseVersions } from './tls-settings.ts';
import { describeTlsFailure } from './tls-words.ts';

type TlsVersion = '1.0' | '1.1' | '1.2' | '1.3';

/** The TLS options of a profile that are about material; the configuration's own record fits. */
export interface TlsMaterialInput {
  readonly ca: MaterialSource | undefined;
  readonly caPath: MaterialSource | undefined;
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
  /** The certificate's key is not here: somebody else signs. */
  readonly keyIsElsewhere?: boolean;
}

/** Checked material: what a TLS engine needs. */
export interface TlsMaterial {
  readonly options: SecureContextOptions;
  /** Made once, shared by all client sessions. */
  readonly context: SecureContext;
  readonly authorities: readonly X509Certificate[];
  /** DER of the CRLs. */
  readonly revocationLists: readonly Uint8Array[];
  /** Serials of revoked certificates as names of files. */
  readonly revokedSerials: SerialFolder | undefined;
  /** Whether a certificate of which no CRL speaks is told of: only where there should be one. */
  readonly expectsLists: boolean;
  /** This side's own certificate. */
  readonly certificate: X509Certificate | undefined;
  /** The same material with CRL file and directories read anew, when one of them has changed; cheap when none has. */
  refresh(): TlsMaterial | undefined;
}

/** Files of the machine. */
export const nodeMaterialFiles: Pick<MaterialPorts, 'read' | 'stamp' | 'list' | 'exists'> = {
  read: readMaterialFile,
  stamp: (path) => {
    try {
      const { mtimeMs, size, ino } = statSync(path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return undefined;
    }
  },
  exists: (path) => {
    try {
      closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  },
  list: (path) => {
    const names: string[] = [];
    const folder = opendirSync(path);
    try {
      for (let entry = folder.readSync(); entry !== null && names.length < MAX_NAMES; entry = folder.readSync())
        names.push(entry.name);
    } finally {
      folder.closeSync();
    }
    return names;
  },
};

/** A folder with more would be none of certificates. */
const MAX_NAMES = 20_000;

/** Reads and checks everything; rejects with a SallyportError that names option, file and line. */
export async function loadTlsMaterial(input: TlsMaterialInput, ports: MaterialPorts): Promise<TlsMaterial> {
  const authorities = input.ca === undefined ? [] : readCertificates('ca', 'CA certificate', input.ca, ports);
  const identity =
    input.pkcs12 === undefined ? await readIdentity(input, ports, input) : await readPkcs12(input.pkcs12, ports);
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
  const { caPath, crlVerify } = input;
  const crlSource = crlVerify?.directory === false ? crlVerify.source : undefined;
  const revokedSerials = crlVerify?.directory === true ? openSerialFolder(crlVerify.source, ports) : undefined;
  const contexts = new Map<string, SecureContext>();
  const material = (parts: ChangingParts): TlsMaterial => {
    const all = [...trusted, ...parts.folder.authorities];
    const options = { ...base, ca: all.map(certificateText) };
    const key = all.map(({ fingerprint256 }) => fingerprint256).join();
    const context = contexts.get(key) ?? createContext(options);
    contexts.clear();
    contexts.set(key, context);
    return {
      options,
      context,
      authorities: all,
      revocationLists: [...parts.lists, ...parts.folder.lists],
      revokedSerials,
      expectsLists: crlSource !== undefined || caPath !== undefined,
      certificate,
      refresh: () => {
        const next = refreshed(parts, crlSource, caPath, ports);
        return next && material(next);
      },
    };
  };
  const loaded = material(readChanging(crlSource, caPath, ports));
  if (crlSource !== undefined) warnAboutCoverage(loaded, crlSource, ports);
  return loaded;
}

/** What is read anew while the program runs, and the stamps by which a change shows. */
interface ChangingParts {
  readonly lists: readonly Uint8Array[];
  readonly folder: HashedFolder;
  readonly listStamp: string | undefined;
  readonly folderStamp: string | undefined;
}

const NO_FOLDER: HashedFolder = { authorities: [], lists: [] };

const stampOf = (source: MaterialSource | undefined, ports: MaterialPorts): string | undefined =>
  source?.kind === 'file' ? ports.stamp(source.path) : undefined;

function readChanging(
  crl: MaterialSource | undefined,
  caPath: MaterialSource | undefined,
  ports: MaterialPorts,
): ChangingParts {
  return {
    listStamp: stampOf(crl, ports),
    folderStamp: stampOf(caPath, ports),
    lists: crl === undefined ? [] : readRevocationLists(crl, ports),
    folder: caPath === undefined ? NO_FOLDER : readHashedFolder(caPath, ports),
  };
}

/** The parts with what has changed; undefined when nothing has. What can't be read stays as it was. */
function refreshed(
  parts: ChangingParts,
  crl: MaterialSource | undefined,
  caPath: MaterialSource | undefined,
  ports: MaterialPorts,
): ChangingParts | undefined {
  const [listStamp, folderStamp] = [stampOf(crl, ports), stampOf(caPath, ports)];
  const now = { ...ports, read: ports.readNow ?? ports.read };
  let next: ChangingParts | undefined;
  if (crl !== undefined && listStamp !== parts.listStamp) {
    next = { ...parts, listStamp };
    try {
      next = { ...next, lists: readRevocationLists(crl, now) };
    } catch (error) {
      ports.warn(`WARNING: the CRL was not reloaded: ${(error as Error).message}; who is revoked now still gets in`);
    }
  }
  if (caPath !== undefined && folderStamp !== parts.folderStamp) {
    next = { ...(next ?? parts), folderStamp };
    try {
      next = { ...next, folder: readHashedFolder(caPath, now) };
    } catch (error) {
      ports.warn(`WARNING: capath was not read again: ${(error as Error).message}; it stays as it was`);
    }
  }
  return next;
}

// SSL_OP_NO_TICKET, NO_RENEGOTIATION, NO_COMPRESSION, CIPHER_SERVER_PREFERENCE: a session is never resumed and never
// renegotiated inside TLS; OpenVPN's renegotiation is a TLS session of its own. Numbers of OpenSSL 3's ssl.h.
const SECURE_OPTIONS = 0x4000 | 0x40000000 | 0x20000 | 0x400000;

/** DER of the CRLs of a source, at least one. */
export function readRevocationLists(source: MaterialSource, ports: Pick<MaterialPorts, 'read'>): readonly Uint8Array[] {
  const what = `CRL: cannot read CRL from file ${sourceName(source)}`;
  return readBlocks('crl-verify', what, 'X509 CRL', source, ports).map((block) => {
    const der = pemBytes(block);
    if (parseRevocationList(der) !== undefined) return der;
    throw problem('crl-verify', source, `${what}: it is damaged`, { hint: 'make it anew or copy it again' });
  });
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

/** As in C, a certificate whose issuer has no list gets in; that is said before it happens. */
function warnAboutCoverage(
  { authorities, revocationLists }: TlsMaterial,
  source: MaterialSource,
  ports: MaterialPorts,
): void {
  for (const authority of withoutList(authorities, revocationLists)) {
    const name = cleanLogText(authority.subject.replaceAll('\n', ', '));
    ports.warn(
      `WARNING: the CRL file ${sourceName(source)} has no CRL of '${name}'; certificates issued by it are not checked for revocation`,
    );
  }
}

const certificateText = (certificate: X509Certificate): string => toPem(certificate.raw);
