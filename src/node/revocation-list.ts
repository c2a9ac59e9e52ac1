// Certificate revocation lists (RFC 5280, section 5).
//
//   CertificateList ::= SEQUENCE { tbs SEQUENCE { version?, algorithm, issuer, thisUpdate, nextUpdate?,
//     SEQUENCE OF SEQUENCE { serial, date, extensions }?, [0] extensions? }, algorithm, signature }

import { type DerElement, DerTag, parseChildren, parseDer, parseOid, parseTime, readDer } from './der.ts';
import { canonicalName } from './distinguished-name.ts';
import { serialHex } from './peer-certificate.ts';

/** What a list says, and what was signed. */
export interface RevocationList {
  /** The issuer's name as `canonicalName` has it. */
  readonly issuer: string;
  /** As `serialHex` has them. */
  readonly serials: ReadonlySet<string>;
  /** Unix seconds from which it counts … */
  readonly thisUpdate: number;
  /** … and after which it counts no more; undefined where it does not say. */
  readonly nextUpdate: number | undefined;
  /** Which certificates it speaks of. `other`: a part of a list, which says nothing for itself; OpenSSL passes over it. */
  readonly scope: 'all' | 'users' | 'authorities' | 'other';
  /** Key identifier of its signer, in hexadecimal, where it names one. */
  readonly signerKeyId: string | undefined;
  /** It has a critical extension that nobody here understands: it may not be gone by. */
  readonly unknownCritical: boolean;
  readonly signed: Uint8Array;
  /** DER of the algorithm's identifier. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** Lists as read before: every check of a client asks for the same ones, until the file has changed. */
const readLists = new WeakMap<Uint8Array, RevocationList | undefined>();

/** Reads a list; undefined when it is none. The same array is read once: its bytes may not change after that. */
export function parseRevocationList(der: Uint8Array): RevocationList | undefined {
  if (!readLists.has(der)) readLists.set(der, readList(der));
  return readLists.get(der);
}

/** DER of its issuer's name. */
export const issuerOfList = (der: Uint8Array): Uint8Array | undefined => {
  const tbs = parseChildren(parseChildren(parseDer(der), DerTag.sequence)?.[0], DerTag.sequence);
  return tbs?.[(tbs[0]?.tag === DerTag.integer ? 1 : 0) + 1]?.whole;
};

function readList(der: Uint8Array): RevocationList | undefined {
  const [content, algorithm, signature, ...left] = parseChildren(parseDer(der), DerTag.sequence) ?? [];
  const tbs = parseChildren(content, DerTag.sequence);
  if (content === undefined || tbs === undefined || algorithm === undefined || left.length > 0) return undefined;
  if (signature?.tag !== DerTag.bitString || signature.content[0] !== 0) return undefined;
  const at = tbs[0]?.tag === DerTag.integer ? 1 : 0;
  const issuer = tbs[at + 1] && canonicalName(tbs[at + 1]!.whole);
  const thisUpdate = parseTime(tbs[at + 2]);
  if (issuer === undefined || thisUpdate === undefined) return undefined;
  const rest = tbs.slice(at + 3);
  const hasEnd = rest[0]?.tag === DerTag.utcTime || rest[0]?.tag === DerTag.generalizedTime;
  const nextUpdate = hasEnd ? parseTime(rest.shift()) : undefined;
  if (hasEnd && nextUpdate === undefined) return undefined;
  const serials = readSerials(rest[0]?.tag === DerTag.sequence ? rest.shift() : undefined);
  const extensions = readExtensions(rest.shift());
  if (serials === undefined || extensions === undefined || rest.length > 0) return undefined;
  return {
    issuer,
    serials,
    thisUpdate,
    nextUpdate,
    ...extensions,
    signed: content.whole,
    algorithm: algorithm.whole,
    signature: signature.content.subarray(1),
  };
}

function readSerials(entries: DerElement | undefined): ReadonlySet<string> | undefined {
  const serials = new Set<string>();
  if (entries === undefined) return serials;
  for (let offset = 0; offset < entries.content.length; ) {
    const entry = readDer(entries.content, offset);
    const serial = entry && readDer(entry.content);
    if (entry === undefined || serial?.tag !== DerTag.integer) return undefined;
    serials.add(serialHex(serial.content));
    offset += entry.whole.length;
  }
  return serials;
}

type Extensions = Pick<RevocationList, 'scope' | 'signerKeyId' | 'unknownCritical'>;

const KEY_ID = '2.5.29.35';
const DELTA = '2.5.29.27';
const SCOPE = '2.5.29.28';
/** Number, alternative name of the issuer, freshest list, where the issuer is found. */
const HARMLESS: readonly string[] = ['2.5.29.20', '2.5.29.18', '2.5.29.46', '1.3.6.1.5.5.7.1.1'];

function readExtensions(wrapper: DerElement | undefined): Extensions | undefined {
  let found: Extensions = { scope: 'all', signerKeyId: undefined, unknownCritical: false };
  if (wrapper === undefined) return found;
  const list = wrapper.tag === 0xa0 ? parseChildren(parseDer(wrapper.content), DerTag.sequence) : undefined;
  for (const extension of list ?? []) {
    const fields = parseChildren(extension, DerTag.sequence);
    const oid = parseOid(fields?.[0]);
    const value = fields?.at(-1);
    if (fields === undefined || oid === undefined || value?.tag !== DerTag.octetString) return undefined;
    const critical = fields.length === 3 && fields[1]?.content[0] !== 0;
    if (oid === DELTA) found = { ...found, scope: 'other' };
    else if (oid === SCOPE) found = { ...found, scope: found.scope === 'other' ? 'other' : scopeOf(value.content) };
    else if (oid === KEY_ID) {
      const keyId = parseChildren(parseDer(value.content), DerTag.sequence)?.find(({ tag }) => tag === 0x80);
      found = { ...found, signerKeyId: keyId && Buffer.from(keyId.content).toString('hex') };
    } else if (critical && !HARMLESS.includes(oid)) found = { ...found, unknownCritical: true };
  }
  return list && found;
}

/**
 * IssuingDistributionPoint ::= SEQUENCE { [0] point?, [1] onlyUsers, [2] onlyAuthorities, [3] some reasons?, [4] indirect,
 * [5] only attribute certificates }. What is not understood speaks of everything: a list too many refuses, one too few
 * lets in.
 */
function scopeOf(bytes: Uint8Array): Extensions['scope'] {
  const parts = parseChildren(parseDer(bytes), DerTag.sequence) ?? [];
  const has = (tag: number): boolean => parts.some((part) => part.tag === tag && part.content[0] !== 0);
  if (parts.some(({ tag }) => tag === 0x83) || has(0x84) || has(0x85)) return 'other';
  if (has(0x81)) return 'users';
  return has(0x82) ? 'authorities' : 'all';
}
