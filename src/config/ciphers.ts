// Which data channel ciphers are known, and what a list of them means.

import type { Say } from './findings.ts';
import { shown } from './values.ts';

/** Offered when the profile names none. */
export const DEFAULT_DATA_CIPHERS: readonly string[] = ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'];

const KNOWN: readonly string[] = [
  'AES-128-GCM',
  'AES-192-GCM',
  'AES-256-GCM',
  'CHACHA20-POLY1305',
  'AES-128-CBC',
  'AES-192-CBC',
  'AES-256-CBC',
  'CAMELLIA-128-CBC',
  'CAMELLIA-192-CBC',
  'CAMELLIA-256-CBC',
  'ARIA-128-CBC',
  'ARIA-192-CBC',
  'ARIA-256-CBC',
  'SEED-CBC',
  'SM4-CBC',
  'none',
];

/** Blocks of 64 bits: after some gigabytes under one key, repeated blocks give plaintext away (SWEET32). */
const SHORT_BLOCK: readonly string[] = ['BF-CBC', 'CAST5-CBC', 'DES-CBC', 'DES-EDE3-CBC', 'DES-EDE-CBC'];

/** Bytes of a list of ciphers. */
const LIST_BYTES_LIMIT = 127;

export type CipherVerdict = 'known' | 'short-block' | 'unknown';

/** Whether a cipher can be used; `name` in OpenVPN's spelling, upper case. */
export function cipherVerdict(name: string, providers: readonly string[]): CipherVerdict {
  if (KNOWN.includes(name)) return 'known';
  if (SHORT_BLOCK.includes(name)) return providers.includes('legacy') ? 'known' : 'short-block';
  return 'unknown';
}

/** Whether a known cipher has blocks of 64 bits. */
export const hasShortBlocks = (name: string): boolean => SHORT_BLOCK.includes(name);

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
      short ? SHORT_BLOCK_ADVICE : `Choose among ${KNOWN.slice(0, 7).join(':')}.`,
    );
    return undefined;
  }
  return names;
}
