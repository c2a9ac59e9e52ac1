// Data-channel keys as both planes pass them on.

/** What the epoch format takes of a direction's cipher key, whatever the cipher: the secret of its first epoch. */
export const EPOCH_SECRET_BYTES = 32;

/** One direction's key material, already cut to length for its algorithms. */
export interface DirectionKey {
  /** Cipher key; empty for cipher `none`; in the epoch format the 32 bytes that its keys come from. */
  readonly cipher: Uint8Array;
  /** AEAD: the 8 bytes of implicit nonce. CBC: the HMAC key of digest length. Empty for auth `none` and the epoch format. */
  readonly hmac: Uint8Array;
}

/** Both directions as this side uses them. Wiped by whoever installed them in a plane. */
export interface DataKeyMaterial {
  readonly seal: DirectionKey;
  readonly open: DirectionKey;
}
