// `link-mtu`, which OpenVPN 2.6 gave up: the MTU of the tunnel is what its sums leave of it. They count the short header
// always, block and IV for AEAD too, and nothing for a cipher that the configuration does not name (observed with OpenVPN
// 2.6.14 and 2.7.8).

const OPCODE_BYTES = 1;
const PACKET_ID_BYTES = 4;
/** CFB and OFB: within the IV, and counted once more. */
const TIMED_PACKET_ID_BYTES = 8;
const STREAM_LENGTH_BYTES = 2;
const AES_BLOCK_BYTES = 16;
const AEAD_IV_BYTES = 12;
const AEAD_TAG_BYTES = 16;
/** SHA1. */
const DIGEST_BYTES = 20;

/** The MTU of the tunnel under `link-mtu`. `cipher` as configured, `digest` as in `auth`. */
export function tunMtuOfLink(
  linkMtuBytes: number,
  facts: { readonly cipher: string | undefined; readonly digest: string; readonly stream: boolean },
): number {
  const stream = facts.stream ? STREAM_LENGTH_BYTES : 0;
  return linkMtuBytes - OPCODE_BYTES - stream - cryptoBytes(facts.cipher ?? 'none', digestBytes(facts.digest));
}

function cryptoBytes(cipher: string, digest: number): number {
  if (cipher.endsWith('-GCM')) return PACKET_ID_BYTES + AEAD_IV_BYTES + AES_BLOCK_BYTES + AEAD_TAG_BYTES;
  if (cipher === 'CHACHA20-POLY1305') return PACKET_ID_BYTES + AEAD_IV_BYTES + 1 + AEAD_TAG_BYTES;
  if (cipher === 'none' || cipher === 'BF-CBC') return PACKET_ID_BYTES + digest;
  return 2 * AES_BLOCK_BYTES + (cipher.endsWith('-CBC') ? 0 : TIMED_PACKET_ID_BYTES) + digest;
}

function digestBytes(digest: string): number {
  if (digest === 'none') return 0;
  const bits = /^(?:RSA-)?SHA(?:3-|512-)?(224|256|384|512)$/.exec(digest)?.[1];
  if (bits !== undefined) return Number(bits) / 8;
  return digest === 'MD5' ? 16 : DIGEST_BYTES;
}
