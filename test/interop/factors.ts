// What both matrices vary beside the program on the other end.

import type { Lab, Transport } from '../lab/lab.ts';

/** Ciphers of the data channel, each with the lines it needs beside. */
export const ciphers = {
  'AES-128-GCM': [],
  'AES-192-GCM': [],
  'AES-256-GCM': [],
  'CHACHA20-POLY1305': [],
  'AES-256-CBC': ['auth SHA256'],
  'AES-128-CBC': ['auth SHA1'],
  'AES-256-CFB': ['auth SHA256'],
} as const;
export type Cipher = keyof typeof ciphers;

export const cipherNames = Object.keys(ciphers) as readonly Cipher[];

/** How the control channel is wrapped. */
export const wraps = [
  'no wrap',
  'tls-auth with direction',
  'tls-auth without direction',
  'tls-crypt',
  'tls-crypt-v2',
] as const;
export type Wrap = (typeof wraps)[number];

/** The line of each end for a wrap; nothing for none. */
export function wrapLines(
  lab: Lab,
  wrap: Wrap,
): { readonly client: readonly string[]; readonly server: readonly string[] } {
  const { shared, v2Client, v2Server } = lab.keys;
  switch (wrap) {
    case 'no wrap':
      return { client: [], server: [] };
    case 'tls-auth with direction':
      return { client: [`tls-auth ${shared} 1`], server: [`tls-auth ${shared} 0`] };
    case 'tls-auth without direction':
      return { client: [`tls-auth ${shared}`], server: [`tls-auth ${shared}`] };
    case 'tls-crypt':
      return { client: [`tls-crypt ${shared}`], server: [`tls-crypt ${shared}`] };
    case 'tls-crypt-v2':
      return { client: [`tls-crypt-v2 ${v2Client}`], server: [`tls-crypt-v2 ${v2Server}`] };
    default:
      return wrap satisfies never;
  }
}

export const transports = ['udp4', 'udp6', 'tcp4', 'tcp6'] as const satisfies readonly Transport[];

/** How both sides come to the same cipher. */
export const agreements = ['negotiation', 'fallback'] as const;
