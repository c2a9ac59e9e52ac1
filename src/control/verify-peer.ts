// The judgement on the peer's certificate: a pure function over what TLS found. Log lines are the C program's
// (ssl_verify.c); each way to fail has a sentence and a hint of its own.

import { SallyportError } from '../error.ts';
import { Level, type LogFlags } from '../log.ts';
import { decimalOfHex, formatHex } from '../wire/hex.ts';
import { KEY_PURPOSES } from '../wire/key-purposes.ts';
import { sameBytes } from '../wire/reader.ts';
import { certificateName, missingNameLine } from './certificate-name.ts';
import type { PeerCertificate, TlsEstablished } from './tls-engine.ts';

/** Checks beyond the chain itself. */
export interface PeerChecks {
  readonly requireCertificate: boolean;
  readonly keyUsages: readonly number[] | 'required' | undefined;
  readonly extendedKeyUsage: string | undefined;
  readonly netscapeCertType: 'client' | 'server' | undefined;
  /** Fields that must name a client; undefined: it may be nameless. */
  readonly nameFields?: readonly string[] | undefined;
  readonly name: { readonly name: string; readonly type: 'subject' | 'name' | 'name-prefix' } | undefined;
  /** SHA-256 fingerprints of the peer's own certificate; with `withoutCa` the chain's verdict does not count. */
  readonly fingerprints: readonly Uint8Array[];
  readonly withoutCa: boolean;
  /** `verify-hash`: allowed digests of the certificate at depth 1. */
  readonly issuerHash: { readonly digest: 'SHA1' | 'SHA256'; readonly hashes: readonly Uint8Array[] } | undefined;
}

export type LogLine = readonly [flags: LogFlags, text: string];

export interface PeerJudgement {
  /** undefined: the peer is who it should be. */
  readonly error: SallyportError | undefined;
  readonly lines: readonly LogLine[];
}

/** Judges the peer. `unixSeconds` says on which side of its dates a certificate is refused. */
export function verifyPeer(established: TlsEstablished, checks: PeerChecks, unixSeconds: number): PeerJudgement {
  const lines: LogLine[] = [];
  try {
    judge(established, checks, unixSeconds, lines);
    return { error: undefined, lines };
  } catch (error) {
    if (error instanceof SallyportError) return { error, lines };
    throw error;
  }
}

function judge(info: TlsEstablished, checks: PeerChecks, unixSeconds: number, lines: LogLine[]): void {
  if (info.resumed) {
    lines.push([Level.tlsErrors, 'VERIFY ERROR: the TLS session was resumed without a certificate']);
    throw refuse(
      'The peer resumed an old TLS session instead of proving who it is',
      'Switch TLS session tickets off at the peer.',
    );
  }
  const leaf = info.chain[0];
  if (leaf === undefined) {
    if (!checks.requireCertificate) return;
    lines.push([Level.tlsErrors, 'VERIFY ERROR: depth=0, the peer did not send a certificate']);
    throw refuse('The peer sent no certificate', 'A server needs cert and key; check what listens at this address.');
  }
  if (!info.verdict.trusted && !checks.withoutCa) refuseChain(info, info.verdict, unixSeconds, lines);
  if (checks.withoutCa && checks.fingerprints.length === 0) {
    throw refuse('There is neither a CA nor a fingerprint to check the peer with', 'Add ca or peer-fingerprint.');
  }

  for (const certificate of info.unlisted ?? []) {
    const { depth, subject } = certificate;
    lines.push([Level.tlsDebugLow, `VERIFY WARNING: depth=${depth}, unable to get certificate CRL: ${subject}`]);
  }
  checkIssuerHash(info.chain, checks, lines);
  const chain = checks.withoutCa ? [leaf] : info.chain;
  for (const certificate of [...chain].reverse()) {
    if (certificate.depth === 0) checkLeaf(certificate, checks, unixSeconds, lines);
    lines.push([Level.handshake, `VERIFY OK: depth=${certificate.depth}, ${certificate.subject}`]);
  }
}

function checkLeaf(leaf: PeerCertificate, checks: PeerChecks, unixSeconds: number, lines: LogLine[]): void {
  checkNamed(leaf, checks, lines);
  checkFingerprint(leaf, checks, unixSeconds, lines);
  checkNetscapeType(leaf, checks, lines);
  checkKeyUsage(leaf, checks, lines);
  checkExtendedKeyUsage(leaf, checks, lines);
  checkName(leaf, checks, lines);
}

function refuseChain(
  info: TlsEstablished,
  verdict: Extract<TlsEstablished['verdict'], { trusted: false }>,
  unixSeconds: number,
  lines: LogLine[],
): never {
  const expired = info.chain.find((each) => each.notAfter < unixSeconds);
  const early = info.chain.find((each) => each.notBefore > unixSeconds);
  const byDepth = info.chain.find((each) => each.depth === verdict.depth);
  const guess =
    verdict.code === 'CERT_HAS_EXPIRED' ? expired : verdict.code === 'CERT_NOT_YET_VALID' ? early : undefined;
  const culprit = byDepth ?? guess ?? (info.chain[0] as PeerCertificate);
  const { depth, subject } = culprit;
  const serial = decimalOfHex(culprit.serialHex);
  if (verdict.code === 'SERIAL_REVOKED') {
    lines.push([Level.handshake, `VERIFY CRL: depth=${depth}, ${subject}, serial=${serial} is revoked`]);
  } else {
    lines.push([Level.tlsErrors, `VERIFY ERROR: depth=${depth}, error=${verdict.text}: ${subject}, serial=${serial}`]);
  }
  const [words, hint] = CHAIN_WORDS[verdict.code] ?? [
    `is not accepted (${verdict.text})`,
    'Check that ca names the authority that signed the peer, and that the chain is complete.',
  ];
  throw refuse(`The certificate of ${describe(culprit)} ${words}`, hint, UNCHECKED.has(verdict.code));
}

/** The certificate may be good: it is this side that can't tell now. */
const UNCHECKED: ReadonlySet<string> = new Set([
  'SERIALS_UNREADABLE',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
  'CRL_SIGNATURE_FAILURE',
  'KEYUSAGE_NO_CRL_SIGN',
  'UNHANDLED_CRITICAL_CRL_EXTENSION',
]);

/** By OpenSSL's names of the verdict: what is wrong, and what to do. */
const CHAIN_WORDS: Readonly<Record<string, readonly [words: string, hint: string]>> = {
  CERT_HAS_EXPIRED: ['has expired', 'Renew it at the peer, and check the clock of this machine.'],
  CERT_NOT_YET_VALID: ['is not valid yet', 'Check the clocks of this machine and of the one that issued it.'],
  CERT_REVOKED: ['was revoked', 'The authority took it back (crl-verify); the peer needs a new certificate.'],
  SERIAL_REVOKED: [
    'was revoked',
    'There is a file with its serial number in the directory of crl-verify; the peer needs a new certificate.',
  ],
  SERIALS_UNREADABLE: [
    'cannot be checked: the directory of crl-verify cannot be looked into',
    'It must be there and readable for the user that this program runs as, also inside chroot.',
  ],
  CRL_HAS_EXPIRED: ['cannot be checked: the revocation list has expired', 'Fetch a new list for crl-verify.'],
  CRL_NOT_YET_VALID: ['cannot be checked: the revocation list is not valid yet', 'Check the clock of this machine.'],
  CRL_SIGNATURE_FAILURE: [
    'cannot be checked: the revocation list is not signed by its issuer',
    'Fetch the list anew, from the authority that ca names.',
  ],
  KEYUSAGE_NO_CRL_SIGN: [
    'cannot be checked: its issuer may not sign revocation lists',
    'The certificate of the authority needs the key usage cRLSign.',
  ],
  UNHANDLED_CRITICAL_CRL_EXTENSION: [
    'cannot be checked: the revocation list has a critical extension that is not understood',
    'Have the list made without it.',
  ],
  INVALID_PURPOSE: [
    'may not be used for this: wrong key usage or extended key usage',
    'A server needs a certificate for TLS servers (serverAuth), a client one for TLS clients (clientAuth).',
  ],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    'is self-signed and not trusted',
    'Give its authority as ca, or trust this one by peer-fingerprint.',
  ],
  SELF_SIGNED_CERT_IN_CHAIN: [
    'comes from an authority that is not trusted',
    'Check that ca is the authority of this very server.',
  ],
  UNABLE_TO_GET_ISSUER_CERT: ['comes from an authority that is not known', 'Add the missing authority to ca.'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['comes from an authority that is not known', 'Add the missing authority to ca.'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    'comes from an authority that is not known',
    'Check that ca is the authority of this very server.',
  ],
  CERT_SIGNATURE_FAILURE: [
    'has a wrong signature',
    'The certificate or ca is not the right one; somebody may be in between.',
  ],
  CA_MD_TOO_WEAK: [
    'is signed with a digest that is too weak',
    'Have it issued again with SHA-256; tls-cert-profile insecure lowers the bar.',
  ],
  EE_KEY_TOO_SMALL: [
    'has a key that is too short',
    'Have it issued again with a longer key; tls-cert-profile insecure lowers the bar.',
  ],
  CA_KEY_TOO_SMALL: [
    'has an authority whose key is too short',
    'The authority must be renewed; tls-cert-profile insecure lowers the bar.',
  ],
  CERT_CHAIN_TOO_LONG: ['has too long a chain', 'Shorten the chain that the peer sends.'],
};

function checkFingerprint(leaf: PeerCertificate, checks: PeerChecks, unixSeconds: number, lines: LogLine[]): void {
  if (checks.fingerprints.length === 0) return;
  const got = formatHex(leaf.sha256, ':');
  if (!checks.fingerprints.some((hash) => sameBytes(hash, leaf.sha256))) {
    lines.push(hashFailedLine(got));
    throw refuse(
      `The certificate of ${describe(leaf)} has the fingerprint ${got}, which peer-fingerprint does not list`,
      'If this is the right peer, put this fingerprint into peer-fingerprint.',
    );
  }
  if (!checks.withoutCa) return;
  // Without a CA the library's verdict is no judge (it stops at "self-signed"), so the dates are looked at here.
  const state =
    leaf.notAfter < unixSeconds ? 'CERT_HAS_EXPIRED' : leaf.notBefore > unixSeconds ? 'CERT_NOT_YET_VALID' : undefined;
  if (state === undefined) return;
  const [words, hint] = CHAIN_WORDS[state] ?? ['', ''];
  const text = state === 'CERT_HAS_EXPIRED' ? 'certificate has expired' : 'certificate is not yet valid';
  lines.push([
    Level.tlsErrors,
    `VERIFY ERROR: depth=0, error=${text}: ${leaf.subject}, serial=${decimalOfHex(leaf.serialHex)}`,
  ]);
  throw refuse(`The certificate of ${describe(leaf)} ${words}`, hint);
}

function checkIssuerHash(chain: readonly PeerCertificate[], checks: PeerChecks, lines: LogLine[]): void {
  if (checks.issuerHash === undefined) return;
  const { digest, hashes } = checks.issuerHash;
  const issuer = chain.find((each) => each.depth === 1);
  if (issuer === undefined) {
    throw refuse(
      'The peer has no issuer certificate to compare with verify-hash',
      'verify-hash looks at depth 1 of the chain.',
    );
  }
  const hash = digest === 'SHA1' ? issuer.sha1 : issuer.sha256;
  if (hashes.some((allowed) => sameBytes(allowed, hash))) return;
  lines.push(hashFailedLine(formatHex(hash, ':')));
  throw refuse(
    `The issuer ${describe(issuer)} has the ${digest} hash ${formatHex(hash, ':')}, which verify-hash does not list`,
    'If this is the right authority, put this hash into verify-hash.',
  );
}

const NETSCAPE_BITS = { client: 0x80, server: 0x40 } as const;
const PURPOSE_OID = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;

function checkNetscapeType(leaf: PeerCertificate, checks: PeerChecks, lines: LogLine[]): void {
  const type = checks.netscapeCertType;
  if (type === undefined) return;
  const word = type.toUpperCase();
  // As X509_check_purpose: what the certificate does not restrict, it allows.
  const byType = leaf.netscapeCertType === undefined || (leaf.netscapeCertType & NETSCAPE_BITS[type]) !== 0;
  const byEku = leaf.extendedKeyUsage === undefined || leaf.extendedKeyUsage.includes(PURPOSE_OID[type]);
  if (byType && byEku) {
    lines.push([Level.handshake, `VERIFY OK: nsCertType=${word}`]);
    return;
  }
  lines.push([Level.handshake, `VERIFY nsCertType ERROR: ${leaf.subject}, require nsCertType=${word}`]);
  throw refuse(
    `The certificate of ${describe(leaf)} is not one for a ${type} (ns-cert-type ${type})`,
    `Use remote-cert-tls ${type} and a certificate that was issued for a TLS ${type}.`,
  );
}

function checkKeyUsage(leaf: PeerCertificate, checks: PeerChecks, lines: LogLine[]): void {
  const allowed = checks.keyUsages;
  if (allowed === undefined || (allowed !== 'required' && allowed.length === 0)) return;
  const wrong = (message: string) => {
    lines.push([Level.handshake, 'VERIFY KU ERROR']);
    return refuse(message, 'Have the certificate issued with the right key usage, or change remote-cert-ku.');
  };
  if (leaf.keyUsage === undefined) {
    lines.push([Level.tlsErrors, 'Certificate does not have key usage extension']);
    throw wrong(`The certificate of ${describe(leaf)} states no key usage`);
  }
  if (allowed !== 'required') {
    const usage = (leaf.keyUsage & 0xff) === 0 ? leaf.keyUsage >> 8 : leaf.keyUsage;
    lines.push([Level.handshake, 'Validating certificate key usage']);
    if (!allowed.some((bits) => bits !== 0 && (usage & bits) === bits)) {
      const list = allowed.map(hex4);
      lines.push([Level.tlsErrors, `ERROR: Certificate has key usage ${hex4(usage)}, expected one of:`]);
      for (const bits of list) lines.push([Level.tlsErrors, ` * ${bits}`]);
      throw wrong(
        `The certificate of ${describe(leaf)} has the key usage ${hex4(usage)}, expected one of ${list.join(', ')}`,
      );
    }
  }
  lines.push([Level.handshake, 'VERIFY KU OK']);
}

/** The C program compares with OpenSSL's long names first, then with the OID itself. */
function checkExtendedKeyUsage(leaf: PeerCertificate, checks: PeerChecks, lines: LogLine[]): void {
  const expected = checks.extendedKeyUsage;
  if (expected === undefined) return;
  let found = false;
  if (leaf.extendedKeyUsage === undefined) {
    lines.push([Level.handshake, 'Certificate does not have extended key usage extension']);
  } else {
    lines.push([Level.handshake, 'Validating certificate extended key usage']);
    for (const oid of leaf.extendedKeyUsage) {
      if (found) break;
      const name = KEY_PURPOSES.get(oid) ?? oid;
      lines.push([Level.handshake, `++ Certificate has EKU (str) ${name}, expects ${expected}`]);
      found = name === expected;
      if (found) break;
      lines.push([Level.handshake, `++ Certificate has EKU (oid) ${oid}, expects ${expected}`]);
      found = oid === expected;
    }
  }
  if (found) {
    lines.push([Level.handshake, 'VERIFY EKU OK']);
    return;
  }
  lines.push([Level.handshake, 'VERIFY EKU ERROR']);
  const has = leaf.extendedKeyUsage?.map((oid) => KEY_PURPOSES.get(oid) ?? oid).join(', ') ?? 'none';
  throw refuse(
    `The certificate of ${describe(leaf)} has the extended key usage ${has}; ${expected} is needed`,
    'The peer needs a certificate issued for its role (remote-cert-tls); somebody with a client certificate may pose as the server.',
  );
}

function checkNamed(leaf: PeerCertificate, { nameFields }: PeerChecks, lines: LogLine[]): void {
  const found = nameFields && certificateName(leaf, nameFields);
  if (found === undefined || 'name' in found) return;
  lines.push([Level.tlsErrors, missingNameLine(leaf, found.missing)]);
  throw refuse(
    `The certificate of ${describe(leaf)} has no ${found.missing} of at most 64 bytes to know the client by`,
    'Issue it with that field, or name another one with x509-username-field.',
  );
}

function checkName(leaf: PeerCertificate, checks: PeerChecks, lines: LogLine[]): void {
  if (checks.name === undefined) return;
  const { name, type } = checks.name;
  const actual = type === 'subject' ? leaf.subject : (leaf.commonName ?? '');
  const fits = type === 'name-prefix' ? actual.startsWith(name) : actual === name;
  if (fits) {
    lines.push([Level.handshake, `VERIFY X509NAME OK: ${leaf.subject}`]);
    return;
  }
  const must = type === 'name-prefix' ? 'must start with' : 'must be';
  lines.push([Level.handshake, `VERIFY X509NAME ERROR: ${actual}, ${must} ${name}`]);
  throw refuse(
    `The certificate of ${describe(leaf)} has the wrong name: it ${must} ${name} (verify-x509-name, ${type})`,
    'If this is the right peer, correct verify-x509-name.',
  );
}

function hashFailedLine(got: string): LogLine {
  return [
    Level.tlsErrors,
    `TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed. (got certificate fingerprint: ${got})`,
  ];
}

function refuse(message: string, hint: string, retry = false): SallyportError {
  return new SallyportError(message, { code: 'SALLYPORT_CERTIFICATE', blame: 'peer', hint, retry });
}

/** Depth, subject and dates of a certificate, for messages. */
function describe(certificate: PeerCertificate): string {
  const from = formatUtc(certificate.notBefore);
  const to = formatUtc(certificate.notAfter);
  return `"${certificate.subject}" (depth ${certificate.depth}, valid ${from} to ${to})`;
}

/** `2026-01-31 12:00:00Z` by the civil calendar, without the platform's Date. */
function formatUtc(unixSeconds: number): string {
  const days = Math.floor(unixSeconds / 86_400);
  const second = unixSeconds - days * 86_400;
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const day = dayOfYear - Math.floor((153 * march + 2) / 5) + 1;
  return `${year}-${two(month)}-${two(day)} ${two(second / 3600)}:${two((second / 60) % 60)}:${two(second % 60)}Z`;
}

function hex4(bits: number): string {
  return bits.toString(16).padStart(4, '0');
}

/** By OpenSSL's names of the verdict; RFC 8446, section 6.2. */
const CHAIN_ALERTS: Readonly<Record<string, number>> = {
  CERT_HAS_EXPIRED: 45,
  CRL_HAS_EXPIRED: 45,
  CERT_REVOKED: 44,
  CERT_NOT_YET_VALID: 42,
  CRL_NOT_YET_VALID: 42,
  CERT_REJECTED: 42,
  CERT_UNTRUSTED: 42,
  EE_KEY_TOO_SMALL: 42,
  CERT_SIGNATURE_FAILURE: 51,
  CRL_SIGNATURE_FAILURE: 51,
  INVALID_PURPOSE: 43,
  INVALID_CA: 48,
  CA_KEY_TOO_SMALL: 48,
  CA_MD_TOO_WEAK: 48,
  CERT_CHAIN_TOO_LONG: 48,
  DEPTH_ZERO_SELF_SIGNED_CERT: 48,
  SELF_SIGNED_CERT_IN_CHAIN: 48,
  UNABLE_TO_GET_ISSUER_CERT: 48,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 48,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 48,
};
const CERTIFICATE_UNKNOWN = 46;
const CERTIFICATE_REQUIRED = 116;

/** The TLS alert that tells a refused peer why, as the C program's library chooses it. */
export function refusalAlert({ chain, verdict }: TlsEstablished, { withoutCa }: Pick<PeerChecks, 'withoutCa'>): number {
  if (chain.length === 0) return CERTIFICATE_REQUIRED;
  if (verdict.trusted || withoutCa) return CERTIFICATE_UNKNOWN;
  return CHAIN_ALERTS[verdict.code] ?? CERTIFICATE_UNKNOWN;
}
