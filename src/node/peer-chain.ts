// The peer's certificate chain and the verdict on it. OpenSSL has verified the chain, but node:tls tells no more than
// one code: the chain that belongs to it is found again here, from what the peer sent and from the authorities, each
// link by name and by signature. A chain that OpenSSL calls good and that does not end in an authority here is refused.
// Revocation is judged here alone (revocation.ts), and over every certificate that OpenSSL's chain could go through.

import type { X509Certificate } from 'node:crypto';
import type { ChainVerdict, PeerCertificate } from '../control/tls-engine.ts';
import { decimalOfHex } from '../wire/hex.ts';
import { parsePeerCertificate } from './peer-certificate.ts';
import { type IssuedCertificate, type RevocationState, revocationState } from './revocation.ts';
import type { SerialFolder } from './serial-folder.ts';
import { describeVerifyCode } from './tls-words.ts';
import { weakestCertificate } from './weak-certificate.ts';

/** OpenSSL's own bound is 100; nobody has more than a handful. */
const MAX_DEPTH = 20;

export interface ChainInput {
  /** The peer's certificate with what it sent behind it (`issuerCertificate`); undefined when it sent none. */
  readonly leaf: X509Certificate | undefined;
  /** node:tls's own judgement. */
  readonly authorized: boolean;
  readonly authorizationError: string | undefined;
  readonly authorities: readonly X509Certificate[];
  /** What stands against certificates whose chain is good; undefined: nothing is asked. */
  readonly revocation: RevocationCheck | undefined;
  /** OpenSSL's, as the profile of certificates sets it. */
  readonly securityLevel: number;
  /** Which role the peer plays. */
  readonly peerRole: 'client' | 'server';
  readonly nowSeconds: number;
}

export interface RevocationCheck {
  /** DER. */
  readonly lists: readonly Uint8Array[];
  /** Whether certificates that no list speaks of are told of. */
  readonly expectsLists: boolean;
  readonly serials: SerialFolder | undefined;
}

export type JudgedChain =
  | {
      readonly ok: true;
      readonly chain: readonly PeerCertificate[];
      readonly verdict: ChainVerdict;
      /** Certificates that no list speaks of. */
      readonly unlisted: readonly PeerCertificate[];
    }
  /** OpenSSL took a certificate that can't be read here. */
  | { readonly ok: false };

/** The chain, leaf first, and whether it may be trusted. Trusted only if node:tls says so in so many words. */
export function judgeChain(input: ChainInput): JudgedChain {
  const chain: PeerCertificate[] = [];
  const refused = (code: string, depth: number): JudgedChain => ({
    ok: true,
    chain,
    verdict: refuse(code, depth),
    unlisted: [],
  });
  if (input.leaf === undefined) return refused('NO_PEER_CERTIFICATE', -1);
  const candidates = [...input.authorities, ...sentBehind(input.leaf)];
  const found = findChain(input.leaf, input.authorities, candidates);
  for (const [depth, certificate] of found.entries()) {
    const parsed = parseAt(certificate, depth, input.authorities);
    if (parsed === undefined) return { ok: false };
    chain.push(parsed);
  }
  if (input.authorized !== true || input.authorizationError !== undefined) {
    const code = input.authorizationError ?? 'UNSPECIFIED';
    const weak = code === 'UNSPECIFIED' ? weakestCertificate(chain, input.securityLevel) : undefined;
    if (weak !== undefined) return refused(weak.code, weak.depth);
    return refused(code, findDepth(code, chain, input));
  }
  const top = found.at(-1)!;
  if (!input.authorities.some((authority) => authority.raw.equals(top.raw)))
    return refused('CHAIN_NOT_ANCHORED', chain.length - 1);
  const unlisted: PeerCertificate[] = [];
  for (const { certificate, issuers } of input.revocation === undefined
    ? []
    : allIssued(found, chain, candidates, input)) {
    // A certificate that can't be read could stand in any list.
    if (certificate === undefined) return { ok: false };
    const state = stateOf({ certificate, issuers }, input);
    if (typeof state !== 'string') return refused(state.code, certificate.depth);
    if (state === 'missing' && chain.includes(certificate)) unlisted.push(certificate);
  }
  return { ok: true, chain, verdict: { trusted: true }, unlisted };
}

function stateOf(issued: IssuedCertificate, { revocation, nowSeconds }: ChainInput): RevocationState {
  if (revocation === undefined) return 'good';
  const named = revocation.serials?.find(decimalOfHex(issued.certificate.serialHex));
  if (named === true) return { code: 'SERIAL_REVOKED' };
  if (typeof named === 'object') return { code: 'SERIALS_UNREADABLE' };
  const state = revocationState(issued, revocation.lists, nowSeconds);
  return state === 'missing' && !revocation.expectsLists ? 'good' : state;
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

/** What the peer sent behind its own certificate. */
function sentBehind(leaf: X509Certificate): readonly X509Certificate[] {
  const sent: X509Certificate[] = [];
  for (let one = leaf.issuerCertificate; one !== undefined && sent.length < MAX_DEPTH; one = one.issuerCertificate)
    sent.push(one);
  return sent;
}

/** Authorities come before what the peer sent, as in OpenSSL (X509_V_FLAG_TRUSTED_FIRST). */
function findChain(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
  candidates: readonly X509Certificate[],
): readonly X509Certificate[] {
  const chain = [leaf];
  while (chain.length < MAX_DEPTH) {
    const last = chain.at(-1)!;
    const issuer = candidates.find((candidate) => hasIssued(candidate, last, authorities));
    if (issuer === undefined || chain.some((one) => one.raw.equals(issuer.raw))) break;
    chain.push(issuer);
  }
  return chain;
}

/**
 * The chain, leaf first, then what OpenSSL may have gone through instead: an authority can have several certificates with
 * one name and one key. Those out of date it does not go through. Each with its issuers.
 */
function allIssued(
  chain: readonly X509Certificate[],
  parsed: readonly PeerCertificate[],
  candidates: readonly X509Certificate[],
  { authorities, nowSeconds }: ChainInput,
): readonly { readonly certificate: PeerCertificate | undefined; readonly issuers: readonly X509Certificate[] }[] {
  const all = chain.map((certificate, depth) => ({ certificate, depth }));
  const issued = [];
  for (let at = 0; at < all.length; at++) {
    const { certificate, depth } = all[at]!;
    const issuers = candidates.filter((candidate) => hasIssued(candidate, certificate, authorities));
    issued.push({ certificate: parsed[at] ?? parseAt(certificate, depth, authorities), issuers });
    for (const issuer of issuers) {
      const known = all.some((one) => one.certificate.raw.equals(issuer.raw));
      if (!known && isInTime(issuer, nowSeconds)) all.push({ certificate: issuer, depth: depth + 1 });
    }
  }
  return issued;
}

const isInTime = ({ validFrom, validTo }: X509Certificate, nowSeconds: number): boolean =>
  Date.parse(validFrom) / 1000 <= nowSeconds && Date.parse(validTo) / 1000 >= nowSeconds;

/** Whether `issuer` signed `certificate`. */
const hasIssued = (
  issuer: X509Certificate,
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
): boolean =>
  authorities.includes(certificate) && authorities.includes(issuer)
    ? isAuthorityIssuedBy(certificate, issuer)
    : isIssuedBy(certificate, issuer);

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
