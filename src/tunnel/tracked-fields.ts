// Which fields of the peer's certificates scripts are told of under `x509-track`: those that are named, and no others.
// Observed with OpenVPN 2.6.14 and 2.7.8.

import { certificateField } from '../config/certificate-fields.ts';
import type { TrackedField } from '../config/config.ts';
import type { CertificateFacts } from './environment.ts';

/** A certificate with the named fields in place of its subject's; without names it stays as it is. */
export function trackedCertificate<T extends CertificateFacts>(certificate: T, tracked: readonly TrackedField[]): T {
  if (tracked.length === 0) return certificate;
  const fields = tracked.flatMap(({ name, wholeChain }): (readonly [string, string])[] => {
    const value = wholeChain || certificate.depth === 0 ? fieldValue(certificate, name) : undefined;
    return value === undefined ? [] : [[name, value.replace(/[\r\n]/g, '?')]];
  });
  // Of a name that stands there twice, there is one variable.
  return { ...certificate, subjectFields: [...new Map(fields)] };
}

function fieldValue(certificate: CertificateFacts, name: string): string | undefined {
  const field = certificateField(name);
  switch (field?.kind) {
    case 'digest':
      return colonHex(field.name === 'SHA1' ? certificate.sha1 : certificate.sha256);
    case 'subject':
      return certificate.subjectFields.find(([own]) => own === field.name)?.[1];
    case 'extension':
      return certificate.extensionText?.(field.name);
    default:
      return undefined;
  }
}

const colonHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');
