// Names of what stands in a certificate, as OpenSSL knows them, for `x509-track`.

/** What a name of `x509-track` stands for. */
export type CertificateField =
  /** An attribute of the subject, by its short name. */
  | { readonly kind: 'subject'; readonly name: string }
  /** An extension, by its short name. */
  | { readonly kind: 'extension'; readonly name: string }
  | { readonly kind: 'digest'; readonly name: 'SHA1' | 'SHA256' }
  /** OpenSSL knows it; here nobody can put it into words. */
  | { readonly kind: 'unwritten' };

/** What a name stands for: short, long or dotted, as OpenSSL takes it; undefined for a name that nobody knows. */
export function certificateField(name: string): CertificateField | undefined {
  if (name === 'SHA1' || name === 'SHA256') return { kind: 'digest', name };
  if (name === 'sha1' || name === 'sha256') return { kind: 'digest', name: name === 'sha1' ? 'SHA1' : 'SHA256' };
  const find = (rows: readonly Row[]): Row | undefined => rows.find((row) => row.includes(name));
  const [subject, extension] = [find(SUBJECT), find(EXTENSIONS)];
  if (subject !== undefined) return { kind: 'subject', name: subject[1] };
  if (extension !== undefined) return { kind: 'extension', name: extension[1] };
  return UNWRITTEN.includes(name) || /^[0-2](\.[0-9]{1,10}){1,20}$/.test(name) ? { kind: 'unwritten' } : undefined;
}

type Row = readonly [oid: string, short: string, long: string];

const SUBJECT: readonly Row[] = [
  ['2.5.4.3', 'CN', 'commonName'],
  ['2.5.4.4', 'SN', 'surname'],
  ['2.5.4.5', 'serialNumber', 'serialNumber'],
  ['2.5.4.6', 'C', 'countryName'],
  ['2.5.4.7', 'L', 'localityName'],
  ['2.5.4.8', 'ST', 'stateOrProvinceName'],
  ['2.5.4.9', 'street', 'streetAddress'],
  ['2.5.4.10', 'O', 'organizationName'],
  ['2.5.4.11', 'OU', 'organizationalUnitName'],
  ['2.5.4.12', 'title', 'title'],
  ['2.5.4.13', 'description', 'description'],
  ['2.5.4.15', 'businessCategory', 'businessCategory'],
  ['2.5.4.16', 'postalAddress', 'postalAddress'],
  ['2.5.4.17', 'postalCode', 'postalCode'],
  ['2.5.4.18', 'postOfficeBox', 'postOfficeBox'],
  ['2.5.4.20', 'telephoneNumber', 'telephoneNumber'],
  ['2.5.4.41', 'name', 'name'],
  ['2.5.4.42', 'GN', 'givenName'],
  ['2.5.4.43', 'initials', 'initials'],
  ['2.5.4.44', 'generationQualifier', 'generationQualifier'],
  ['2.5.4.45', 'x500UniqueIdentifier', 'x500UniqueIdentifier'],
  ['2.5.4.46', 'dnQualifier', 'dnQualifier'],
  ['2.5.4.65', 'pseudonym', 'pseudonym'],
  ['2.5.4.72', 'role', 'role'],
  ['2.5.4.97', 'organizationIdentifier', 'organizationIdentifier'],
  ['0.9.2342.19200300.100.1.1', 'UID', 'userId'],
  ['0.9.2342.19200300.100.1.3', 'mail', 'rfc822Mailbox'],
  ['0.9.2342.19200300.100.1.25', 'DC', 'domainComponent'],
  ['1.2.840.113549.1.9.1', 'emailAddress', 'emailAddress'],
  ['1.2.840.113549.1.9.2', 'unstructuredName', 'unstructuredName'],
  ['1.2.840.113549.1.9.8', 'unstructuredAddress', 'unstructuredAddress'],
];

const EXTENSIONS: readonly Row[] = [
  ['2.5.29.14', 'subjectKeyIdentifier', 'X509v3 Subject Key Identifier'],
  ['2.5.29.15', 'keyUsage', 'X509v3 Key Usage'],
  ['2.5.29.17', 'subjectAltName', 'X509v3 Subject Alternative Name'],
  ['2.5.29.18', 'issuerAltName', 'X509v3 Issuer Alternative Name'],
  ['2.5.29.19', 'basicConstraints', 'X509v3 Basic Constraints'],
  ['2.5.29.35', 'authorityKeyIdentifier', 'X509v3 Authority Key Identifier'],
  ['2.5.29.37', 'extendedKeyUsage', 'X509v3 Extended Key Usage'],
];

const UNWRITTEN: readonly string[] = [
  'certificatePolicies',
  'crlDistributionPoints',
  'authorityInfoAccess',
  'subjectInfoAccess',
  'nameConstraints',
  'policyConstraints',
  'policyMappings',
  'inhibitAnyPolicy',
  'subjectDirectoryAttributes',
  'freshestCRL',
  'privateKeyUsagePeriod',
  'tlsfeature',
  'ct_precert_scts',
  'nsCertType',
  'nsComment',
  'nsBaseUrl',
  'nsRevocationUrl',
  'nsCaRevocationUrl',
  'nsRenewalUrl',
  'nsCaPolicyUrl',
  'nsSslServerName',
];
