// Which wrapping the control channel has, as key material ready to use.

export type WrapOptions =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'tls-auth';
      /** The 256 bytes of the static key file. */
      readonly staticKey: Uint8Array;
      readonly direction: 0 | 1 | undefined;
      readonly digest: string;
    }
  | { readonly kind: 'tls-crypt'; readonly staticKey: Uint8Array }
  | {
      readonly kind: 'tls-crypt-v2-client';
      /** Kc, 256 bytes, and the wrapped key to append. */
      readonly clientKey: Uint8Array;
      readonly wrappedKey: Uint8Array;
    }
  /** One client's Kc, 256 bytes, as its wrapped key said it; what that client appends is taken off. */
  | { readonly kind: 'tls-crypt-v2-server'; readonly clientKey: Uint8Array };
