// What OpenSSL's codes mean and what to do about them, in words. The left column is Node's `error.code`; whatever is not
// in the table keeps OpenSSL's own reason.

import type { TlsFailure } from '../control/tls-engine.ts';

/** A TLS failure in words. `message` is OpenSSL's text, used for codes that the table does not know. */
export function describeTlsFailure(code: string | undefined, message: string): TlsFailure {
  const name = code ?? 'TLS_ERROR';
  const usual = name.replace('SSL/TLS_ALERT_', 'SSLV3_ALERT_'); // OpenSSL 3.2 and newer (Node 22) have another name for it
  const known = ALERTS.get(usual) ?? LOCAL.get(usual);
  const origin = /_ALERT_/.test(usual) || usual === 'CLOSE_NOTIFY' ? 'alert' : 'local';
  const received = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)$/.exec(usual)?.[1];
  return {
    origin,
    code: name,
    text: known ?? clean(reasonOf(message)),
    ...(received === undefined ? {} : { alert: { direction: 'received', name: alertName(received) } }),
  };
}

/** The alert within a record that goes out unencrypted, in OpenSSL's words; undefined for what is no fatal alert. */
export function sentAlert(record: Uint8Array): string | undefined {
  // type 0x15 (1) | version (2) | length 2 (2) | level 2, fatal (1) | description (1)
  const at = record.length - 7;
  if (at < 0 || record[at] !== 0x15 || record[at + 3] !== 0 || record[at + 4] !== 2 || record[at + 5] !== 2)
    return undefined;
  return ALERT_NAMES.get(record[at + 6] ?? 0);
}

/** An alert in OpenSSL's words. */
export const nameOfAlert = (alert: number): string => ALERT_NAMES.get(alert) ?? `alert ${alert}`;

/** As SSL_alert_desc_string_long says it, from a code's words. */
const alertName = (words: string): string =>
  words.toLowerCase().replaceAll('_', ' ').replace(/ ca$/, ' CA').replace('user cancelled', 'user canceled');

/** RFC 5246 and RFC 8446, section 6. */
const ALERT_NAMES = new Map([
  [10, 'unexpected message'],
  [20, 'bad record mac'],
  [22, 'record overflow'],
  [40, 'handshake failure'],
  [42, 'bad certificate'],
  [43, 'unsupported certificate'],
  [44, 'certificate revoked'],
  [45, 'certificate expired'],
  [46, 'certificate unknown'],
  [47, 'illegal parameter'],
  [48, 'unknown CA'],
  [49, 'access denied'],
  [50, 'decode error'],
  [51, 'decrypt error'],
  [70, 'protocol version'],
  [71, 'insufficient security'],
  [80, 'internal error'],
  [86, 'inappropriate fallback'],
  [90, 'user canceled'],
  [100, 'no renegotiation'],
  [109, 'missing extension'],
  [110, 'unsupported extension'],
  [112, 'unrecognized name'],
  [116, 'certificate required'],
  [120, 'no application protocol'],
]);

/** OpenSSL's sentence for a verification code (X509_V_ERR_…) as its log lines have it. */
export function describeVerifyCode(code: string): string {
  return VERIFY.get(code) ?? code.toLowerCase().replaceAll('_', ' ');
}

/** `error:0A000086:SSL routines::certificate verify failed` → its last part. */
function reasonOf(message: string): string {
  const match = /error:[0-9A-F]+:[^:]*:[^:]*:([^\n]*)/.exec(message);
  return `TLS failed: ${match?.[1]?.replace(/:?\.\.\/.*$/, '') || message}`;
}

const clean = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, ' ').slice(0, 300);

const ALERTS = new Map([
  ['CLOSE_NOTIFY', 'the peer closed the TLS connection (close notify)'],
  [
    'ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE',
    'the peer received a TLS message out of order (alert unexpected_message): one side is not a TLS implementation that fits',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC',
    'the peer could not authenticate a TLS record (alert bad_record_mac): bytes of the control channel were changed on the way',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_DECRYPTION_FAILED',
    'the peer could not decrypt a TLS record (alert decryption_failed): bytes of the control channel were changed on the way',
  ],
  ['ERR_SSL_TLSV1_ALERT_RECORD_OVERFLOW', 'the peer received a TLS record that is too long (alert record_overflow)'],
  [
    'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
    "the peer found no common TLS parameters (alert handshake_failure): compare tls-cipher, tls-groups, tls-version-min and the key types of both certificates; the peer's log has the reason",
  ],
  ['ERR_SSL_SSLV3_ALERT_NO_CERTIFICATE', 'the peer has no certificate to show (alert no_certificate)'],
  [
    'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
    "the peer refused our certificate as damaged or wrongly signed (alert bad_certificate): check cert, and ask for the reason in the peer's log",
  ],
  [
    'ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE',
    'the peer refused our certificate because of its usage or type (alert unsupported_certificate): it has to allow client (or server) authentication',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED',
    'the peer says that our certificate is revoked (alert certificate_revoked): ask for a new certificate',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED',
    'the peer says that our certificate has expired or is not yet valid (alert certificate_expired): check its dates and both clocks',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN',
    'the peer refused our certificate for a reason of its own (alert certificate_unknown): its log has the reason',
  ],
  [
    'ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER',
    'the peer found a TLS message that contradicts itself (alert illegal_parameter)',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    'the peer does not know the authority that issued our certificate (alert unknown_ca): its ca file must have the issuer, or our cert file the chain to it',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
    'the peer refused access to the certificate that we showed (alert access_denied)',
  ],
  ['ERR_SSL_TLSV1_ALERT_DECODE_ERROR', 'the peer could not read a TLS message (alert decode_error)'],
  [
    'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR',
    'the peer could not verify our signature or key exchange (alert decrypt_error): check that cert and key belong together',
  ],
  ['ERR_SSL_TLSV1_ALERT_EXPORT_RESTRICTION', 'the peer refused for export restrictions (alert export_restriction)'],
  [
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    'the peer does not speak the TLS version that we offered (alert protocol_version): compare tls-version-min and tls-version-max of both sides',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY',
    'the peer demands stronger TLS parameters (alert insufficient_security): compare tls-cipher and tls-cert-profile',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
    'the peer had an error of its own (alert internal_error): its log has the reason',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_INAPPROPRIATE_FALLBACK',
    'the peer speaks a newer TLS version than was offered (alert inappropriate_fallback)',
  ],
  ['ERR_SSL_TLSV1_ALERT_USER_CANCELLED', 'the peer cancelled the handshake (alert user_cancelled)'],
  ['ERR_SSL_TLSV1_ALERT_NO_RENEGOTIATION', 'the peer refused a TLS renegotiation (alert no_renegotiation)'],
  [
    'ERR_SSL_TLSV13_ALERT_MISSING_EXTENSION',
    'the peer misses a TLS extension (alert missing_extension): the TLS versions or groups of both sides do not fit',
  ],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'the peer demands a certificate and we have none (alert certificate_required): add cert and key, or pkcs12',
  ],
  ['ERR_SSL_TLSV1_UNSUPPORTED_EXTENSION', 'the peer refused a TLS extension (alert unsupported_extension)'],
  ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'the peer does not know the server name (alert unrecognized_name)'],
  [
    'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    'the peer found no common application protocol (alert no_application_protocol)',
  ],
]);

const LOCAL = new Map([
  [
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'what came from the peer is not TLS (wrong version number): the peer is not an OpenVPN peer, or the control channel is damaged',
  ],
  [
    'ERR_SSL_UNSUPPORTED_PROTOCOL',
    'the peer speaks only a TLS version that we do not allow: tls-version-min of this side is higher than what the peer has',
  ],
  [
    'ERR_SSL_VERSION_TOO_LOW',
    'the TLS version is below what the security level allows: raise tls-version-min on the peer',
  ],
  [
    'ERR_SSL_NO_SHARED_CIPHER',
    'no TLS cipher is common to both sides: compare tls-cipher and tls-ciphersuites, and the key types of the certificates',
  ],
  [
    'ERR_SSL_NO_CIPHERS_AVAILABLE',
    'no TLS cipher is left after tls-cipher, tls-version-min and tls-cert-profile were applied',
  ],
  [
    'ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM',
    'no signature algorithm fits the certificate: compare tls-cert-profile and the key types of both sides',
  ],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 'no key-exchange group is common to both sides: compare tls-groups'],
  ['ERR_SSL_NO_SUITABLE_GROUPS', 'no key-exchange group is common to both sides: compare tls-groups'],
  [
    'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
    'the peer sent no certificate: it needs cert and key, or this side verify-client-cert none',
  ],
  [
    'ERR_SSL_DH_KEY_TOO_SMALL',
    "the peer's Diffie-Hellman parameters are too small: it needs dh parameters of 2048 bits, or dh none",
  ],
  [
    'ERR_TLS_DH_PARAM_SIZE',
    "the peer's Diffie-Hellman parameters are too small: it needs dh parameters of 2048 bits, or dh none",
  ],
  ['ERR_SSL_EE_KEY_TOO_SMALL', "a certificate's key is too small for the security level: see tls-cert-profile"],
  [
    'ERR_SSL_CA_MD_TOO_WEAK',
    'a certificate is signed with a digest too weak for the security level: see tls-cert-profile',
  ],
  ['ERR_SSL_UNEXPECTED_MESSAGE', 'the peer sent a TLS message out of order'],
  [
    'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC',
    'a TLS record could not be authenticated: bytes of the control channel were changed on the way',
  ],
  [
    'ERR_SSL_CIPHER_OPERATION_FAILED',
    'a TLS record could not be decrypted: bytes of the control channel were changed on the way',
  ],
  ['ERR_SSL_BAD_RECORD_TYPE', 'what came from the peer is not a TLS record'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'the peer sent a TLS record that is too long'],
  [
    'ERR_SSL_BAD_SIGNATURE',
    "the peer's signature in the handshake is wrong: it does not own the key of its certificate",
  ],
  ['ERR_SSL_DIGEST_CHECK_FAILED', "the peer's Finished message is wrong: the handshake was changed on the way"],
  ['ERR_SSL_HTTP_REQUEST', 'the peer speaks HTTP, not OpenVPN'],
  ['ERR_SSL_NO_RENEGOTIATION', 'the peer asked for a TLS renegotiation, which is refused'],
  ['ERR_TLS_RENEGOTIATION_DISABLED', 'the peer asked for a TLS renegotiation, which is refused'],
  ['SIGNING_THREAD', 'the thread in which the handshake runs has ended'],
  ['PEER_CERTIFICATE_UNREADABLE', "the peer's certificate can not be read"],
  ['ECONNRESET', 'the TLS connection ended before the handshake was complete'],
]);

const VERIFY = new Map([
  ['NO_PEER_CERTIFICATE', 'the peer sent no certificate'],
  ['CHAIN_NOT_ANCHORED', 'the chain does not end in a certificate of ca'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'unable to get issuer certificate'],
  ['UNABLE_TO_DECRYPT_CERT_SIGNATURE', "unable to decrypt certificate's signature"],
  ['UNABLE_TO_DECRYPT_CRL_SIGNATURE', "unable to decrypt CRL's signature"],
  ['UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'unable to decode issuer public key'],
  ['CERT_SIGNATURE_FAILURE', 'certificate signature failure'],
  ['CRL_SIGNATURE_FAILURE', 'CRL signature failure'],
  ['CERT_NOT_YET_VALID', 'certificate is not yet valid'],
  ['CERT_HAS_EXPIRED', 'certificate has expired'],
  ['CRL_NOT_YET_VALID', 'CRL is not yet valid'],
  ['CRL_HAS_EXPIRED', 'CRL has expired'],
  ['ERROR_IN_CERT_NOT_BEFORE_FIELD', "format error in certificate's notBefore field"],
  ['ERROR_IN_CERT_NOT_AFTER_FIELD', "format error in certificate's notAfter field"],
  ['ERROR_IN_CRL_LAST_UPDATE_FIELD', "format error in CRL's lastUpdate field"],
  ['ERROR_IN_CRL_NEXT_UPDATE_FIELD', "format error in CRL's nextUpdate field"],
  ['EE_KEY_TOO_SMALL', 'EE certificate key too weak'],
  ['CA_KEY_TOO_SMALL', 'CA certificate key too weak'],
  ['CA_MD_TOO_WEAK', 'CA signature digest algorithm too weak'],
  ['KEYUSAGE_NO_CRL_SIGN', 'key usage does not include CRL signing'],
  ['UNHANDLED_CRITICAL_CRL_EXTENSION', 'unhandled critical CRL extension'],
  ['SERIAL_REVOKED', 'certificate revoked'],
  ['SERIALS_UNREADABLE', 'unable to get certificate CRL'],
  ['OUT_OF_MEM', 'out of memory'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unable to get local issuer certificate'],
  // The last of several complaints about one cause; the C program stops at the first, and says this.
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to get local issuer certificate'],
  ['CERT_CHAIN_TOO_LONG', 'certificate chain too long'],
  ['CERT_REVOKED', 'certificate revoked'],
  ['INVALID_CA', 'invalid CA certificate'],
  ['PATH_LENGTH_EXCEEDED', 'path length constraint exceeded'],
  ['INVALID_PURPOSE', 'unsuitable certificate purpose'],
  ['CERT_UNTRUSTED', 'certificate not trusted'],
  ['CERT_REJECTED', 'certificate rejected'],
  ['UNSPECIFIED', 'unspecified certificate verification error'],
]);
