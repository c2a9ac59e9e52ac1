// TLS versions, ciphers, groups and certificate profile, from OpenVPN's words to node:tls's. Each name is tried alone,
// because OpenSSL drops unknown ciphers without a word and refuses a whole list for one unknown group.

import type { SecureContextOptions, SecureVersion } from 'node:tls';
import { SallyportError } from '../error.ts';
import { nodeTls } from './lazy-tls.ts';
import { ianaCipherName, TLS13_SUITES, translateCipherName } from './tls-cipher-names.ts';

type Version = '1.0' | '1.1' | '1.2' | '1.3';

export interface TlsSettings {
  readonly versionMin: Version | undefined;
  readonly versionMax: Version | undefined;
  readonly cipherList: string | undefined;
  readonly cipherSuites: string | undefined;
  readonly groups: string | undefined;
  readonly certProfile: 'insecure' | 'legacy' | 'preferred' | 'suiteb' | undefined;
}

const VERSIONS = { '1.0': 'TLSv1', '1.1': 'TLSv1.1', '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;

/** Version bounds; 1.2 is the least unless the profile says otherwise. */
export function chooseVersions(settings: Pick<TlsSettings, 'versionMin' | 'versionMax'>): {
  minVersion: SecureVersion;
  maxVersion: SecureVersion;
} {
  const max = settings.versionMax ?? '1.3';
  const min = settings.versionMin ?? (max < '1.2' ? max : '1.2');
  if (min > max)
    throw refusal(
      `tls-version-min ${min} is higher than tls-version-max ${max}`,
      'lower the first or raise the second',
    );
  return { minVersion: VERSIONS[min], maxVersion: VERSIONS[max] };
}

/** C's default list: OpenSSL's without export, weak, static and certificate-less key exchanges. */
const DEFAULT_CIPHERS = 'DEFAULT:!EXP:!LOW:!MEDIUM:!kDH:!kECDH:!DSS:!PSK:!SRP:!kRSA';
/** The two suites of RFC 6460's 128-bit level. */
const SUITEB_CIPHERS = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384';
const SECURITY_LEVELS = { insecure: 0, legacy: 1, preferred: 2, suiteb: 3 } as const;
const MAX_NAMES = 128;

/** What may be negotiated: OpenSSL's list for TLS 1.2 and older, the suites of TLS 1.3, and how weak keys may be. */
export interface CipherChoice {
  readonly list: string;
  readonly suites: readonly string[];
  readonly securityLevel: number;
}

/** Names that the library does not know are left out with a warning; a list of which nothing is left is refused. */
export function cipherChoice(
  settings: Pick<TlsSettings, 'cipherList' | 'cipherSuites' | 'certProfile'>,
  warn: (text: string) => void,
): CipherChoice {
  const profile = settings.certProfile ?? 'legacy';
  const suites =
    settings.cipherSuites === undefined ? TLS13_SUITES.slice(0, 3) : checkSuites(settings.cipherSuites, warn);
  const fallback = profile === 'suiteb' ? SUITEB_CIPHERS : DEFAULT_CIPHERS;
  const list = settings.cipherList === undefined ? fallback : checkCipherList(settings.cipherList, warn);
  return { list, suites, securityLevel: SECURITY_LEVELS[profile] };
}

/** The cipher string for node:tls: TLS 1.3 suites, TLS 1.2 ciphers and the profile's security level. */
export function chooseCiphers(
  settings: Pick<TlsSettings, 'cipherList' | 'cipherSuites' | 'certProfile'>,
  warn: (text: string) => void,
): { ciphers: string } {
  const { list, suites, securityLevel } = cipherChoice(settings, warn);
  // A level in the list itself goes before the profile's, as in C. Node needs 1.2 and 1.3 names both: without one of
  // them it narrows the versions by itself.
  const level = list.includes('@SECLEVEL=') ? '' : `:@SECLEVEL=${securityLevel}`;
  return { ciphers: `${list}${level}:${suites.join(':')}` };
}

function checkSuites(text: string, warn: (text: string) => void): readonly string[] {
  const known = splitNames(text).flatMap((word) => {
    const name = word.replaceAll('-', '_').toUpperCase();
    if (TLS13_SUITES.includes(name)) return [name];
    warn(`WARNING: tls-ciphersuites: '${word}' is not a TLS 1.3 cipher suite of this library and is left out`);
    return [];
  });
  if (known.length > 0) return known;
  throw refusal(`tls-ciphersuites '${text}' has no known TLS 1.3 cipher suite`, `known are ${TLS13_SUITES.join(', ')}`);
}

function checkCipherList(text: string, warn: (text: string) => void): string {
  const words = splitNames(text).flatMap((word) => {
    if (/^[!+-][\w+-]+$/.test(word) || /^@(SECLEVEL=[0-5]|STRENGTH)$/.test(word)) return [word];
    const name = translateCipherName(word);
    if (/^TLS_/.test(name)) {
      const reason = TLS13_SUITES.includes(name)
        ? 'is a TLS 1.3 cipher suite and belongs to tls-ciphersuites'
        : 'is not known';
      warn(`WARNING: tls-cipher: '${word}' ${reason}; it is left out`);
      return [];
    }
    if (isUsable({ ciphers: `${name}:@SECLEVEL=0` })) {
      const iana = name === word ? ianaCipherName(name) : undefined;
      if (iana !== undefined) warn(`Deprecated TLS cipher name '${word}', please use IANA name '${iana}'`);
      return [name];
    }
    warn(`WARNING: tls-cipher: '${word}' is not known to this TLS library and is left out`);
    return [];
  });
  if (words.some((word) => !/^[!+@-]/.test(word))) return words.join(':');
  throw refusal(
    `tls-cipher '${text}' has no cipher that this TLS library knows`,
    'remove tls-cipher to get a safe default',
  );
}

/** The groups that the library has; undefined groups leave the library's own choice. */
export function chooseGroups(
  settings: Pick<TlsSettings, 'groups'>,
  warn: (text: string) => void,
): { ecdhCurve?: string } {
  if (settings.groups === undefined) return {};
  const known = splitNames(settings.groups).filter((name) => {
    if (/^[\w.-]+$/.test(name) && name !== 'auto' && isUsable({ ecdhCurve: name })) return true;
    warn(`WARNING: tls-groups: '${name}' is not known to this TLS library and is left out`);
    return false;
  });
  if (known.length > 0) return { ecdhCurve: known.join(':') };
  throw refusal(`tls-groups '${settings.groups}' has no group that this TLS library knows`, 'use X25519:secp256r1');
}

/** Those of the given group names that this library can use in a handshake. */
export const usableGroups = (names: readonly string[]): readonly string[] =>
  names.filter((name) => isUsable({ ecdhCurve: name }));

const splitNames = (text: string): readonly string[] => text.split(':').filter(Boolean).slice(0, MAX_NAMES);

function isUsable(options: SecureContextOptions): boolean {
  try {
    nodeTls().createSecureContext({ ca: [], ...options });
    return true;
  } catch {
    return false;
  }
}

const refusal = (message: string, hint: string): SallyportError =>
  new SallyportError(message, { code: 'SALLYPORT_CONFIG', blame: 'config', hint });
