// How the peer's certificate is judged, from options to the session's record.

import type { TlsOptions } from '../config/config.ts';
import type { VerifyOptions } from '../session/options.ts';

/** What is asked of the peer's certificate beyond its chain. */
export function peerChecksOf(tls: TlsOptions): VerifyOptions {
  return {
    requireCertificate: true,
    keyUsages: tls.remoteCertKu,
    extendedKeyUsage: tls.remoteCertEku,
    netscapeCertType: tls.nsCertType,
    name: tls.verifyX509Name,
    fingerprints: tls.peerFingerprints,
    withoutCa:
      tls.peerFingerprints.length > 0 && tls.ca === undefined && tls.caPath === undefined && tls.pkcs12 === undefined,
    issuerHash: tls.verifyHash,
  };
}
