// How an HTTP proxy asks who we are, and how it is told (RFC 7617 Basic, RFC 7616 Digest):
//   Proxy-Authenticate: scheme SP name=value, name="value" …   several challenges in one field have commas between them
//   Proxy-Authorization: Basic base64(user:password)
//   Proxy-Authorization: Digest username="…", realm="…", nonce="…", uri="…", … response="hexadecimal"

import { formatTextBase64 } from './base64.ts';

/** One way to log in that a proxy offers. */
export interface HttpChallenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case; values without quotation marks, but with the backslashes between them, which are hashed too. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** The C program's bound for a value. */
const VALUE_CHARACTERS = 255;
const CHALLENGES_MAX = 16;
const PARAMETERS_MAX = 32;

/** The challenges of one field, in their order; what can't be understood is left out. */
export function parseChallenges(value: string): readonly HttpChallenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  // A word, and what makes it a parameter: `=` and a value with or without quotation marks.
  const item = /([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s,"]*)))?[\s,]*/y;
  item.lastIndex = /^[\s,]*/.exec(value)?.[0].length ?? 0;
  for (;;) {
    const found = item.exec(value);
    if (found === null) break;
    const [, name = '', quoted, plain] = found;
    const current = challenges.at(-1);
    if (quoted === undefined && plain === undefined) {
      if (challenges.length === CHALLENGES_MAX) break;
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    } else if (current !== undefined && current.parameters.size < PARAMETERS_MAX) {
      current.parameters.set(name.toLowerCase(), (quoted ?? plain ?? '').slice(0, VALUE_CHARACTERS));
    }
  }
  return challenges;
}

/** The credentials of Basic. A colon in the user name would end it there; such a name can't be sent right. */
export const writeBasic = (username: string, password: string): string =>
  `Basic ${formatTextBase64(`${username}:${password}`)}`;

export interface DigestAnswer {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  readonly uri: string;
  /** As the proxy wrote it, if it did. */
  readonly algorithm: string | undefined;
  /** undefined for a proxy of RFC 2069, which names no qop: no count and no nonce of ours then. */
  readonly qop: { readonly count: string; readonly clientNonce: string } | undefined;
  readonly response: string;
  readonly opaque: string | undefined;
}

/** The credentials of Digest. */
export function writeDigest(answer: DigestAnswer): string {
  const { qop } = answer;
  const parts = [
    `username="${answer.username.replace(/[\x00-\x1f\x7f]/g, '').replace(/["\\]/g, '\\$&')}"`,
    `realm="${answer.realm}"`,
    `nonce="${answer.nonce}"`,
    `uri="${answer.uri}"`,
    ...(answer.algorithm === undefined ? [] : [`algorithm=${answer.algorithm}`]),
    ...(qop === undefined ? [] : ['qop=auth', `nc=${qop.count}`, `cnonce="${qop.clientNonce}"`]),
    `response="${answer.response}"`,
    ...(answer.opaque === undefined ? [] : [`opaque="${answer.opaque}"`]),
  ];
  return `Digest ${parts.join(', ')}`;
}
