// Static key files (`OpenVPN Static key V1`): 256 bytes as hexadecimal, line width free.
//
//   K0.cipher[64] | K0.hmac[64] | K1.cipher[64] | K1.hmac[64]

import { formatHex, parseHex } from './hex.ts';
import { parsePemLines } from './pem.ts';

export const STATIC_KEY_BYTES = 256;
const LABEL = 'OpenVPN Static key V1';

/** The 256 bytes of a static key file, or what is wrong with it. */
export function parseStaticKey(text: string): { readonly key: Uint8Array<ArrayBuffer> } | { readonly problem: string } {
  const lines = parsePemLines(text, LABEL);
  if (lines === undefined) return { problem: `there is no -----BEGIN ${LABEL}----- … -----END ${LABEL}----- in it` };
  const digits = lines
    .filter((line) => !line.startsWith('#'))
    .join('')
    .replace(/[ \t]+/g, '');
  const key = parseHex(digits);
  if (key === undefined) return { problem: 'it has something other than pairs of hexadecimal digits' };
  if (key.length !== STATIC_KEY_BYTES)
    return { problem: `it has ${key.length} bytes where ${STATIC_KEY_BYTES} belong` };
  return { key };
}

/** A static key file: 16 lines of 16 bytes, as the C program writes it. */
export function writeStaticKey(key: Uint8Array): string {
  if (key.length !== STATIC_KEY_BYTES) throw new RangeError(`a static key has ${STATIC_KEY_BYTES} bytes`);
  const lines: string[] = [];
  for (let at = 0; at < key.length; at += 16) lines.push(formatHex(key.subarray(at, at + 16)));
  return [
    '#',
    '# 2048 bit OpenVPN static key',
    '#',
    `-----BEGIN ${LABEL}-----`,
    ...lines,
    `-----END ${LABEL}-----`,
    '',
  ].join('\n');
}
