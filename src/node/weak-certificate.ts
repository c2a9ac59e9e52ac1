// Which certificate of a chain is too weak for the security level, and in what: OpenSSL knows, node:tls has no code for it.
// Bits of security as OpenSSL counts them (ssl/ssl_cert.c, crypto/evp): levels 1 to 5 want 80, 112, 128, 192, 256.

import type { PeerCertificate } from '../control/tls-engine.ts';

const BITS_OF_LEVEL = [0, 80, 112, 128, 192, 256];

/** The first weakness from the leaf on; undefined where there is none at this level. */
export function weakestCertificate(
  chain: readonly PeerCertificate[],
  level: number,
): { readonly code: string; readonly depth: number } | undefined {
  const wanted = BITS_OF_LEVEL[level] ?? 0;
  for (const certificate of chain) {
    const { depth, issuer, subject } = certificate;
    if (keyBits(certificate) < wanted) return { code: depth === 0 ? 'EE_KEY_TOO_SMALL' : 'CA_KEY_TOO_SMALL', depth };
    // Nobody looks at the signature of what is trusted anyhow.
    if (issuer !== subject && digestBits(certificate) < wanted) return { code: 'CA_MD_TOO_WEAK', depth };
  }
  return undefined;
}

function keyBits({ keyDescription }: PeerCertificate): number {
  const [, size = '0', type = ''] = /^(\d+) bits (\w+)/.exec(keyDescription) ?? [];
  const bits = Number(size);
  if (!/^(RSA|DSA)/.test(type))
    return type === '' ? Number.POSITIVE_INFINITY : Math.floor(bits / 2) + (bits === 253 ? 2 : 0);
  const steps = [
    [15360, 256],
    [7680, 192],
    [3072, 128],
    [2048, 112],
    [1024, 80],
  ] as const;
  return steps.find(([least]) => bits >= least)?.[1] ?? 0;
}

function digestBits({ signatureAlgorithm }: PeerCertificate): number {
  if (/md5/i.test(signatureAlgorithm)) return 39;
  if (/sha1/i.test(signatureAlgorithm)) return 63;
  const [, size] = /sha(224|256|384|512)/i.exec(signatureAlgorithm) ?? [];
  return size === undefined ? Number.POSITIVE_INFINITY : Number(size) / 2;
}
