// What went wrong with the client, in the few words that NetworkManager has for it.

import type { ErrorCode } from '../../src/index.ts';

/** NMVpnPluginFailure. */
export const Failure = { loginFailed: 0, connectFailed: 1, badIpConfig: 2 } as const;
export type Failure = (typeof Failure)[keyof typeof Failure];

/** An end, or a failed attempt, as the client told it. */
export interface ClientProblem {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly hint: string | undefined;
  /** The same may succeed later without anybody changing anything. */
  readonly retry: boolean;
}

/** The server's alert that it does not take our certificate, as the client words it (node/tls-words.ts). */
const REFUSED_CERTIFICATE =
  /\balert (?:no_certificate|bad_certificate|unsupported_certificate|certificate_revoked|certificate_expired|certificate_unknown|certificate_required|unknown_ca|access_denied)\b/;
/** OpenSSL's names for a server's certificate that does not stand. */
const DISTRUSTED_CERTIFICATE =
  /\((?:CERT_\w+|CRL_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|INVALID_\w+|HOSTNAME_MISMATCH)\)/;

/** Login: whoever connects is not let in. A server that can't prove who it is has refused nobody. */
export function failureOf({ code, message }: Pick<ClientProblem, 'code' | 'message'>): Failure {
  switch (code) {
    case 'SALLYPORT_AUTH_FAILED':
    case 'SALLYPORT_CREDENTIALS':
      return Failure.loginFailed;
    case 'SALLYPORT_TLS':
      return REFUSED_CERTIFICATE.test(message) ? Failure.loginFailed : Failure.connectFailed;
    default:
      return Failure.connectFailed;
  }
}

/**
 * Whether to stop trying at once: nothing that waiting could change. What the network does (no answer, refused, no such
 * name) may change within the minute.
 */
export function isFinal({ code, message, retry }: Pick<ClientProblem, 'code' | 'message' | 'retry'>): boolean {
  switch (code) {
    case 'SALLYPORT_CERTIFICATE':
    case 'SALLYPORT_CONFIG':
    case 'SALLYPORT_WRAP':
    case 'SALLYPORT_PERMISSION':
      return !retry;
    case 'SALLYPORT_TLS':
      return REFUSED_CERTIFICATE.test(message) || DISTRUSTED_CERTIFICATE.test(message);
    default:
      return false;
  }
}
