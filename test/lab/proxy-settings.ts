// How a proxy of tests is to behave.

export interface HttpProxySettings {
  readonly port: number;
  /** Values of `Proxy-Authenticate`; none: nobody has to log in. NONCE stands for a new one. */
  readonly offers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  /** The head of the answer comes a byte at a time. */
  readonly slow?: boolean;
  /** What is said to every request, and the connection ended: a text as it is, or one of these. */
  readonly answer?: 'silent' | 'close' | 'endless' | (string & {});
}

export interface SocksProxySettings {
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  /** First byte of the answer to a login; 1 unless stated, 5 is what OpenVPN expects. */
  readonly loginVersion?: number;
  /** What is said to the first bytes, and the connection ended (Latin-1); or nothing at all. */
  readonly answer?: 'silent' | (string & {});
  /** The number that requests are refused with. */
  readonly reply?: number;
  /** What is said of where the relay is; its own address unless stated. */
  readonly relayAddress?: string;
  /** The family of the servers that the relay sends to; 4 unless stated. */
  readonly family?: 4 | 6;
}
