// What a file of key material is, by its first bytes and its PEM labels.

/** PFX ::= SEQUENCE { INTEGER 3, … }: 0x30, a length in DER of one to five bytes, 02 01 03. */
export function looksLikePkcs12(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0x30 || bytes[1] === undefined) return false;
  const at = 2 + (bytes[1] >= 0x80 ? bytes[1] & 0x7f : 0);
  return bytes[at] === 0x02 && bytes[at + 1] === 0x01 && bytes[at + 2] === 0x03;
}

/** Whether a passphrase is needed to use it: an encrypted PEM key, or PKCS#12, which nearly always has one. */
export function isEncryptedKey(bytes: Uint8Array): boolean {
  if (looksLikePkcs12(bytes)) return true;
  const text = new TextDecoder('latin1').decode(bytes);
  return /^(?:Proc-Type: 4,ENCRYPTED|-----BEGIN ENCRYPTED PRIVATE KEY-----)/m.test(text);
}
