// Data-channel keys as both planes pass them on.

/** One direction's key material, already cut to length for its algorithms. */
export interface DirectionKey {
  /** Cipher key; empty for cipher `none`. */
  readonly cipher: Uint8Array;
  /** AEAD: the 8 bytes of implicit nonce. CBC: the HMAC key of digest length; empty for auth `none`. */
  readonly hmac: Uint8Array;
}

/** Both directions as this side uses them. Wiped by whoever installed them in a plane. */
export interface DataKeyMaterial {
  readonly seal: DirectionKey;
  readonly open: DirectionKey;
}
