// Questions beside user name and password, and their answers: `CRV1:flags:state:base64user:text` inside AUTH_FAILED,
// `CR_TEXT:flags:text`, `WEB_AUTH:flags:url` and the older `OPEN_URL:url` inside INFO_PRE while a login is pending.
// The state has no colon, the text may have some. Flags are letters with or without commas: E shows what is typed,
// R wants a response. Source: OpenVPN's management interface notes; observed with OpenVPN 2.6.14 and 2.7.8.

import { formatTextBase64, parseBase64 } from './base64.ts';

export interface ChallengeQuestion {
  /** What a person is asked, free of control characters. */
  readonly text: string;
  /** Whether what is typed may be shown. */
  readonly echo: boolean;
  /** Without it the text is only shown, and the response is empty. */
  readonly responseRequired: boolean;
}

/** A dynamic challenge: the next login answers it. */
export interface DynamicChallenge extends ChallengeQuestion {
  /** Goes back as it came. */
  readonly stateId: string;
  readonly username: string;
}

/** What a server asks for while a login is pending. */
export type PendingRequest =
  | ({ readonly type: 'cr-text' } & ChallengeQuestion)
  /** `url` is http or https in printable ASCII. `flags`: `external`, `hidden` … as the server says them. */
  | { readonly type: 'web-login'; readonly url: string; readonly flags: readonly string[] }
  /** A request that can't be served as it is. */
  | { readonly type: 'unusable'; readonly problem: 'url' | 'challenge' };

const MAX_URL_CHARACTERS = 2048;

/** Reads `CRV1:…`; undefined when it is malformed. */
export function parseDynamicChallenge(text: string): DynamicChallenge | undefined {
  const match = /^CRV1:([^:]*):([^:]*):([^:]*):(.*)$/s.exec(text);
  const [, flags, stateId, base64User, question] = match ?? [];
  if (flags === undefined || stateId === undefined || base64User === undefined || question === undefined) {
    return undefined;
  }
  const user = parseBase64(base64User);
  if (user === undefined) return undefined;
  return { ...parseQuestion(flags, question), stateId, username: cleaned(new TextDecoder().decode(user)) };
}

/** Reads what INFO_PRE carries; undefined for anything that asks nothing of this side. */
export function parsePendingRequest(text: string): PendingRequest | undefined {
  if (text.startsWith('CR_TEXT:')) {
    const match = /^CR_TEXT:([^:]*):(.*)$/s.exec(text);
    if (match === null) return { type: 'unusable', problem: 'challenge' };
    return { type: 'cr-text', ...parseQuestion(match[1] ?? '', match[2] ?? '') };
  }
  if (text.startsWith('OPEN_URL:')) return webLogin(text.slice('OPEN_URL:'.length), '');
  if (!text.startsWith('WEB_AUTH:')) return undefined;
  // A proxy flag may hold an IPv6 address, so that the flags end where the address begins.
  const match = /^WEB_AUTH:(.*?):?(https?:.*)$/is.exec(text);
  return match === null ? { type: 'unusable', problem: 'url' } : webLogin(match[2] ?? '', match[1] ?? '');
}

/** What a server says in AUTH_FAILED to ask; `challenge.text` is the rest of the message. Default: no echo, a response. */
export function writeDynamicChallenge(
  challenge: { readonly text: string; readonly state: string; readonly echo?: boolean; readonly response?: boolean },
  username: string,
): string {
  const flags = [challenge.response === false ? '' : 'R', challenge.echo === true ? 'E' : ''].filter(Boolean).join(',');
  return `CRV1:${flags}:${challenge.state}:${formatTextBase64(username)}:${challenge.text}`;
}

/** The password field that answers a dynamic challenge. */
export function writeDynamicResponse(stateId: string, response: string): string {
  return `CRV1::${stateId}::${response}`;
}

/** Reads it; undefined for a password that is none. */
export function parseDynamicResponse(field: string): { state: string; response: string } | undefined {
  const match = /^CRV1::([^:]*)::(.*)$/s.exec(field);
  return match === null ? undefined : { state: match[1] ?? '', response: match[2] ?? '' };
}

/** The password field under `static-challenge`. */
export function writeStaticResponse(password: string, response: string, format: 'scrv1' | 'concat'): string {
  if (format === 'concat') return password + response;
  return `SCRV1:${formatTextBase64(password)}:${formatTextBase64(response)}`;
}

/** Reads `SCRV1:base64 password:base64 answer`; undefined for a password that is none. */
export function parseStaticResponse(field: string): { password: string; response: string } | undefined {
  const match = /^SCRV1:([A-Za-z0-9+/=]*):([A-Za-z0-9+/=]*)$/.exec(field);
  const parts = match?.slice(1).map((part) => parseBase64(part));
  if (parts?.[0] === undefined || parts[1] === undefined) return undefined;
  const decoder = new TextDecoder();
  return { password: decoder.decode(parts[0]), response: decoder.decode(parts[1]) };
}

/** The control message that answers CR_TEXT. */
export function writeChallengeResponse(response: string): string {
  return `CR_RESPONSE,${formatTextBase64(response)}`;
}

/** An address that may be shown and handed to a browser: http or https, a host, printable ASCII without quotes; else undefined. */
export function parseLoginUrl(text: string): string | undefined {
  if (text.length > MAX_URL_CHARACTERS) return undefined;
  return /^https?:\/\/[A-Za-z0-9[][A-Za-z0-9\-._~:/?#[\]@!$&()*+,;=%]*$/i.test(text) ? text : undefined;
}

function parseQuestion(flags: string, text: string): ChallengeQuestion {
  return { text: cleaned(text), echo: flags.includes('E'), responseRequired: flags.includes('R') };
}

function webLogin(address: string, flags: string): PendingRequest {
  const url = parseLoginUrl(address.trim());
  if (url === undefined) return { type: 'unusable', problem: 'url' };
  return { type: 'web-login', url, flags: flags.split(',').filter((flag) => flag !== '') };
}

const cleaned = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '');
