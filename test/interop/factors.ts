// What both matrices vary beside the program on the other end.

import type { Transport } from '../lab/lab.ts';

/** Ciphers of the data channel, each with the lines it needs beside. */
export const ciphers = {
  'AES-128-GCM': [],
  'AES-192-GCM': [],
  'AES-256-GCM': [],
  'CHACHA20-POLY1305': [],
  'AES-256-CBC': ['auth SHA256'],
  'AES-128-CBC': ['auth SHA1'],
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

export const transports = ['udp4', 'udp6', 'tcp4', 'tcp6'] as const satisfies readonly Transport[];

/** How both sides come to the same cipher. */
export const agreements = ['negotiation', 'fallback'] as const;
