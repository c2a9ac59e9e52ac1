// By which fields of its certificate a client is known (`x509-username-field`). Facts: OpenVPN 2.7.8.

import type { PeerCertificate, TlsEngineFactory } from './tls-engine.ts';

/** The C program's limits in bytes, of one field and of all together. */
const FIELD_LIMIT_BYTES = 64;
const NAME_LIMIT_BYTES = 255;

/** OpenSSL's long names of attributes, by which a field may be named as well. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['commonName', 'CN'],
  ['surname', 'SN'],
  ['countryName', 'C'],
  ['localityName', 'L'],
  ['stateOrProvinceName', 'ST'],
  ['streetAddress', 'street'],
  ['organizationName', 'O'],
  ['organizationalUnitName', 'OU'],
  ['givenName', 'GN'],
  ['userId', 'UID'],
  ['rfc822Mailbox', 'mail'],
  ['domainComponent', 'DC'],
]);

/**
 * The name: the fields joined by `_`, of each attribute the last one. `serialNumber` is the certificate's own number, as
 * `0x…`; `ext:subjectAltName` and `ext:issuerAltName` stand for the last e-mail address there. `missing`: the field that
 * the certificate has not, or that is too long.
 */
export function certificateName(
  certificate: PeerCertificate,
  fields: readonly string[],
): { readonly name: string } | { readonly missing: string } {
  const parts: string[] = [];
  for (const field of fields) {
    const value = fieldOf(certificate, field);
    if (value === undefined || value === '' || bytesOf(value) > FIELD_LIMIT_BYTES) return { missing: field };
    parts.push(value);
    if (bytesOf(parts.join('_')) > NAME_LIMIT_BYTES) return { missing: field };
  }
  return { name: parts.join('_') };
}

/** The line for the log when a client has no such name; its level is `Level.tlsErrors`. */
export function missingNameLine(certificate: PeerCertificate, field: string): string {
  return `VERIFY ERROR: could not extract ${field} from X509 subject string ('${certificate.subject}') -- note that the field length is limited to ${FIELD_LIMIT_BYTES} characters`;
}

/** Engines whose peer's certificate is named by other fields than CN: its `commonName` is then that name. */
export function namingEngines(engines: TlsEngineFactory, fields: readonly string[]): TlsEngineFactory {
  if (fields.length === 1 && fields[0] === 'CN') return engines;
  return {
    create: (role, listener) =>
      engines.create(role, {
        ciphertext: (bytes) => listener.ciphertext(bytes),
        plaintext: (bytes) => listener.plaintext(bytes),
        failed: (failure) => listener.failed(failure),
        flushed: () => listener.flushed(),
        established(info) {
          const chain = info.chain.map((each) => {
            const found = certificateName(each, fields);
            return { ...each, commonName: 'name' in found ? found.name : undefined };
          });
          listener.established({ ...info, chain });
        },
      }),
  };
}

function fieldOf(certificate: PeerCertificate, field: string): string | undefined {
  if (field === 'ext:subjectAltName') return lastEmail(certificate.subjectAltNames);
  if (field === 'ext:issuerAltName') return lastEmail(certificate.issuerAltNames);
  if (field === 'serialNumber') return `0x${certificate.serialHex}`;
  const name = SHORT_NAMES.get(field) ?? field;
  return certificate.subjectFields.filter(([own]) => own === name).at(-1)?.[1];
}

const lastEmail = (names: readonly string[]): string | undefined =>
  names
    .filter((name) => name.startsWith('email:'))
    .at(-1)
    ?.slice('email:'.length);

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
