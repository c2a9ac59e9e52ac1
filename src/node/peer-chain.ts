// The peer's certificate chain and the verdict on it. OpenSSL has verified the chain, but node:tls tells no more than
// one code: the chain that belongs to it is found again here, from what the peer sent and from the authorities, each
// link by name and by signature. A chain that OpenSSL calls good and that does not end in an authority here is refused.

import type { X509Certificate } from 'node:crypto';
import type { ChainVerdict, PeerCertificate } from '../control/tls-engine.ts';
import { parsePeerCertificate } from './peer-certificate.ts';
import { issuerNameHex, parseRevocationList } from './revocation-list.ts';
import { describeVerifyCode } from './tls-words.ts';

/** OpenSSL's own bound is 100; nobody has more than a handful. */
const MAX_DEPTH = 20;

export interface ChainInput {
  /** The peer's certificate with what it sent behind it (`issuerCertificate`); undefined when it sent none. */
  readonly leaf: X509Certificate | undefined;
  /** node:tls's own judgement. */
  readonly authorized: boolean;
  readonly authorizationError: string | undefined;
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly Uint8Array[];
  /** Which role the peer plays. */
  readonly peerRole: 'client' | 'server';
  readonly nowSeconds: number;
}

export type JudgedChain =
  | { readonly ok: true; readonly chain: readonly PeerCertificate[]; readonly verdict: ChainVerdict }
  /** OpenSSL took a certificate that can't be read here. */
  | { readonly ok: false };

/** The chain, leaf first, and whether it may be trusted. Trusted only if node:tls says so in so many words. */
export function judgeChain(input: ChainInput): JudgedChain {
  if (input.leaf === undefined) return { ok: true, chain: [], verdict: refuse('NO_PEER_CERTIFICATE', -1) };
  const found = findChain(input.leaf, input.authorities);
  const chain: PeerCertificate[] = [];
  for (const [depth, certificate] of found.entries()) {
    const parsed = parseAt(certificate, depth, input.authorities);
    if (parsed === undefined) return { ok: false };
    chain.push(parsed);
  }
  if (input.authorized !== true || input.authorizationError !== undefined) {
    const code = input.authorizationError ?? 'UNSPECIFIED';
    return { ok: true, chain, verdict: refuse(code, findDepth(code, chain, input)) };
  }
  const top = found.at(-1)!;
  if (!input.authorities.some((authority) => authority.raw.equals(top.raw)))
    return { ok: true, chain, verdict: refuse('CHAIN_NOT_ANCHORED', chain.length - 1) };
  return { ok: true, chain, verdict: { trusted: true } };
}

/** Authorities as read before: they are the same objects for every peer. By depth. */
const readAuthorities = new WeakMap<X509Certificate, (PeerCertificate | undefined)[]>();

/** A certificate of the chain. All peers of an authority share one reading of it, which is half of what a chain costs. */
function parseAt(
  certificate: X509Certificate,
  depth: number,
  authorities: readonly X509Certificate[],
): PeerCertificate | undefined {
  const parse = () => parsePeerCertificate(new Uint8Array(certificate.raw), depth, certificate);
  if (!authorities.includes(certificate)) return parse();
  const read = readAuthorities.get(certificate) ?? [];
  readAuthorities.set(certificate, read);
  read[depth] ??= parse();
  return read[depth];
}

const refuse = (code: string, depth: number): ChainVerdict => ({
  trusted: false,
  code,
  text: describeVerifyCode(code),
  depth,
});

/** Authorities come before what the peer sent, as in OpenSSL (X509_V_FLAG_TRUSTED_FIRST). */
function findChain(leaf: X509Certificate, authorities: readonly X509Certificate[]): readonly X509Certificate[] {
  const sent: X509Certificate[] = [];
  for (let one = leaf.issuerCertificate; one !== undefined && sent.length < MAX_DEPTH; one = one.issuerCertificate)
    sent.push(one);
  const candidates = [...authorities, ...sent];
  const chain = [leaf];
  while (chain.length < MAX_DEPTH) {
    const last = chain.at(-1)!;
    const lastIsOurs = authorities.includes(last);
    const issuer = candidates.find((candidate) =>
      lastIsOurs && authorities.includes(candidate)
        ? isAuthorityIssuedBy(last, candidate)
        : isIssuedBy(last, candidate),
    );
    if (issuer === undefined || chain.some((one) => one.raw.equals(issuer.raw))) break;
    chain.push(issuer);
  }
  return chain;
}

/** Which authority issued which, as found before; a signature that is checked for every peer costs as much as its own. */
const issuedAmongAuthorities = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>();

function isAuthorityIssuedBy(authority: X509Certificate, issuer: X509Certificate): boolean {
  const known = issuedAmongAuthorities.get(authority) ?? new WeakMap<X509Certificate, boolean>();
  issuedAmongAuthorities.set(authority, known);
  const issued = known.get(issuer) ?? isIssuedBy(authority, issuer);
  known.set(issuer, issued);
  return issued;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** Which certificate a code is about, as far as the chain shows; -1 when it does not. */
function findDepth(code: string, chain: readonly PeerCertificate[], input: ChainInput): number {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return chain.findIndex((one) => one.notAfter < input.nowSeconds);
    case 'CERT_NOT_YET_VALID':
      return chain.findIndex((one) => one.notBefore > input.nowSeconds);
    case 'CERT_REVOKED':
      return findRevoked(chain, input.revocationLists);
    case 'INVALID_PURPOSE': {
      const wanted = input.peerRole === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2';
      return chain.findIndex(({ extendedKeyUsage }) => extendedKeyUsage?.includes(wanted) === false);
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 0;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return chain.length - 1;
    default:
      return -1;
  }
}

/** The first certificate that stands in a list of its issuer; -1 when none does. */
export function findRevoked(chain: readonly PeerCertificate[], lists: readonly Uint8Array[]): number {
  const parsed = lists.flatMap((der) => parseRevocationList(der) ?? []);
  return chain.findIndex(({ der, serialHex }) => {
    const issuer = issuerNameHex(der);
    return parsed.some((list) => list.issuerHex === issuer && list.serials.has(serialHex));
  });
}
