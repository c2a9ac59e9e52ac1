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
  // OpenSSL leaves RSA out of this one family.
  if (exchange === 'ECDHE-RSA' && cipher.startsWith('ARIA')) return `ECDHE-${cipher}-${digest}`;
  const prefix = exchange === 'RSA' ? '' : `${exchange.replace(/^ECDH-anon$/, 'AECDH').replace(/^DH-anon$/, 'ADH')}-`;
  const withoutDigest = cipher === 'CHACHA20-POLY1305' || digest === undefined || /CCM8?$/.test(cipher);
  return `${prefix}${cipher}${withoutDigest ? '' : `-${digest}`}`;
}

/** The IANA name, with dashes, of which OpenSSL's `name` is the translation; undefined for a list of many or an unknown one. */
export function ianaCipherName(name: string): string | undefined {
  const [exchange, rest] = splitName(name);
  for (const [iana, words] of CIPHER_WORDS) {
    if (rest !== words && !rest.startsWith(`${words}-`)) continue;
    // GCM and ChaCha20 suites without a digest in OpenSSL's name have SHA256 in IANA's; CCM has none in either.
    const digest = rest.slice(words.length + 1) || (words === 'CHACHA20-POLY1305' ? 'SHA256' : '');
    if (!/^(SHA|SHA256|SHA384|)$/.test(digest)) continue;
    const full = `TLS-${exchange}-WITH-${iana.replaceAll('_', '-')}${digest === '' ? '' : `-${digest}`}`;
    if (translateCipherName(full) === name) return full;
  }
  return undefined;
}

const splitName = (name: string): readonly [string, string] => {
  const match =
    /^(ECDHE(?=-ARIA)|ECDHE-ECDSA|ECDHE-RSA|DHE-RSA|DHE-DSS|ECDHE-PSK|DHE-PSK|PSK|SRP|AECDH|ADH)-(.+)$/.exec(name);
  const exchange =
    match?.[1]
      ?.replace(/^ECDHE$/, 'ECDHE-RSA')
      .replace(/^AECDH$/, 'ECDH-anon')
      .replace(/^ADH$/, 'DH-anon') ?? 'RSA';
  return [exchange, match?.[2] ?? name];
};

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
