// Which data channel ciphers are known, and what a list of them means.

import type { Say } from './findings.ts';
import { shown } from './values.ts';

/** Offered when the profile names none. */
export const DEFAULT_DATA_CIPHERS: readonly string[] = ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'];

/** What a complaint proposes. */
const PROPOSED = 'AES-256-GCM:AES-192-GCM:AES-128-GCM:CHACHA20-POLY1305:AES-256-CBC:AES-128-CBC';

/** Every cipher with blocks of 128 bits, and the stream cipher; crypto/cipher-table.ts has their lengths. */
const KNOWN =
  /^(?:(?:AES|CAMELLIA|ARIA)-(?:128|192|256)-(?:CBC|OFB|CFB[18]?)|(?:AES|ARIA)-(?:128|192|256)-GCM|(?:SEED|SM4)-(?:CBC|OFB|CFB)|SM4-GCM|CHACHA20-POLY1305|none)$/;

/** Blocks of 64 bits: after some gigabytes under one key, repeated blocks give plaintext away (SWEET32). */
const SHORT_BLOCK = /^(?:(?:BF|CAST5|DES|DES-EDE3?)-(?:CBC|OFB|CFB)|(?:DES|DES-EDE3)-CFB[18])$/;

/** Bytes of a list of ciphers. */
const LIST_BYTES_LIMIT = 127;

export type CipherVerdict = 'known' | 'short-block' | 'unknown';

/** Whether a cipher can be used; `name` in OpenVPN's spelling, upper case. */
export function cipherVerdict(name: string, providers: readonly string[]): CipherVerdict {
  if (KNOWN.test(name)) return 'known';
  if (SHORT_BLOCK.test(name)) return providers.includes('legacy') ? 'known' : 'short-block';
  return 'unknown';
}

/** Whether a known cipher has blocks of 64 bits. */
export const hasShortBlocks = (name: string): boolean => SHORT_BLOCK.test(name);

/** What to do about a cipher with 64-bit blocks. */
export const SHORT_BLOCK_ADVICE =
  'Ask for AES-256-GCM at the other end; if it really can do nothing else, write "providers legacy default".';

/** Resolves DEFAULT and `?optional`; undefined after a complaint. */
export function cipherList(text: string, providers: readonly string[], say: Say): string[] | undefined {
  const words = text.split(':').flatMap((word) => (word === 'DEFAULT' ? DEFAULT_DATA_CIPHERS : [word]));
  const names: string[] = [];
  const bad: string[] = [];
  let short = false;
  for (const word of words) {
    if (word === '') continue;
    const optional = word.startsWith('?');
    const written = optional ? word.slice(1) : word;
    const name = written === 'none' ? written : written.toUpperCase();
    const verdict = cipherVerdict(name, providers);
    if (verdict === 'known') {
      if (!names.includes(name)) names.push(name);
      continue;
    }
    if (!optional) bad.push(written);
    short ||= verdict === 'short-block' && !optional;
    if (optional) say.warn(`Unsupported optional cipher in --data-ciphers: ${shown(written)}`);
  }
  if (names.includes('none')) {
    say.warn(
      "WARNING: cipher 'none' specified for --data-ciphers. This allows negotiation of NO encryption and tunnelled data WILL then be transmitted in clear text over the network! PLEASE DO RECONSIDER THIS SETTING!",
      'Remove none from the list.',
    );
  }
  if (bad.length > 0 || names.length === 0 || names.join(':').length > LIST_BYTES_LIMIT) {
    say.error(
      `--data-ciphers list contains unsupported ciphers or is too long.${bad.length > 0 ? ` (${bad.map(shown).join(', ')})` : ''}`,
      short ? SHORT_BLOCK_ADVICE : `Choose among ${PROPOSED}.`,
    );
    return undefined;
  }
  return names;
}
