// Certificates and revocation lists, made with @peculiar/x509.

import 'reflect-metadata';
import { X509Certificate as NodeCertificate, randomBytes, type webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509Crl,
  X509CrlGenerator,
  X509CrlReason,
} from '@peculiar/x509';
import { parsePem, toPem } from '../../src/pki.ts';
import type { SigningKey } from './keys.ts';

export type Role = 'server' | 'client';

/** What a certificate says, as far as this program asks. */
export interface CertificateFacts {
  /** Upper case hexadecimal, an even number of digits. */
  readonly serial: string;
  readonly notAfterUnix: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  readonly isServer: boolean;
  readonly isClient: boolean;
}

const EKU_SERVER = '1.3.6.1.5.5.7.3.1';
const EKU_CLIENT = '1.3.6.1.5.5.7.3.2';
const EKU: Readonly<Record<Role, string>> = { server: EKU_SERVER, client: EKU_CLIENT };
const CRL_NUMBER = '2.5.29.20';
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';

/** What is signed now is valid for a peer whose clock is an hour late. */
const BACKDATE_SECONDS = 3600;

/** The first certificate of a PEM file, text around it left out; undefined when there is none. */
export function certificatePem(text: string): string | undefined {
  return pemBlocks(text, 'CERTIFICATE')[0];
}

/** The blocks of a PEM file that have this label, each as text. */
export function pemBlocks(text: string, label: 'CERTIFICATE' | 'X509 CRL'): readonly string[] {
  const blocks = parsePem(Buffer.from(text, 'latin1'));
  return blocks.filter((block) => block.label === label).map((block) => block.text);
}

/** Reads a certificate; undefined when it is none. */
export function readCertificate(text: string): CertificateFacts | undefined {
  const pem = certificatePem(text);
  if (pem === undefined) return undefined;
  try {
    const certificate = new NodeCertificate(pem);
    // Node's name for the extended key usages.
    const usages: readonly string[] = (certificate.keyUsage as readonly string[] | undefined) ?? [];
    return {
      serial: evenHex(certificate.serialNumber),
      notAfterUnix: Date.parse(certificate.validTo) / 1000,
      publicKey: certificate.publicKey.export({ type: 'spki', format: 'der' }),
      isServer: usages.includes(EKU_SERVER),
      isClient: usages.includes(EKU_CLIENT),
    };
  } catch {
    return undefined;
  }
}

/** 128 random bits as 32 digits, with the sign bit clear and the first byte not zero. */
export function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex').toUpperCase();
}

export interface Validity {
  readonly nowUnix: number;
  readonly notAfterUnix: number;
}

const datesOf = ({ nowUnix, notAfterUnix }: Validity): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date((nowUnix - BACKDATE_SECONDS) * 1000),
  notAfter: new Date(notAfterUnix * 1000),
});

/** A self-signed authority certificate, PEM. `publicKey`: SubjectPublicKeyInfo. */
export async function makeAuthority(
  name: string,
  publicKey: Uint8Array,
  signing: SigningKey,
  validity: Validity,
): Promise<string> {
  const subject = commonName(name);
  const keyId = await SubjectKeyIdentifierExtension.create(source(publicKey));
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject,
    issuer: subject,
    ...datesOf(validity),
    publicKey: source(publicKey),
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      keyId,
      new AuthorityKeyIdentifierExtension(keyId.keyId),
    ],
  });
  return toPem(new Uint8Array(certificate.rawData));
}

export interface LeafRequest extends Validity {
  readonly role: Role;
  readonly serial: string;
  /** A new common name, or the certificate whose subject and alternative names are taken over. */
  readonly subject:
    | { readonly name: string; readonly alternativeNames: readonly AlternativeName[] }
    | { readonly like: string };
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly isRsa: boolean;
}

export interface AlternativeName {
  readonly type: 'dns' | 'ip' | 'email';
  readonly value: string;
}

/** A certificate signed by the authority, PEM. */
export async function makeCertificate(
  request: LeafRequest,
  authorityPem: string,
  signing: SigningKey,
): Promise<string> {
  const authority = new X509Certificate(authorityPem);
  const { subject } = request;
  const old = 'like' in subject ? new X509Certificate(subject.like) : undefined;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: request.serial,
    subject: 'like' in subject ? old!.subjectName : commonName(subject.name),
    issuer: authority.subjectName,
    ...datesOf(request),
    publicKey: source(request.publicKey),
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(usagesOf(request), true),
      new ExtendedKeyUsageExtension([EKU[request.role]]),
      await SubjectKeyIdentifierExtension.create(source(request.publicKey)),
      await authorityKeyId(authority),
      ...('like' in subject ? keptNames(old!) : namesExtension(subject.alternativeNames)),
    ],
  });
  return toPem(new Uint8Array(certificate.rawData));
}

// What remote-cert-tls of every OpenVPN takes: before 2.5 it held key usages to two exact sets for a server.
function usagesOf({ role, isRsa }: LeafRequest): KeyUsageFlags {
  if (role === 'client') return KeyUsageFlags.digitalSignature;
  return KeyUsageFlags.digitalSignature | (isRsa ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement);
}

const namesExtension = (names: readonly AlternativeName[]): Extension[] =>
  names.length === 0 ? [] : [new SubjectAlternativeNameExtension([...names])];

function keptNames(old: X509Certificate): Extension[] {
  const kept = old.getExtension(SUBJECT_ALTERNATIVE_NAME);
  return kept === null ? [] : [kept];
}

// The authority's own identifier, by whatever method it was made; else the usual digest of its key.
async function authorityKeyId(authority: X509Certificate): Promise<Extension> {
  const own = authority.getExtension(SubjectKeyIdentifierExtension);
  return own === null
    ? AuthorityKeyIdentifierExtension.create(authority.publicKey)
    : new AuthorityKeyIdentifierExtension(own.keyId);
}

export interface Revocation {
  readonly serial: string;
  readonly revokedUnix: number;
  /** As openssl writes it into an index. */
  readonly reason: string | undefined;
}

/** Reasons of RFC 5280 by the names that openssl's index has. */
export const REASONS: Readonly<Record<string, X509CrlReason>> = {
  unspecified: X509CrlReason.unspecified,
  keyCompromise: X509CrlReason.keyCompromise,
  CACompromise: X509CrlReason.cACompromise,
  affiliationChanged: X509CrlReason.affiliationChanged,
  superseded: X509CrlReason.superseded,
  cessationOfOperation: X509CrlReason.cessationOfOperation,
  certificateHold: X509CrlReason.certificateHold,
};

/** A revocation list, PEM with the label that OpenSSL and OpenVPN read. `number` grows with every list. */
export async function makeRevocationList(
  revocations: readonly Revocation[],
  number: bigint,
  authorityPem: string,
  signing: SigningKey,
  validity: Validity,
): Promise<string> {
  const authority = new X509Certificate(authorityPem);
  const { notBefore, notAfter } = datesOf(validity);
  const list = await X509CrlGenerator.create({
    issuer: authority.subjectName,
    thisUpdate: notBefore,
    nextUpdate: notAfter,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    entries: revocations.map(({ serial, revokedUnix, reason }) => {
      const code = reason === undefined ? undefined : REASONS[reason.split(',')[0]!];
      const withReason = code === undefined || code === X509CrlReason.unspecified ? {} : { reason: code };
      return { serialNumber: serial, revocationDate: new Date(revokedUnix * 1000), ...withReason };
    }),
    extensions: [await authorityKeyId(authority), new Extension(CRL_NUMBER, false, derInteger(number))],
  });
  // The library's own label, `CRL`, is one that OpenSSL refuses.
  return toPem(new Uint8Array(list.rawData), 'X509 CRL');
}

/** What a revocation list says. */
export interface RevocationListFacts {
  readonly thisUpdateUnix: number;
  readonly nextUpdateUnix: number | undefined;
  readonly serials: ReadonlySet<string>;
}

/** Reads a revocation list; undefined when it is none. */
export function readRevocationList(text: string): RevocationListFacts | undefined {
  const pem = pemBlocks(text, 'X509 CRL')[0];
  if (pem === undefined) return undefined;
  try {
    const list = new X509Crl(PemConverter.decode(pem)[0]!);
    const { nextUpdate, thisUpdate } = list;
    return {
      thisUpdateUnix: thisUpdate.getTime() / 1000,
      nextUpdateUnix: nextUpdate === undefined ? undefined : nextUpdate.getTime() / 1000,
      serials: new Set(list.entries.map(({ serialNumber }) => evenHex(serialNumber))),
    };
  } catch {
    return undefined;
  }
}

/** The common name of a certificate's subject, or an empty string. */
export function subjectName(pem: string): string {
  return new X509Certificate(pem).subjectName.getField('CN')[0] ?? '';
}

/** Upper case, an even number of digits, as the index has serials; a leading zero byte is DER's, not the number's. */
function evenHex(text: string): string {
  const digits = text.replace(/^0+(?=.)/, '').toUpperCase();
  return digits.length % 2 === 0 ? digits : `0${digits}`;
}

function derInteger(value: bigint): Uint8Array<ArrayBuffer> {
  const hex = value.toString(16);
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`;
  const content = Buffer.from(Number.parseInt(digits.slice(0, 2), 16) >= 0x80 ? `00${digits}` : digits, 'hex');
  return new Uint8Array([0x02, content.length, ...content]);
}

const commonName = (name: string): Name => new Name([{ CN: [{ utf8String: name }] }]);

const source = (bytes: Uint8Array): webcrypto.BufferSource => new Uint8Array(bytes);
