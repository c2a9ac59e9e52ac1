// tls-crypt-v2 keys: one for the servers of a folder, and a client key of its own for each client's profile.

import {
  type CryptoProvider,
  parseTlsCryptV2ServerKey,
  writeTlsCryptV2ClientKey,
  writeTlsCryptV2ServerKey,
} from '../../src/pki.ts';
import { refuse } from './refuse.ts';

const SERVER_KEY_BYTES = 128;
const CLIENT_KEY_BYTES = 256;
/** Metadata of the kind that `tls-crypt-v2-max-age` reads: type 1, then Unix seconds in 64 bits. */
const METADATA_TIMESTAMP = 0x01;

/** The text of a new server key file. */
export function makeTunnelServerKey(crypto: CryptoProvider): string {
  return writeTlsCryptV2ServerKey(crypto.randomBytes(SERVER_KEY_BYTES));
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
  const clientKey = crypto.randomBytes(CLIENT_KEY_BYTES);
  const metadata = new Uint8Array(9);
  metadata[0] = METADATA_TIMESTAMP;
  new DataView(metadata.buffer).setBigUint64(1, BigInt(nowUnix));
  return writeTlsCryptV2ClientKey({
    clientKey,
    wrappedKey: sealWrappedKey(crypto, server.serverKey, clientKey, metadata),
  });
}

/** tag[32] | AES-256-CTR(Kc | metadata) | length u16; the tag is over length, key and metadata in the clear. */
function sealWrappedKey(
  crypto: CryptoProvider,
  serverKey: Uint8Array,
  clientKey: Uint8Array,
  metadata: Uint8Array,
): Uint8Array {
  const plain = new Uint8Array([...clientKey, ...metadata]);
  const size = 32 + plain.length + 2;
  const length = Uint8Array.of(size >> 8, size & 0xff);
  const tag = crypto.hmac('SHA256', serverKey.subarray(64, 96), length, plain);
  const sealed = crypto.aes256Ctr(serverKey.subarray(0, 32), tag.subarray(0, 16), plain);
  return new Uint8Array([...tag, ...sealed, ...length]);
}
