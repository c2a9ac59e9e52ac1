// The key of a server's auth-tokens (`auth-gen-token-secret`).
//
//   key file   cipher[64] | hmac[64]; tokens are signed with the first 32 bytes of hmac

import { formatBase64, parseBase64 } from './base64.ts';
import { parsePemLines, writePem } from './pem.ts';

const LABEL = 'OpenVPN auth-token server key';
export const AUTH_TOKEN_KEY_BYTES = 128;

/** The 128 bytes of a key file, or what is wrong with it. */
export function parseAuthTokenKey(text: string): { readonly key: Uint8Array } | { readonly problem: string } {
  const lines = parsePemLines(text, LABEL);
  if (lines === undefined) return { problem: `there is no -----BEGIN ${LABEL}----- … -----END ${LABEL}----- in it` };
  const bytes = parseBase64(lines.join(''));
  if (bytes === undefined) return { problem: 'it is not base64' };
  // What is longer is taken, as the C program does.
  if (bytes.length < AUTH_TOKEN_KEY_BYTES) {
    return { problem: `it has ${bytes.length} bytes where ${AUTH_TOKEN_KEY_BYTES} belong` };
  }
  return { key: bytes.slice(0, AUTH_TOKEN_KEY_BYTES) };
}

export function writeAuthTokenKey(key: Uint8Array): string {
  return writePem(LABEL, formatBase64(key));
}
