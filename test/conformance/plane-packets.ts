// Packets and ciphers of the data plane's conformance suite.

import { ipPacket } from '../ip/packets.ts';

export const NEAR = '10.8.0.2';
export const FAR = '10.8.0.1';
export const inward = (payload = new Uint8Array(40)) => ipPacket({ source: FAR, destination: NEAR, payload });
export const outward = (payload = new Uint8Array(40)) => ipPacket({ source: NEAR, destination: FAR, payload });
export const numbered = (length: number) =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff);

/** A cipher, a digest, and the format where it is not the usual one. */
export type CipherCase = [cipher: string, digest: string, format?: 'epoch'];

export const CIPHERS: CipherCase[] = [
  ['AES-128-GCM', 'none'],
  ['AES-192-GCM', 'none'],
  ['AES-256-GCM', 'none'],
  ['CHACHA20-POLY1305', 'none'],
  ['AES-256-CBC', 'SHA1'],
  ['AES-256-CBC', 'SHA256'],
  ['AES-128-CBC', 'SHA512'],
  ['AES-256-CBC', 'none'],
  ['AES-256-CFB', 'SHA256'],
  ['ARIA-128-OFB', 'SHA1'],
  ['CAMELLIA-192-CFB8', 'none'],
  ['ARIA-256-GCM', 'none'],
  ['none', 'SHA1'],
  ['none', 'none'],
  ['AES-128-GCM', 'none', 'epoch'],
  ['AES-192-GCM', 'none', 'epoch'],
  ['AES-256-GCM', 'none', 'epoch'],
  ['CHACHA20-POLY1305', 'none', 'epoch'],
];
