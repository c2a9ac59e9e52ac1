// This side's own certificate and key: from `cert` and `key`, or from `pkcs12`.

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  configError,
  type MaterialPorts,
  type MaterialSource,
  problem,
  readCertificates,
  readSource,
  sourceName,
} from './material-source.ts';
import { explainNoPem, parsePem } from './pem.ts';
import { parsePkcs12 } from './pkcs12.ts';

export interface Identity {
  readonly certificate: X509Certificate | undefined;
  readonly key: KeyObject | undefined;
  /** Further certificates of the cert file: sent, not trusted. */
  readonly chain: readonly X509Certificate[];
  /** Further certificates of a PKCS#12 file. */
  readonly others: readonly X509Certificate[];
}

/** The identity of `cert` and `key`, or none. */
export async function readIdentity(
  input: { readonly cert: MaterialSource | undefined; readonly key: MaterialSource | undefined },
  ports: MaterialPorts,
  { keyIsElsewhere = false }: { readonly keyIsElsewhere?: boolean } = {},
): Promise<Identity> {
  if (input.cert === undefined && input.key === undefined)
    return { certificate: undefined, key: undefined, chain: [], others: [] };
  if (input.cert === undefined) throw configError('key is given without cert', 'add cert, or remove key');
  const [certificate, ...chain] = readCertificates('cert', 'certificate', input.cert, ports);
  if (keyIsElsewhere) return { certificate, key: undefined, chain, others: [] };
  if (input.key === undefined) throw configError('cert is given without key', 'add key, or remove cert');
  const key = await readKey(input.key, ports);
  if (certificate?.checkPrivateKey(key) !== true) {
    const name = sourceName(input.cert);
    throw problem('key', input.key, `Private key does not match the certificate ${name}`, {
      hint: 'both have to come from the same request; check whether files of two certificates were mixed',
    });
  }
  return { certificate, key, chain, others: [] };
}

async function readKey(source: MaterialSource, ports: MaterialPorts): Promise<KeyObject> {
  const what = `Cannot load private key file ${sourceName(source)}`;
  const bytes = readSource('key', what, source, ports);
  const block = parsePem(bytes).find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (block === undefined) {
    const { text, hint } = explainNoPem(bytes, 'private key');
    throw problem('key', source, `${what}: ${text}`, { hint });
  }
  const encrypted = block.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(block.text);
  const passphrase = encrypted ? await ports.passphrase() : undefined;
  try {
    return createPrivateKey({ key: block.text, format: 'pem', ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    if (encrypted && meansWrongPassphrase(cause))
      throw problem('key', source, `${what}: wrong passphrase`, {
        cause,
        hint: 'check the passphrase, or the file of askpass',
      });
    throw problem(
      'key',
      source,
      encrypted
        ? `${what}: it can't be decrypted, or its kind is not supported`
        : `${what}: it is damaged, or its kind is not supported`,
      {
        cause,
        hint: `check it with: openssl pkey -noout -in ${source.kind === 'file' ? source.path : 'FILE'}`,
      },
    );
  }
}

/**
 * A wrong passphrase gives bytes at random. One time in some 256 they end as padding does, and then it is the decoder
 * that finds no key in them. A cipher that is not supported fails in another library of OpenSSL.
 */
function meansWrongPassphrase(cause: unknown): boolean {
  const { code, library } = cause as { code?: string; library?: string };
  return code === 'ERR_OSSL_BAD_DECRYPT' || library === 'DECODER routines';
}

/** The identity of a PKCS#12 file. */
export async function readPkcs12(source: MaterialSource, ports: MaterialPorts): Promise<Identity> {
  const name = sourceName(source);
  const what = source.kind === 'inline' ? 'Error reading inline PKCS#12 file' : `Error reading PKCS#12 file ${name}`;
  const read = readSource('pkcs12', what, source, ports);
  const bytes = source.kind === 'inline' ? new Uint8Array(Buffer.from(source.text, 'base64')) : read;
  // As in C: most files have a password, some have the empty one and nobody should be asked.
  let result = parsePkcs12(bytes, '');
  if (!result.ok && result.reason === 'wrong-password') result = parsePkcs12(bytes, await ports.passphrase());
  if (!result.ok) {
    if (result.reason === 'wrong-password')
      throw problem('pkcs12', source, `Decoding PKCS12 failed: wrong password for ${name}`, {
        hint: 'check the password',
      });
    if (result.reason === 'legacy')
      throw problem('pkcs12', source, `Decoding PKCS12 failed: ${name}: ${result.detail}`, {
        hint: 'write providers legacy default, or pack it anew: openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW',
      });
    if (result.reason === 'unsupported')
      throw problem('pkcs12', source, `Decoding PKCS12 failed: ${name}: ${result.detail}`, {
        hint: 'pack it anew: openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW',
      });
    throw problem('pkcs12', source, `${what}: it is not PKCS#12: ${result.detail}`, {
      hint: 'a PEM file belongs to cert, key and ca',
    });
  }
  if (result.key === undefined) throw problem('pkcs12', source, `${what}: there is no private key in it`, {});
  let key: KeyObject;
  let certificates: X509Certificate[];
  try {
    key = createPrivateKey({ key: Buffer.from(result.key), format: 'der', type: 'pkcs8' });
    certificates = result.certificates.map((der) => new X509Certificate(der));
  } catch (cause) {
    throw problem('pkcs12', source, `${what}: its key or a certificate is damaged`, { cause });
  }
  const certificate = certificates.find((one) => one.checkPrivateKey(key));
  if (certificate === undefined)
    throw problem('pkcs12', source, `${what}: Private key does not match the certificate in it`, {});
  return { certificate, key, chain: [], others: certificates.filter((one) => one !== certificate) };
}
