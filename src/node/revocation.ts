// Whether a certificate of a chain is revoked. OpenSSL could say so, but node:tls tells one code of all that it found, and
// a list that is missing (which the C program lets pass) hides what else is wrong; so lists are judged here, and OpenSSL
// is not given them. They are judged as OpenSSL does: leaf first, each certificate by the lists of its issuer; a list must
// be signed by that issuer and in time. Facts: RFC 5280, section 6.3; observed with OpenVPN 2.6.14 and 2.7.8.

import type { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from '../control/tls-engine.ts';
import { DerTag, parseChildren, parseDer, parseOid } from './der.ts';
import { canonicalName, issuerName, subjectName } from './distinguished-name.ts';
import { parseRevocationList, type RevocationList } from './revocation-list.ts';
import { isSignedBy } from './signature.ts';

/** One certificate, and who may have issued it: more than one where an authority has certificates of several others. */
export interface IssuedCertificate {
  readonly certificate: PeerCertificate;
  readonly issuers: readonly X509Certificate[];
}

/** `code` is OpenSSL's name of what is wrong, `missing` means that no list speaks of the certificate. */
export type RevocationState = 'good' | 'missing' | { readonly code: string };

/** What the lists (DER) say of one certificate. */
export function revocationState(
  { certificate, issuers }: IssuedCertificate,
  lists: readonly Uint8Array[],
  nowSeconds: number,
): RevocationState {
  const name = canonicalNameOf(certificate.der, issuerName);
  const known = lists.flatMap((der) => parseRevocationList(der) ?? []);
  const speaking = known.filter(
    ({ scope }) => scope === 'all' || scope === (certificate.isCa ? 'authorities' : 'users'),
  );
  let problem: string | undefined;
  let good = false;
  for (const list of speaking) {
    const signer = issuers.find((issuer) => isListOf(list, issuer));
    // One of another issuer, or of an older key of this one, says nothing here.
    if (signer === undefined && (list.issuer !== name || isOfAnotherKey(list, issuers))) continue;
    const found = signer === undefined ? 'CRL_SIGNATURE_FAILURE' : listProblem(list, signer, nowSeconds);
    if (found !== undefined) {
      problem ??= found;
      continue;
    }
    if (list.serials.has(certificate.serialHex)) return { code: 'CERT_REVOKED' };
    good = true;
  }
  if (good) return 'good';
  return problem === undefined ? 'missing' : { code: problem };
}

/** Where in a chain that was verified before a certificate stands in a list by now; -1 when none does. */
export function findRevoked(chain: readonly PeerCertificate[], lists: readonly Uint8Array[]): number {
  const parsed = lists.flatMap((der) => parseRevocationList(der) ?? []);
  return chain.findIndex(({ der, serialHex }) => {
    const issuer = canonicalNameOf(der, issuerName);
    return parsed.some((list) => list.issuer === issuer && list.serials.has(serialHex));
  });
}

/** The authorities that no list is of. */
export function withoutList(
  authorities: readonly X509Certificate[],
  lists: readonly Uint8Array[],
): readonly X509Certificate[] {
  const parsed = lists.flatMap((der) => parseRevocationList(der) ?? []);
  return authorities.filter((authority) => {
    const name = canonicalNameOf(authority.raw, subjectName);
    return !parsed.some((list) => list.issuer === name);
  });
}

const listProblem = (list: RevocationList, signer: X509Certificate, nowSeconds: number): string | undefined => {
  if (!factsOf(signer).maySignLists) return 'KEYUSAGE_NO_CRL_SIGN';
  if (list.unknownCritical) return 'UNHANDLED_CRITICAL_CRL_EXTENSION';
  if (list.thisUpdate > nowSeconds) return 'CRL_NOT_YET_VALID';
  return list.nextUpdate !== undefined && list.nextUpdate < nowSeconds ? 'CRL_HAS_EXPIRED' : undefined;
};

const canonicalNameOf = (der: Uint8Array, part: typeof issuerName): string | undefined => {
  const name = part(der);
  return name && canonicalName(name);
};

/** Who signed which list, as found before: a signature that is checked for every peer costs as much as its own. */
const signers = new WeakMap<RevocationList, WeakMap<X509Certificate, boolean>>();

function isListOf(list: RevocationList, issuer: X509Certificate): boolean {
  const known = signers.get(list) ?? new WeakMap<X509Certificate, boolean>();
  signers.set(list, known);
  const found = known.get(issuer) ?? (!isOfAnotherKey(list, [issuer]) && isSignedBy(list, issuer.publicKey));
  known.set(issuer, found);
  return found;
}

/** Whether a list names a key that is none of these issuers'. */
function isOfAnotherKey({ signerKeyId }: RevocationList, issuers: readonly X509Certificate[]): boolean {
  if (signerKeyId === undefined || issuers.length === 0) return false;
  return issuers.every((issuer) => {
    const own = factsOf(issuer).keyId;
    return own !== undefined && own !== signerKeyId;
  });
}

interface SignerFacts {
  readonly keyId: string | undefined;
  /** Without key usage everything is allowed. */
  readonly maySignLists: boolean;
}

const signerFacts = new WeakMap<X509Certificate, SignerFacts>();

function factsOf(certificate: X509Certificate): SignerFacts {
  const read = signerFacts.get(certificate) ?? readSigner(new Uint8Array(certificate.raw));
  signerFacts.set(certificate, read);
  return read;
}

const KEY_ID = '2.5.29.14';
const KEY_USAGE = '2.5.29.15';
/** cRLSign, the seventh bit. */
const LIST_SIGNING = 0x02;

function readSigner(der: Uint8Array): SignerFacts {
  const tbs = parseChildren(parseChildren(parseDer(der), DerTag.sequence)?.[0], DerTag.sequence);
  const wrapper = tbs?.find(({ tag }) => tag === 0xa3);
  let facts: SignerFacts = { keyId: undefined, maySignLists: true };
  for (const extension of (wrapper && parseChildren(parseDer(wrapper.content), DerTag.sequence)) ?? []) {
    const fields = parseChildren(extension, DerTag.sequence);
    const oid = parseOid(fields?.[0]);
    const value = fields && parseDer(fields.at(-1)?.content ?? new Uint8Array());
    if (oid === KEY_ID && value?.tag === DerTag.octetString) {
      facts = { ...facts, keyId: Buffer.from(value.content).toString('hex') };
    } else if (oid === KEY_USAGE) facts = { ...facts, maySignLists: ((value?.content[1] ?? 0) & LIST_SIGNING) !== 0 };
  }
  return facts;
}
