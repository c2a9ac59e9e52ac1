// Which TLS cipher suites a cipher string comes to, asked of the OpenSSL that node:tls uses: its own list says neither the
// order nor what the security level leaves out.

import { declareFunctions } from './libc.ts';

interface Ssl {
  method(): number;
  contextNew(method: number): number;
  contextFree(context: number): void;
  contextControl(context: number, command: number, value: number, pointer: number): number;
  setSecurityLevel(context: number, level: number): void;
  setCipherList(context: number, list: string): number;
  setSuites(context: number, list: string): number;
  sessionNew(context: number): number;
  sessionFree(session: number): void;
  supported(session: number): number;
  count(stack: number): number;
  at(stack: number, index: number): number;
  stackFree(stack: number): void;
  standardName(cipher: number): string | null;
  libraryName(cipher: number): string;
}

const ssl = declareFunctions<Ssl>({
  method: 'uintptr_t TLS_method()',
  contextNew: 'uintptr_t SSL_CTX_new(uintptr_t)',
  contextFree: 'void SSL_CTX_free(uintptr_t)',
  contextControl: 'long SSL_CTX_ctrl(uintptr_t, int, long, uintptr_t)',
  setSecurityLevel: 'void SSL_CTX_set_security_level(uintptr_t, int)',
  setCipherList: 'int SSL_CTX_set_cipher_list(uintptr_t, const char *)',
  setSuites: 'int SSL_CTX_set_ciphersuites(uintptr_t, const char *)',
  sessionNew: 'uintptr_t SSL_new(uintptr_t)',
  sessionFree: 'void SSL_free(uintptr_t)',
  supported: 'uintptr_t SSL_get1_supported_ciphers(uintptr_t)',
  count: 'int OPENSSL_sk_num(uintptr_t)',
  at: 'uintptr_t OPENSSL_sk_value(uintptr_t, int)',
  stackFree: 'void OPENSSL_sk_free(uintptr_t)',
  standardName: 'const char *SSL_CIPHER_standard_name(uintptr_t)',
  libraryName: 'const char *SSL_CIPHER_get_name(uintptr_t)',
});

const SET_MIN_VERSION = 123;
const SET_MAX_VERSION = 124;
const TLS_1_0 = 0x0301;
const TLS_1_2 = 0x0303;
const TLS_1_3 = 0x0304;

export interface TlsSuite {
  /** IANA's name with dashes, as `tls-cipher` takes it; underscores for TLS 1.3. */
  readonly name: string;
  /** OpenSSL's own. */
  readonly libraryName: string;
}

/** The suites of TLS 1.2 and older that `list` (OpenSSL's syntax) allows at a security level, best first; undefined where it has none. */
export const olderSuites = (list: string, securityLevel: number): readonly TlsSuite[] | undefined =>
  suites(TLS_1_0, TLS_1_2, securityLevel, (context) => ssl.setCipherList(context, list))?.map((each) => ({
    ...each,
    name: each.name.replaceAll('_', '-'),
  }));

/** The TLS 1.3 suites that are left of `list` (IANA's names, joined by colons); undefined where the library has none of them. */
export const tls13Suites = (list: string, securityLevel: number): readonly TlsSuite[] | undefined =>
  suites(TLS_1_3, TLS_1_3, securityLevel, (context) => ssl.setSuites(context, list));

function suites(
  lowest: number,
  highest: number,
  securityLevel: number,
  choose: (context: number) => number,
): readonly TlsSuite[] | undefined {
  const context = ssl.contextNew(ssl.method());
  if (context === 0) throw new Error('OpenSSL could not make a TLS context');
  try {
    // The level first: a level in the list itself goes before it.
    ssl.setSecurityLevel(context, securityLevel);
    ssl.contextControl(context, SET_MIN_VERSION, lowest, 0);
    ssl.contextControl(context, SET_MAX_VERSION, highest, 0);
    if (choose(context) !== 1) return undefined;
    const session = ssl.sessionNew(context);
    if (session === 0) throw new Error('OpenSSL could not make a TLS session');
    try {
      return namesOf(session);
    } finally {
      ssl.sessionFree(session);
    }
  } finally {
    ssl.contextFree(context);
  }
}

function namesOf(session: number): readonly TlsSuite[] {
  const stack = ssl.supported(session);
  if (stack === 0) return [];
  const found = Array.from({ length: ssl.count(stack) }, (_, index) => {
    const cipher = ssl.at(stack, index);
    const libraryName = ssl.libraryName(cipher);
    return { name: ssl.standardName(cipher) ?? libraryName, libraryName };
  });
  ssl.stackFree(stack);
  return found;
}
