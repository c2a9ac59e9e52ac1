// The TLS port of the control channel, shaped by events: input goes in, and what TLS has to say comes out on a later
// turn through the listener. Every engine passes the one conformance suite in test/conformance/tls-engine.ts.

/** One certificate of the peer's chain, parsed as far as the checks of `control/verify-peer` need it. */
export interface PeerCertificate {
  /** 0 is the peer's own certificate. */
  readonly depth: number;
  readonly der: Uint8Array;
  readonly pem: string;
  /** The C program's one-line form: `C=DE, O=Example, CN=server`. Cleaned of control characters. */
  readonly subject: string;
  readonly issuer: string;
  /** Subject fields in order, for X509_{depth}_{field} variables: ['CN', 'server'] … */
  readonly subjectFields: readonly (readonly [name: string, value: string])[];
  readonly commonName: string | undefined;
  /** Serial number as upper-case hexadecimal without separators. */
  readonly serialHex: string;
  /** Unix seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly sha1: Uint8Array;
  readonly sha256: Uint8Array;
  /** Key usage bits as in the C program (first byte high, second low): digitalSignature 0x80 …; undefined when absent. */
  readonly keyUsage: number | undefined;
  /** OIDs of the extended key usage; undefined when absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** Netscape cert type bits; undefined when absent. */
  readonly netscapeCertType: number | undefined;
  readonly isCa: boolean;
  /** For example `384 bits ECsecp384r1`, `2048 bits RSA`, and the signature algorithm's name. */
  readonly keyDescription: string;
  readonly signatureAlgorithm: string;
  /** `email:max@example.com`, `DNS:vpn.example.com` … */
  readonly subjectAltNames: readonly string[];
  readonly issuerAltNames: readonly string[];
  /** An extension in OpenSSL's words, by its short name (`keyUsage`); undefined where there is none. */
  extensionText?(name: string): string | undefined;
}

/** What the library itself found about the chain. Anything but `trusted: true` must be refused, except under peer-fingerprint without a CA. */
export type ChainVerdict =
  | { readonly trusted: true }
  /** `code` is OpenSSL's name (CERT_HAS_EXPIRED …), `text` its sentence, `depth` -1 when unknown. */
  | { readonly trusted: false; readonly code: string; readonly text: string; readonly depth: number };

export interface TlsEstablished {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** Standard (IANA) name of the cipher suite. */
  readonly cipher: string;
  /** Temporary key, for example `253 bits X25519`; undefined when unknown. */
  readonly temporaryKey: string | undefined;
  /** A resumed session carries no fresh proof of the peer's identity and is always refused. */
  readonly resumed: boolean;
  /** Leaf first. Empty when the peer sent none. */
  readonly chain: readonly PeerCertificate[];
  readonly verdict: ChainVerdict;
  /** Certificates of the chain that no revocation list speaks of, where there are lists: they are let in, and told of. */
  readonly unlisted?: readonly PeerCertificate[];
}

export interface TlsFailure {
  /** `alert` came from the peer; `local` is our library's own refusal. */
  readonly origin: 'alert' | 'local';
  /** OpenSSL's or the alert's name, for example `ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION`. */
  readonly code: string;
  /** A sentence for people, from a fixed table where we know the code. */
  readonly text: string;
  /** The alert that crossed, in OpenSSL's words: `protocol version`, `unknown CA` … */
  readonly alert?: { readonly direction: 'received' | 'sent'; readonly name: string };
}

/** Called by the engine, never from inside a call into it. */
export interface TlsListener {
  ciphertext(bytes: Uint8Array): void;
  established(info: TlsEstablished): void;
  plaintext(bytes: Uint8Array): void;
  /** Once for each `handlePlaintext`, in order: all of its ciphertext was told. */
  flushed(): void;
  failed(failure: TlsFailure): void;
}

export interface TlsEngine {
  /** In-order bytes from the reliability layer. */
  handleCiphertext(bytes: Uint8Array): void;
  /** Application bytes to encrypt; before `established` they are an error of the caller. */
  handlePlaintext(bytes: Uint8Array): void;
  /** Exporter of RFC 5705 / RFC 8446 with no context. Only after `established`. */
  exportKeyingMaterial(lengthBytes: number, label: string): Uint8Array;
  /**
   * Ends an established session with a fatal alert (its number), where the engine can make one and nothing was said inside
   * yet; `failed` follows in any case.
   */
  refuse(alert: number): void;
  /** Ends the engine; the listener is not called afterwards. */
  close(): void;
}

export interface TlsEngineFactory {
  create(role: 'client' | 'server', listener: TlsListener): TlsEngine;
}

/** What somebody who holds a private key is asked to sign. */
export interface SignRequest {
  readonly keyType: 'RSA' | 'EC' | 'ED25519' | 'ED448';
  /** Of RSA alone. */
  readonly padding: 'pkcs1' | 'pss' | 'none' | undefined;
  /** `SHA256` …; undefined with the Edwards curves, which take the message itself. */
  readonly digest: string | undefined;
  /** Of PSS alone. */
  readonly saltLength: 'digest' | 'max' | 'auto';
  readonly keyBits: number;
  /** Not digested yet. */
  readonly message: Uint8Array;
}

/** Signs with a key that is elsewhere. Rejects when there is no signature to be had, or when the signal fires. */
export type ExternalSigner = (request: SignRequest, signal: AbortSignal) => Promise<Uint8Array>;
