// tls-crypt-v2 keys: one for the servers of a folder, and a client key of its own for each client's profile.

import {
  createNodeCrypto,
  parseTlsCryptV2ServerKey,
  STATIC_KEY_BYTES,
  sealWrappedKey,
  TLS_CRYPT_V2_SERVER_KEY_BYTES,
  timestampMetadata,
  writeTlsCryptV2ClientKey,
  writeTlsCryptV2ServerKey,
} from '../../src/pki.ts';
import { refuse } from './refuse.ts';

/** The text of a new server key file. */
export function makeTunnelServerKey(): string {
  return writeTlsCryptV2ServerKey(createNodeCrypto().randomBytes(TLS_CRYPT_V2_SERVER_KEY_BYTES));
}

/**
 * The text of a new client key file, wrapped by the server key in `serverKeyText` with the time as metadata, which
 * `tls-crypt-v2-max-age` reads. `file` is for the refusal.
 */
export function makeTunnelClientKey(serverKeyText: string, file: string, nowUnix: number): string {
  const crypto = createNodeCrypto();
  const server = parseTlsCryptV2ServerKey(serverKeyText);
  if ('problem' in server) return refuse(`${file} is not a tls-crypt-v2 server key: ${server.problem}`);
  const clientKey = crypto.randomBytes(STATIC_KEY_BYTES);
  const wrappedKey = sealWrappedKey(clientKey, timestampMetadata(nowUnix), server.serverKey, crypto);
  return writeTlsCryptV2ClientKey({ clientKey, wrappedKey });
}
