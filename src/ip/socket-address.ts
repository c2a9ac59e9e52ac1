// A transport address as bytes, and its text in the C program's log form.

/** One end of a UDP or TCP transport. `address` has 4 bytes (family 4) or 16 (family 6), network order; `port` 0..65535. */
export interface SocketAddress {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly port: number;
  /** IPv6 scope (interface index) of a link-local address, else 0. */
  readonly scopeId: number;
}
