// Whether something DER-signed (a revocation list) was signed by the owner of a key.
//
//   AlgorithmIdentifier ::= SEQUENCE { OID, parameters? }; RSASSA-PSS has { [0] digest, [1] mask, [2] salt length }

import { constants, type KeyObject, verify } from 'node:crypto';
import { DerTag, parseChildren, parseDer, parseOid, parseSmallInteger } from './der.ts';

const PSS = '1.2.840.113549.1.1.10';

/** Digest by algorithm; null where the key's own algorithm has it within. */
const DIGESTS = new Map<string, string | null>([
  ['1.2.840.113549.1.1.4', 'md5'],
  ['1.2.840.113549.1.1.5', 'sha1'],
  ['1.3.14.3.2.29', 'sha1'],
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.113549.1.1.14', 'sha224'],
  ['1.2.840.10045.4.1', 'sha1'],
  ['1.2.840.10045.4.3.1', 'sha224'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.2.840.10040.4.3', 'sha1'],
  ['2.16.840.1.101.3.4.3.1', 'sha224'],
  ['2.16.840.1.101.3.4.3.2', 'sha256'],
  ['1.3.101.112', null],
  ['1.3.101.113', null],
]);

const PSS_DIGESTS = new Map([
  ['1.3.14.3.2.26', 'sha1'],
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

interface Signed {
  readonly signed: Uint8Array;
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** False for a wrong signature, and for an algorithm that is not known. */
export function isSignedBy({ signed, algorithm, signature }: Signed, key: KeyObject): boolean {
  const [type, parameters] = parseChildren(parseDer(algorithm), DerTag.sequence) ?? [];
  const oid = parseOid(type) ?? '';
  try {
    if (oid === PSS) {
      const pss = pssParameters(parameters?.whole);
      if (pss === undefined) return false;
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(pss.digest, signed, { key, padding, saltLength: pss.saltLength }, signature);
    }
    const digest = DIGESTS.get(oid);
    return digest !== undefined && verify(digest, signed, key, signature);
  } catch {
    return false;
  }
}

function pssParameters(bytes: Uint8Array | undefined): { digest: string; saltLength: number } | undefined {
  const parts = bytes === undefined ? [] : parseChildren(parseDer(bytes), DerTag.sequence);
  const inside = (tag: number) => {
    const part = parts?.find((each) => each.tag === tag);
    return part && parseDer(part.content);
  };
  const [hash, salt] = [inside(0xa0), inside(0xa2)];
  const digest = hash === undefined ? 'sha1' : PSS_DIGESTS.get(parseOid(parseChildren(hash)?.[0]) ?? '');
  const saltLength = salt === undefined ? 20 : parseSmallInteger(salt);
  return digest === undefined || saltLength === undefined ? undefined : { digest, saltLength };
}
