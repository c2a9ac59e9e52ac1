// New keys: what apps that make them need.

export { asksForKey, type KeyRequest, parseKeyRequest } from './config/key-request.ts';
export {
  generateAuthTokenKey,
  generateStaticKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
} from './crypto/generate-keys.ts';
export { createNodeCrypto } from './node/crypto-provider.ts';
export { parseBase64 } from './wire/base64.ts';
export {
  MetadataType,
  parseTlsCryptV2ServerKey,
  timestampMetadata,
  WKC_METADATA_MAX_BYTES,
  type WrappedMetadata,
} from './wire/tls-crypt-v2.ts';
