// Entry point for apps/pki: what making keys, certificates and configurations needs of the rooms.

export { sealWrappedKey } from './crypto/wrapped-key.ts';
export { SallyportError } from './error.ts';
export { parseAddress } from './ip/address.ts';
export { parsePrefix } from './ip/prefix.ts';
export { lockFolder } from './linux/folder-lock.ts';
export { createNodeCrypto } from './node/crypto-provider.ts';
export { expiryWarning } from './node/expiry.ts';
export { parsePem } from './node/pem.ts';
export { MAX_MATERIAL_BYTES, readBoundedFile } from './node/read-file.ts';
export { createTerminal } from './node/terminal.ts';
export { STATIC_KEY_BYTES } from './wire/static-key.ts';
export {
  parseTlsCryptV2ServerKey,
  TLS_CRYPT_V2_SERVER_KEY_BYTES,
  timestampMetadata,
  writeTlsCryptV2ClientKey,
  writeTlsCryptV2ServerKey,
} from './wire/tls-crypt-v2.ts';
