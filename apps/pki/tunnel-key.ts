// tls-crypt-v2 keys: one for the servers of a folder, and a client key of its own for each client's profile.

import {
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  parseTlsCryptV2ServerKey,
  timestampMetadata,
} from '../../src/keys.ts';
import type { CryptoProvider } from '../../src/pki.ts';
import { refuse } from './refuse.ts';

/** The text of a new server key file. */
export function makeTunnelServerKey(crypto: CryptoProvider): string {
  return generateTlsCryptV2ServerKey(crypto);
}

/** The text of a new client key file, wrapped by the server key in `serverKeyText`; `file` is for the refusal. */
export function makeTunnelClientKey(
  crypto: CryptoProvider,
  serverKeyText: string,
  file: string,
  nowUnix: number,
): string {
  const server = parseTlsCryptV2ServerKey(serverKeyText);
  if ('problem' in server) refuse(`${file} is not a tls-crypt-v2 server key: ${server.problem}`);
  return generateTlsCryptV2ClientKey(server.serverKey, timestampMetadata(nowUnix), crypto);
}
