// TLS cipher names. `tls-cipher` takes OpenSSL's names and the IANA ones; Node silently misunderstands the second and
// drops what it does not know, so names are translated and checked here, one by one.

/** OpenSSL's name for an IANA name of a TLS 1.2 suite (`TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`); other words unchanged. */
export function translateCipherName(name: string): string {
  const match = /^TLS[_-](.+)[_-]WITH[_-](.+?)(?:[_-](SHA|SHA256|SHA384))?$/.exec(name);
  if (match === null) return name;
  const exchange = match[1]!.replaceAll('_', '-');
  const cipher = CIPHER_WORDS.get(match[2]!.replaceAll('-', '_'));
  const digest = match[3];
  if (cipher === undefined) return name;
  const prefix = exchange === 'RSA' ? '' : `${exchange.replace(/^ECDH-anon$/, 'AECDH').replace(/^DH-anon$/, 'ADH')}-`;
  const withoutDigest = cipher === 'CHACHA20-POLY1305' || digest === undefined || /CCM8?$/.test(cipher);
  return `${prefix}${cipher}${withoutDigest ? '' : `-${digest}`}`;
}

/** The TLS 1.3 suites that OpenSSL 3 has; the last two are off by default. */
export const TLS13_SUITES: readonly string[] = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_128_CCM_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
];

const CIPHER_WORDS = new Map([
  ['AES_128_GCM', 'AES128-GCM'],
  ['AES_256_GCM', 'AES256-GCM'],
  ['AES_128_CBC', 'AES128'],
  ['AES_256_CBC', 'AES256'],
  ['AES_128_CCM', 'AES128-CCM'],
  ['AES_256_CCM', 'AES256-CCM'],
  ['AES_128_CCM_8', 'AES128-CCM8'],
  ['AES_256_CCM_8', 'AES256-CCM8'],
  ['CHACHA20_POLY1305', 'CHACHA20-POLY1305'],
  ['ARIA_128_GCM', 'ARIA128-GCM'],
  ['ARIA_256_GCM', 'ARIA256-GCM'],
  ['CAMELLIA_128_CBC', 'CAMELLIA128'],
  ['CAMELLIA_256_CBC', 'CAMELLIA256'],
  ['3DES_EDE_CBC', 'DES-CBC3'],
  ['SEED_CBC', 'SEED'],
  ['RC4_128', 'RC4'],
]);
