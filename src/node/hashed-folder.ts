// A directory of authorities and revocation lists as `openssl rehash` lays it out (`capath`): `HASH.0`, `HASH.1` … have
// certificates, `HASH.r0` … lists, HASH being that of the subject or of the issuer.

import { X509Certificate } from 'node:crypto';
import { nameHash, subjectName } from './distinguished-name.ts';
import { attempt, type MaterialPorts, type MaterialSource, problem } from './material-source.ts';
import { type PemBlock, parsePem, pemBytes } from './pem.ts';
import { issuerOfList, parseRevocationList } from './revocation-list.ts';

export interface HashedFolder {
  readonly authorities: readonly X509Certificate[];
  /** DER. */
  readonly lists: readonly Uint8Array[];
}

/** More files than any directory of authorities has. */
const MAX_FILES = 2000;

/**
 * All of it. A file whose name is not the hash of what it holds would never be found by OpenSSL: it is left out with a
 * warning, as is one that can't be read. Throws SallyportError when the directory can't be read.
 */
export function readHashedFolder(
  source: MaterialSource,
  ports: Pick<MaterialPorts, 'read' | 'list' | 'warn'>,
): HashedFolder {
  const path = source.kind === 'file' ? source.path : '';
  const what = `Cannot read the directory ${path}`;
  const names = attempt('capath', what, source, () => ports.list(path)).filter((name) => NAME.test(name));
  if (names.length > MAX_FILES) {
    throw problem('capath', source, `${what}: it has more than ${MAX_FILES} certificates`, {
      hint: 'keep only the authorities that may vouch for the peer',
    });
  }
  const authorities: X509Certificate[] = [];
  const lists: Uint8Array[] = [];
  for (const name of names.sort()) {
    const file = `${path.replace(/\/$/, '')}/${name}`;
    const hash = name.slice(0, 8);
    const leaveOut = (why: string): void => ports.warn(`WARNING: capath: ${file} is left out: ${why}`);
    let blocks: readonly PemBlock[];
    try {
      blocks = parsePem(ports.read(file, 'regular'));
    } catch (error) {
      leaveOut((error as Error).message);
      continue;
    }
    const isList = name.includes('.r');
    const found = blocks.filter(({ label }) => label === (isList ? 'X509 CRL' : 'CERTIFICATE'));
    if (found.length === 0) leaveOut(`it has no ${isList ? 'revocation list' : 'certificate'} in PEM form`);
    for (const block of found) {
      const own = isList ? takeList(block, lists, hash) : takeAuthority(block, authorities, hash);
      if (own === undefined) leaveOut('it is damaged');
      else if (own !== hash) leaveOut(`the hash in its name should be ${own}; run openssl rehash`);
    }
  }
  if (authorities.length === 0)
    ports.warn(`WARNING: capath: ${path} has no certificate with a hashed name; run openssl rehash`);
  return { authorities, lists };
}

const NAME = /^[0-9a-f]{8}\.r?[0-9]{1,6}$/;

/** The hash that the file should have; the certificate is taken where it has it. */
function takeAuthority(block: PemBlock, into: X509Certificate[], hash: string): string | undefined {
  try {
    const certificate = new X509Certificate(block.text);
    const name = subjectName(certificate.raw);
    const own = name && nameHash(name);
    if (own === hash && !into.some((one) => one.raw.equals(certificate.raw))) into.push(certificate);
    return own;
  } catch {
    return undefined;
  }
}

function takeList(block: PemBlock, into: Uint8Array[], hash: string): string | undefined {
  const der = pemBytes(block);
  if (parseRevocationList(der) === undefined) return undefined;
  const name = issuerOfList(der);
  const own = name && nameHash(name);
  if (own === hash) into.push(der);
  return own;
}
