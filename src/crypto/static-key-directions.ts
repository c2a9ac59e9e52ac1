// Which half of a 256-byte static key is for sending and which for receiving.
//
//   K0.cipher[64] | K0.hmac[64] | K1.cipher[64] | K1.hmac[64]
//
//   direction   out   in
//   0           K0    K1
//   1           K1    K0
//   none        K0    K0

/** One half, 64 bytes each, as views of the key. */
export interface StaticKeyHalf {
  readonly cipher: Uint8Array;
  readonly hmac: Uint8Array;
}

/** Halves for sending and receiving under a `key-direction`. */
export function staticKeyDirections(
  key: Uint8Array,
  direction: 0 | 1 | undefined,
): { readonly out: StaticKeyHalf; readonly in: StaticKeyHalf } {
  if (key.length !== 256) throw new RangeError('a static key has 256 bytes');
  const half = (index: 0 | 1): StaticKeyHalf => ({
    cipher: key.subarray(128 * index, 128 * index + 64),
    hmac: key.subarray(128 * index + 64, 128 * index + 128),
  });
  switch (direction) {
    case 0:
      return { out: half(0), in: half(1) };
    case 1:
      return { out: half(1), in: half(0) };
    case undefined:
      return { out: half(0), in: half(0) };
    default:
      return direction satisfies never;
  }
}

/** tls-crypt fixes the direction by the TLS role: a server sends with K0. */
export function tlsCryptDirection(tlsRole: 'client' | 'server'): 0 | 1 {
  return tlsRole === 'server' ? 0 : 1;
}
