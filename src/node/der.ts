// A small reader of DER (ITU-T X.690), enough for certificates, CRLs and PKCS#12. It walks what it is given and
// allocates nothing but views; lengths are checked against the enclosing bytes before they are used.
//
//   tag (1 byte, no high tag numbers) | length (1 byte, or 0x81..0x84 and as many bytes) | content

/** One element. `content` and `whole` are views of the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

export const DerTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  universalString: 0x1c,
  bmpString: 0x1e,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** More elements than any sane structure has; a CRL's entries are walked one by one with `readDer`. */
const MAX_CHILDREN = 1024;
const MAX_OID_ARCS = 32;

/** The element that `bytes` start with, or undefined when they do not start with a whole one. */
export function readDer(bytes: Uint8Array, offset = 0): DerElement | undefined {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  let start = offset + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4 || start + count > bytes.length) return undefined;
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[start + i]!;
    start += count;
  }
  if (length > bytes.length - start) return undefined;
  return {
    tag,
    content: bytes.subarray(start, start + length),
    whole: bytes.subarray(offset, start + length),
  };
}

/** The one element that `bytes` consist of, without leftovers. */
export function parseDer(bytes: Uint8Array): DerElement | undefined {
  const element = readDer(bytes);
  return element?.whole.length === bytes.length ? element : undefined;
}

/** The elements inside a constructed one; undefined when they do not fill it exactly or are more than 1024. */
export function parseChildren(element: DerElement | undefined, tag?: number): readonly DerElement[] | undefined {
  if (element === undefined || (tag !== undefined && element.tag !== tag)) return undefined;
  const children: DerElement[] = [];
  let offset = 0;
  while (offset < element.content.length) {
    const child = readDer(element.content, offset);
    if (child === undefined || children.length === MAX_CHILDREN) return undefined;
    children.push(child);
    offset += child.whole.length;
  }
  return children;
}

/** An object identifier in dotted form; undefined when it is none, or absurd. */
export function parseOid(element: DerElement | undefined): string | undefined {
  if (element === undefined || element.tag !== DerTag.oid || element.content.length === 0) return undefined;
  const arcs: number[] = [];
  let value = 0;
  for (const [index, byte] of element.content.entries()) {
    value = value * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(value)) return undefined;
    if (byte & 0x80) {
      if (index === element.content.length - 1) return undefined;
      continue;
    }
    if (arcs.length === 0) {
      const root = Math.min(Math.floor(value / 40), 2);
      arcs.push(root, value - root * 40);
    } else arcs.push(value);
    if (arcs.length > MAX_OID_ARCS) return undefined;
    value = 0;
  }
  return arcs.join('.');
}

/** A small non-negative INTEGER. */
export function parseSmallInteger(element: DerElement | undefined): number | undefined {
  if (element === undefined || element.tag !== DerTag.integer) return undefined;
  const { content } = element;
  if (content.length === 0 || content.length > 5 || content[0]! & 0x80) return undefined;
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** UTCTime or GeneralizedTime (in UTC, with seconds, as RFC 5280 demands) as Unix seconds. */
export function parseTime(element: DerElement | undefined): number | undefined {
  if (element === undefined) return undefined;
  const text = latin1(element.content.subarray(0, 20));
  const pattern =
    element.tag === DerTag.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
      : element.tag === DerTag.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
        : undefined;
  const parts = pattern?.exec(text)?.slice(1).map(Number);
  if (parts === undefined) return undefined;
  const [written, month, day, hour, minute, second] = parts as [number, number, number, number, number, number];
  const year = element.tag === DerTag.utcTime ? written + (written < 50 ? 2000 : 1900) : written;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  return date.getTime() / 1000;
}

/** A character string of any of the X.680 types as text; types without a meaning of their own are read byte by byte. */
export function parseText(element: DerElement): string {
  const { tag, content } = element;
  if (tag === DerTag.utf8String) return new TextDecoder().decode(content);
  const width = tag === DerTag.bmpString ? 2 : tag === DerTag.universalString ? 4 : 1;
  if (width === 1) return latin1(content);
  let text = '';
  for (let i = 0; i + width <= content.length; i += width) {
    let code = 0;
    for (let k = 0; k < width; k++) code = code * 256 + content[i + k]!;
    text += code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
