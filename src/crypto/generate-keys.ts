// New keys as the text of their files, which OpenVPN reads as well.

import { AUTH_TOKEN_KEY_BYTES, writeAuthTokenKey } from '../wire/auth-token-key.ts';
import { STATIC_KEY_BYTES, writeStaticKey } from '../wire/static-key.ts';
import {
  TLS_CRYPT_V2_SERVER_KEY_BYTES,
  type WrappedMetadata,
  writeTlsCryptV2ClientKey,
  writeTlsCryptV2ServerKey,
} from '../wire/tls-crypt-v2.ts';
import type { CryptoProvider } from './provider.ts';
import { sealWrappedKey } from './wrapped-key.ts';

/** One key for both ends, for tls-auth and tls-crypt. */
export const generateStaticKey = (crypto: CryptoProvider): string => fresh(STATIC_KEY_BYTES, writeStaticKey, crypto);

/** The key under which a server's tls-crypt-v2 client keys are wrapped. */
export const generateTlsCryptV2ServerKey = (crypto: CryptoProvider): string =>
  fresh(TLS_CRYPT_V2_SERVER_KEY_BYTES, writeTlsCryptV2ServerKey, crypto);

/** The key that signs a server's auth-tokens. */
export const generateAuthTokenKey = (crypto: CryptoProvider): string =>
  fresh(AUTH_TOKEN_KEY_BYTES, writeAuthTokenKey, crypto);

/** A tls-crypt-v2 key for one client. Throws RangeError for a server key of a wrong length and for too much metadata. */
export const generateTlsCryptV2ClientKey = (
  serverKey: Uint8Array,
  metadata: WrappedMetadata | undefined,
  crypto: CryptoProvider,
): string =>
  fresh(
    STATIC_KEY_BYTES,
    (clientKey) =>
      writeTlsCryptV2ClientKey({ clientKey, wrappedKey: sealWrappedKey(clientKey, metadata, serverKey, crypto) }),
    crypto,
  );

function fresh(lengthBytes: number, write: (key: Uint8Array) => string, crypto: CryptoProvider): string {
  const key = crypto.randomBytes(lengthBytes);
  try {
    return write(key);
  } finally {
    key.fill(0);
  }
}
