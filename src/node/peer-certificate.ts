// One X.509 certificate (RFC 5280) as the checks, the log and the scripts of OpenVPN see it.
//
//   Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity { notBefore, notAfter },
//     subject, publicKeyInfo, [1] [2] unique ids, [3] extensions }, signatureAlgorithm, signature }

import { createHash, X509Certificate } from 'node:crypto';
import type { PeerCertificate } from '../control/tls-engine.ts';
import type { DerElement } from './der.ts';
import { DerTag, parseChildren, parseDer, parseOid, parseText, parseTime } from './der.ts';
import { cleanField, extensionText, parseAltNames } from './extension-text.ts';

/**
 * A certificate as the control channel wants it; undefined when it is not one that can be understood in full. `known` is
 * the same certificate where Node has read it already, which is the dear part.
 */
export function parsePeerCertificate(
  der: Uint8Array,
  depth: number,
  known?: X509Certificate,
): PeerCertificate | undefined {
  const parts = parseChildren(parseDer(der), DerTag.sequence);
  const tbs = parseChildren(parts?.[0], DerTag.sequence);
  if (parts?.length !== 3 || tbs === undefined) return undefined;
  const at = tbs[0]?.tag === 0xa0 ? 1 : 0;
  const serial = tbs[at];
  const issuer = parseName(tbs[at + 2]);
  const validity = parseChildren(tbs[at + 3], DerTag.sequence);
  const subject = parseName(tbs[at + 4]);
  const extensions = parseExtensions(tbs.slice(at + 6));
  const notBefore = parseTime(validity?.[0]);
  const notAfter = parseTime(validity?.[1]);
  const signature = parseOid(parseChildren(parts[1], DerTag.sequence)?.[0]);
  if (serial?.tag !== DerTag.integer || serial.content.length === 0) return undefined;
  if (issuer === undefined || subject === undefined || extensions === undefined) return undefined;
  if (notBefore === undefined || notAfter === undefined || signature === undefined) return undefined;
  return {
    depth,
    der,
    pem: toPem(der),
    subject: subject.line,
    issuer: issuer.line,
    subjectFields: subject.fields,
    commonName: subject.fields.findLast(([name]) => name === 'CN')?.[1],
    serialHex: serialHex(serial.content),
    notBefore,
    notAfter,
    sha1: new Uint8Array(createHash('sha1').update(der).digest()),
    sha256: new Uint8Array(createHash('sha256').update(der).digest()),
    ...extensions,
    keyDescription: describeKey(der, known),
    signatureAlgorithm: SIGNATURE_NAMES.get(signature) ?? signature,
    extensionText: (name) => extensionText(der, name),
  };
}

/** PEM text of a certificate, or of what the label says, lines of 64 characters. */
export function toPem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  return `-----BEGIN ${label}-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}

/** Serial number as even-length upper-case hexadecimal without the sign octet. */
export function serialHex(content: Uint8Array): string {
  const start = content.length > 1 && content[0] === 0 ? 1 : 0;
  return Buffer.from(content.subarray(start)).toString('hex').toUpperCase();
}

interface Name {
  readonly line: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value }, printed as OpenSSL does with short names and `, ` and ` + `. */
function parseName(element: DerElement | undefined): Name | undefined {
  const sets = parseChildren(element, DerTag.sequence);
  if (sets === undefined) return undefined;
  const groups: string[] = [];
  const fields: [string, string][] = [];
  for (const set of sets) {
    const attributes = parseChildren(set, DerTag.set);
    if (attributes === undefined) return undefined;
    const group: string[] = [];
    for (const attribute of attributes) {
      const [type, value] = parseChildren(attribute, DerTag.sequence) ?? [];
      const oid = parseOid(type);
      if (oid === undefined || value === undefined) return undefined;
      const name = FIELD_NAMES.get(oid);
      const text = parseText(value);
      group.push(`${name ?? oid}=${escapeField(text)}`);
      if (name !== undefined) fields.push([name, cleanField(text)]);
    }
    groups.push(group.join(' + '));
  }
  return { line: groups.join(', '), fields };
}

/** OpenSSL's ASN1_STRFLGS_ESC_CTRL: control characters as `\0A`, the backslash doubled; what is left of C1 and line separators becomes `_`. */
const escapeField = (text: string): string =>
  text
    .replace(/[\x00-\x1f\x7f\\]/g, (c) =>
      c === '\\' ? '\\\\' : `\\${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .replace(/[\x80-\x9f\u2028\u2029]/g, '_');

type Extensions = Pick<
  PeerCertificate,
  'keyUsage' | 'extendedKeyUsage' | 'netscapeCertType' | 'isCa' | 'subjectAltNames' | 'issuerAltNames'
>;

function parseExtensions(rest: readonly DerElement[]): Extensions | undefined {
  const found = new Map<string, Uint8Array>();
  const wrapper = rest.find((element) => element.tag === 0xa3);
  if (wrapper !== undefined) {
    const list = parseChildren(parseDer(wrapper.content), DerTag.sequence);
    if (list === undefined) return undefined;
    for (const extension of list) {
      const fields = parseChildren(extension, DerTag.sequence);
      const oid = parseOid(fields?.[0]);
      const value = fields?.at(-1);
      // Twice the same extension would let two readers see two certificates.
      if (oid === undefined || value?.tag !== DerTag.octetString || found.has(oid)) return undefined;
      found.set(oid, value.content);
    }
  }
  const keyUsage = found.get('2.5.29.15');
  const netscape = found.get('2.16.840.1.113730.1.1');
  const extended = found.get('2.5.29.37');
  const basic = found.get('2.5.29.19');
  const alternative = found.get('2.5.29.17');
  const issuerAlternative = found.get('2.5.29.18');
  const usages = extended && parseChildren(parseDer(extended), DerTag.sequence)?.map((usage) => parseOid(usage) ?? '');
  if (extended !== undefined && usages === undefined) return undefined;
  return {
    keyUsage: keyUsage && parseFirstBits(keyUsage),
    netscapeCertType: netscape && parseFirstBits(netscape),
    extendedKeyUsage: usages,
    isCa: basic !== undefined && parseIsCa(basic),
    subjectAltNames: alternative === undefined ? [] : parseAltNames(alternative),
    issuerAltNames: issuerAlternative === undefined ? [] : parseAltNames(issuerAlternative),
  };
}

/** The first eight bits of a named bit list; an unreadable one has none of them. */
function parseFirstBits(bytes: Uint8Array): number {
  const element = parseDer(bytes);
  return element?.tag === DerTag.bitString ? (element.content[1] ?? 0) : 0;
}

function parseIsCa(bytes: Uint8Array): boolean {
  const first = parseChildren(parseDer(bytes), DerTag.sequence)?.[0];
  return first?.tag === DerTag.boolean && first.content[0] !== 0 && first.content.length === 1;
}

/** `256 bits ECprime256v1`, `2048 bits RSA`: size, OpenSSL's key type, and the curve's name without a space. */
function describeKey(der: Uint8Array, known: X509Certificate | undefined): string {
  try {
    const key = (known ?? new X509Certificate(der)).publicKey;
    const details = key.asymmetricKeyDetails ?? {};
    const type = (key.asymmetricKeyType ?? 'unknown').toUpperCase();
    if (type === 'EC') return `${CURVE_BITS.get(details.namedCurve ?? '') ?? 0} bits EC${details.namedCurve ?? ''}`;
    const bits = details.modulusLength ?? { ED25519: 256, ED448: 456, X25519: 253, X448: 448 }[type as string] ?? 0;
    return `${bits} bits ${type}`;
  } catch {
    return 'key of an unknown type';
  }
}

const CURVE_BITS = new Map([
  ['prime256v1', 256],
  ['secp224r1', 224],
  ['secp256k1', 256],
  ['secp384r1', 384],
  ['secp521r1', 521],
  ['brainpoolP256r1', 256],
  ['brainpoolP384r1', 384],
  ['brainpoolP512r1', 512],
]);

/** OpenSSL's short names of the attribute types that stand in subjects. */
const FIELD_NAMES = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.13', 'description'],
  ['2.5.4.15', 'businessCategory'],
  ['2.5.4.16', 'postalAddress'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.18', 'postOfficeBox'],
  ['2.5.4.20', 'telephoneNumber'],
  ['2.5.4.41', 'name'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.43', 'initials'],
  ['2.5.4.44', 'generationQualifier'],
  ['2.5.4.45', 'x500UniqueIdentifier'],
  ['2.5.4.46', 'dnQualifier'],
  ['2.5.4.65', 'pseudonym'],
  ['2.5.4.72', 'role'],
  ['2.5.4.97', 'organizationIdentifier'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.3', 'mail'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
  ['1.2.840.113549.1.9.2', 'unstructuredName'],
  ['1.2.840.113549.1.9.8', 'unstructuredAddress'],
  ['1.3.6.1.4.1.311.60.2.1.1', 'jurisdictionL'],
  ['1.3.6.1.4.1.311.60.2.1.2', 'jurisdictionST'],
  ['1.3.6.1.4.1.311.60.2.1.3', 'jurisdictionC'],
]);

/** OpenSSL's short names of signature algorithms. */
const SIGNATURE_NAMES = new Map([
  ['1.2.840.113549.1.1.4', 'RSA-MD5'],
  ['1.2.840.113549.1.1.5', 'RSA-SHA1'],
  ['1.2.840.113549.1.1.10', 'RSASSA-PSS'],
  ['1.2.840.113549.1.1.11', 'RSA-SHA256'],
  ['1.2.840.113549.1.1.12', 'RSA-SHA384'],
  ['1.2.840.113549.1.1.13', 'RSA-SHA512'],
  ['1.2.840.113549.1.1.14', 'RSA-SHA224'],
  ['1.3.14.3.2.29', 'RSA-SHA1-2'],
  ['1.2.840.10045.4.1', 'ecdsa-with-SHA1'],
  ['1.2.840.10045.4.3.1', 'ecdsa-with-SHA224'],
  ['1.2.840.10045.4.3.2', 'ecdsa-with-SHA256'],
  ['1.2.840.10045.4.3.3', 'ecdsa-with-SHA384'],
  ['1.2.840.10045.4.3.4', 'ecdsa-with-SHA512'],
  ['1.2.840.10040.4.3', 'DSA-SHA1'],
  ['2.16.840.1.101.3.4.3.2', 'dsa_with_SHA256'],
  ['1.3.101.112', 'ED25519'],
  ['1.3.101.113', 'ED448'],
]);
