// Entry point for apps/pki: what making keys, certificates and configurations needs of the rooms.

export type { CryptoProvider } from './crypto/provider.ts';
export { SallyportError } from './error.ts';
export { formatAddress, parseAddress } from './ip/address.ts';
export { lengthToNetmask, parsePrefix, prefixContains } from './ip/prefix.ts';
export { lockFolder } from './linux/folder-lock.ts';
export { createNodeCrypto } from './node/crypto-provider.ts';
export { expiryWarning } from './node/expiry.ts';
export { toPem } from './node/peer-certificate.ts';
export { parsePem } from './node/pem.ts';
export { MAX_MATERIAL_BYTES, readBoundedFile } from './node/read-file.ts';
export { cleanTerminalText, createTerminal } from './node/terminal.ts';
