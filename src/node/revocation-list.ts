// Certificate revocation lists, read for messages only: which certificate of a chain is the revoked one, and when a list
// runs out. Whether a certificate is revoked at all is OpenSSL's verdict.
//
//   CertificateList ::= SEQUENCE { tbs SEQUENCE { version?, algorithm, issuer, thisUpdate, nextUpdate?,
//     SEQUENCE OF SEQUENCE { serial, date, extensions }?, [0] extensions? }, algorithm, signature }

import { DerTag, parseChildren, parseDer, parseTime, readDer } from './der.ts';
import { serialHex } from './peer-certificate.ts';

/** What a CRL (RFC 5280, section 5) says, as far as messages need it: whose it is and which serials it lists. */
export interface RevocationList {
  /** DER of the issuer's name, in hexadecimal for comparison. */
  readonly issuerHex: string;
  readonly serials: ReadonlySet<string>;
  /** Unix seconds after which it counts no more; undefined where it does not say. */
  readonly nextUpdate: number | undefined;
}

/** Lists as read before: every check of a client asks for the same ones, until the file has changed. */
const readLists = new WeakMap<Uint8Array, RevocationList | undefined>();

/**
 * Reads a CRL's issuer, serials and end; undefined when it is none. Its signature is OpenSSL's business. The same array
 * is read once: its bytes may not change after that.
 */
export function parseRevocationList(der: Uint8Array): RevocationList | undefined {
  if (!readLists.has(der)) readLists.set(der, readList(der));
  return readLists.get(der);
}

function readList(der: Uint8Array): RevocationList | undefined {
  const parts = parseChildren(parseDer(der), DerTag.sequence);
  const tbs = parseChildren(parts?.[0], DerTag.sequence);
  if (tbs === undefined) return undefined;
  const at = tbs[0]?.tag === DerTag.integer ? 1 : 0;
  const issuer = tbs[at + 1];
  if (issuer?.tag !== DerTag.sequence) return undefined;
  const isTime = (tag: number | undefined): boolean => tag === DerTag.utcTime || tag === DerTag.generalizedTime;
  const entries = tbs.slice(at + 3).find((element) => !isTime(element.tag));
  const serials = new Set<string>();
  if (entries?.tag === DerTag.sequence) {
    for (let offset = 0; offset < entries.content.length; ) {
      const entry = readDer(entries.content, offset);
      if (entry === undefined) return undefined;
      const serial = readDer(entry.content);
      if (serial?.tag === DerTag.integer) serials.add(serialHex(serial.content));
      offset += entry.whole.length;
    }
  }
  return { issuerHex: Buffer.from(issuer.whole).toString('hex'), serials, nextUpdate: parseTime(tbs[at + 3]) };
}

/** DER of a certificate's issuer name, in hexadecimal. */
export const issuerNameHex = (der: Uint8Array): string | undefined => nameHex(der, 2);

/** DER of a certificate's subject name, in hexadecimal. */
export const subjectNameHex = (der: Uint8Array): string | undefined => nameHex(der, 4);

function nameHex(der: Uint8Array, position: number): string | undefined {
  const tbs = parseChildren(parseChildren(parseDer(der), DerTag.sequence)?.[0], DerTag.sequence);
  const name = tbs?.[(tbs[0]?.tag === 0xa0 ? 1 : 0) + position];
  return name && Buffer.from(name.whole).toString('hex');
}
