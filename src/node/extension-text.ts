// Extensions of a certificate in the words in which OpenSSL prints them, for scripts (`x509-track`).

import { KEY_PURPOSES } from '../wire/key-purposes.ts';
import { type DerElement, DerTag, parseChildren, parseDer, parseOid, parseSmallInteger, parseText } from './der.ts';

/** The text of an extension by its short name; undefined where the certificate has none, or it can't be read. */
export function extensionText(der: Uint8Array, name: string): string | undefined {
  const known = WRITERS.get(name);
  const tbs = parseChildren(parseChildren(parseDer(der), DerTag.sequence)?.[0], DerTag.sequence);
  const wrapper = tbs?.find(({ tag }) => tag === 0xa3);
  for (const extension of (wrapper && parseChildren(parseDer(wrapper.content), DerTag.sequence)) ?? []) {
    const fields = parseChildren(extension, DerTag.sequence);
    if (known === undefined || parseOid(fields?.[0]) !== known.oid) continue;
    const value = parseDer(fields?.at(-1)?.content ?? new Uint8Array());
    return value && known.write(value);
  }
  return undefined;
}

const KEY_USAGES = [
  'Digital Signature',
  'Non Repudiation',
  'Key Encipherment',
  'Data Encipherment',
  'Key Agreement',
  'Certificate Sign',
  'CRL Sign',
  'Encipher Only',
  'Decipher Only',
];

function keyUsage({ tag, content }: DerElement): string | undefined {
  if (tag !== DerTag.bitString) return undefined;
  const has = (bit: number): boolean => ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  return KEY_USAGES.filter((_name, bit) => has(bit)).join(', ');
}

function extendedKeyUsage(value: DerElement): string | undefined {
  const usages = parseChildren(value, DerTag.sequence)?.map((usage) => parseOid(usage) ?? '');
  return usages?.map((oid) => KEY_PURPOSES.get(oid) ?? oid).join(', ');
}

function basicConstraints(value: DerElement): string | undefined {
  const parts = parseChildren(value, DerTag.sequence);
  if (parts === undefined) return undefined;
  const isCa = parts[0]?.tag === DerTag.boolean && parts[0].content[0] !== 0;
  const length = parseSmallInteger(parts.find(({ tag }) => tag === DerTag.integer));
  return `CA:${isCa ? 'TRUE' : 'FALSE'}${length === undefined ? '' : `, pathlen:${length}`}`;
}

function altNames({ whole }: DerElement): string {
  return parseAltNames(whole)
    .map((name) => name.replace(/^IP:(.*)$/, (_whole, address: string) => `IP Address:${address.toUpperCase()}`))
    .join(', ');
}

function authorityKeyIdentifier(value: DerElement): string | undefined {
  const parts = parseChildren(value, DerTag.sequence);
  const keyId = parts?.find(({ tag }) => tag === 0x80);
  if (parts === undefined || keyId === undefined) return undefined;
  return parts.length === 1 ? colons(keyId.content) : `keyid:${colons(keyId.content)}`;
}

const colons = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');

interface Writer {
  readonly oid: string;
  write(value: DerElement): string | undefined;
}

const WRITERS: ReadonlyMap<string, Writer> = new Map<string, Writer>([
  ['keyUsage', { oid: '2.5.29.15', write: keyUsage }],
  ['extendedKeyUsage', { oid: '2.5.29.37', write: extendedKeyUsage }],
  ['basicConstraints', { oid: '2.5.29.19', write: basicConstraints }],
  ['subjectAltName', { oid: '2.5.29.17', write: altNames }],
  ['issuerAltName', { oid: '2.5.29.18', write: altNames }],
  ['subjectKeyIdentifier', { oid: '2.5.29.14', write: ({ content }) => colons(content) }],
  ['authorityKeyIdentifier', { oid: '2.5.29.35', write: authorityKeyIdentifier }],
]);

/** GeneralNames of the four usual kinds, as `DNS:name`, `email:name`, `URI:name`, `IP:address`. */
export function parseAltNames(bytes: Uint8Array): readonly string[] {
  const names: string[] = [];
  for (const { tag, content } of parseChildren(parseDer(bytes), DerTag.sequence) ?? []) {
    const text = cleanField(parseText({ tag: DerTag.octetString, content, whole: content }));
    if (tag === 0x81) names.push(`email:${text}`);
    else if (tag === 0x82) names.push(`DNS:${text}`);
    else if (tag === 0x86) names.push(`URI:${text}`);
    else if (tag === 0x87 && content.length === 4) names.push(`IP:${content.join('.')}`);
    else if (tag === 0x87 && content.length === 16) {
      const groups = Array.from({ length: 8 }, (_, i) => (content[2 * i]! * 256 + content[2 * i + 1]!).toString(16));
      names.push(`IP:${groups.join(':')}`);
    }
  }
  return names;
}

/** A text without control characters and line separators. */
export const cleanField = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, '_');
