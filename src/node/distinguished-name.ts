// Names of certificates in the form in which two spellings of one name are equal: OpenSSL's canonical encoding. Issuers
// and lists are matched by it, and the files of a hashed directory (`capath`) are called by its hash.
//
//   Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value }; canonical: the SETs alone, each text as UTF8String in lower
//   case (ASCII letters), without white space at its ends, one space for several

import { createHash } from 'node:crypto';
import { type DerElement, DerTag, parseChildren, parseDer, parseText } from './der.ts';

/** The canonical form of a name's DER, in hexadecimal; undefined for what is no name. */
export function canonicalName(name: Uint8Array): string | undefined {
  return canonicalBytes(name)?.toString('hex');
}

/** The hash by which OpenSSL looks a name up in a directory: eight hexadecimal digits. */
export function nameHash(name: Uint8Array): string | undefined {
  const bytes = canonicalBytes(name);
  if (bytes === undefined) return undefined;
  return createHash('sha1').update(bytes).digest().readUInt32LE(0).toString(16).padStart(8, '0');
}

/** DER of a certificate's issuer. */
export const issuerName = (der: Uint8Array): Uint8Array | undefined => nameAt(der, 2);

/** DER of a certificate's subject. */
export const subjectName = (der: Uint8Array): Uint8Array | undefined => nameAt(der, 4);

function nameAt(der: Uint8Array, position: number): Uint8Array | undefined {
  const tbs = parseChildren(parseChildren(parseDer(der), DerTag.sequence)?.[0], DerTag.sequence);
  return tbs?.[(tbs[0]?.tag === 0xa0 ? 1 : 0) + position]?.whole;
}

function canonicalBytes(name: Uint8Array): Buffer | undefined {
  const sets = parseChildren(parseDer(name), DerTag.sequence);
  const canonical = sets?.map(canonicalSet);
  if (canonical === undefined || canonical.some((set) => set === undefined)) return undefined;
  return Buffer.concat(canonical.filter((set) => set !== undefined));
}

function canonicalSet(set: DerElement): Buffer | undefined {
  const attributes = parseChildren(set, DerTag.set)?.map((attribute) => {
    const [type, value] = parseChildren(attribute, DerTag.sequence) ?? [];
    return type === undefined || value === undefined
      ? undefined
      : element(DerTag.sequence, Buffer.concat([type.whole, canonicalValue(value)]));
  });
  if (attributes === undefined || attributes.some((attribute) => attribute === undefined)) return undefined;
  // DER has the members of a set in the order of their bytes.
  return element(DerTag.set, Buffer.concat(attributes.filter((one) => one !== undefined).sort(Buffer.compare)));
}

/** UTF8String, PrintableString, T61String, IA5String, VisibleString, UniversalString, BMPString. */
const TEXT_TAGS: readonly number[] = [0x0c, 0x13, 0x14, 0x16, 0x1a, 0x1c, 0x1e];

function canonicalValue(value: DerElement): Uint8Array {
  if (!TEXT_TAGS.includes(value.tag)) return value.whole;
  const text = parseText(value)
    .replace(/^[ \t-\r]+|[ \t-\r]+$/g, '')
    .replace(/[ \t-\r]+/g, ' ')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return element(DerTag.utf8String, Buffer.from(text, 'utf8'));
}

function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Uint8Array.from(head), content]);
}
