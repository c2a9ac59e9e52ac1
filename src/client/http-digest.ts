// The answer to an HTTP proxy's Digest challenge (RFC 7616; RFC 2069 where the proxy names no qop).

import type { CryptoProvider } from '../crypto/provider.ts';
import type { Credentials } from '../session/options.ts';
import { formatBase64 } from '../wire/base64.ts';
import { formatHex } from '../wire/hex.ts';
import { type HttpChallenge, writeDigest } from '../wire/http-authentication.ts';

/** Each nonce answers one request. */
const NONCE_COUNT = '00000001';
const CLIENT_NONCE_BYTES = 8;
const METHOD = 'CONNECT';

/** Algorithms in lower case, and the library's name of the hash. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['md5', 'MD5'],
  ['md5-sess', 'MD5'],
  ['sha-256', 'SHA256'],
  ['sha-256-sess', 'SHA256'],
]);

type Hash = (text: string) => string;

/** A challenge that can be answered. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: string | undefined;
  readonly opaque: string | undefined;
  readonly hasQop: boolean;
  readonly hash: string;
}

/** `malformed` without realm or nonce, undefined for an algorithm or protection that is not known here. */
export function digestOf(
  { parameters }: HttpChallenge,
  crypto: Pick<CryptoProvider, 'digestLength'>,
): DigestChallenge | 'malformed' | undefined {
  const realm = parameters.get('realm');
  const nonce = parameters.get('nonce');
  if (realm === undefined || nonce === undefined) return 'malformed';
  const algorithm = parameters.get('algorithm');
  const hash = HASHES.get((algorithm ?? 'md5').toLowerCase());
  const qop = parameters.get('qop');
  const offered = qop?.toLowerCase().split(/[\s,]+/);
  if (hash === undefined || crypto.digestLength(hash) === undefined) return undefined;
  if (offered !== undefined && !offered.includes('auth')) return undefined;
  // A session's secret needs a nonce of ours, which only goes along with qop.
  if (offered === undefined && algorithm?.toLowerCase().endsWith('-sess') === true) return undefined;
  return { realm, nonce, algorithm, opaque: parameters.get('opaque'), hasQop: offered !== undefined, hash };
}

/** What `Proxy-Authorization` says to a challenge; `uri` is the host and port that the request names. */
export function answerDigest(
  challenge: DigestChallenge,
  { username, password }: Credentials,
  uri: string,
  crypto: Pick<CryptoProvider, 'digest' | 'randomBytes'>,
): string {
  const { realm, nonce, algorithm, opaque, hasQop } = challenge;
  const hash: Hash = (text) => formatHex(crypto.digest(challenge.hash, new TextEncoder().encode(text)));
  const clientNonce = formatBase64(crypto.randomBytes(CLIENT_NONCE_BYTES));
  const login = hash(`${username}:${realm}:${password}`);
  const isSession = algorithm?.toLowerCase().endsWith('-sess') === true;
  const secret = isSession ? hash(`${login}:${nonce}:${clientNonce}`) : login;
  const request = hash(`${METHOD}:${uri}`);
  const middle = hasQop ? `${nonce}:${NONCE_COUNT}:${clientNonce}:auth` : nonce;
  const response = hash(`${secret}:${middle}:${request}`);
  const qop = hasQop ? { count: NONCE_COUNT, clientNonce } : undefined;
  return writeDigest({ username, realm, nonce, uri, algorithm, qop, response, opaque });
}
