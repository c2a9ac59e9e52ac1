// Text messages of the control channel: after key method 2 everything in the TLS session is text that ends in NUL.
// Matched by prefix in the order of the C program's forward.c; flags of RESTART and HALT as its push.c reads them (the
// published draft states P and N the other way round).

export interface TemporaryFailureFlags {
  readonly backoffSeconds: number | undefined;
  readonly advance: 'no' | 'address' | 'remote';
  /** Flags that nobody here knows; they change nothing. */
  readonly unknown?: readonly string[];
}

export type ControlMessage =
  | {
      readonly type: 'auth-failed';
      /** What the server says, without the protocol's words. */
      readonly reason: string;
      /** Present for `TEMP`: try again later. */
      readonly temporary: TemporaryFailureFlags | undefined;
      /** `CRV1:flags:state:base64user:text` of a dynamic challenge. */
      readonly dynamicChallenge: string | undefined;
      /** `SESSION`: the auth-token is dead. */
      readonly sessionDead: boolean;
    }
  | { readonly type: 'push-request' }
  /** Options as one text, without `PUSH_REPLY` and its comma. */
  | { readonly type: 'push-reply'; readonly body: string }
  | { readonly type: 'push-update'; readonly body: string }
  | {
      readonly type: 'restart' | 'halt';
      readonly text: string;
      readonly keepCredentials: boolean;
      readonly advance: boolean;
    }
  | { readonly type: 'info' | 'info-pre' | 'cr-response'; readonly text: string }
  | { readonly type: 'auth-pending'; readonly timeoutSeconds: number | undefined; readonly text: string }
  | { readonly type: 'exit' }
  | { readonly type: 'other'; readonly text: string };

/** One message with the text it was made of (for the log). */
export interface ReceivedMessage {
  readonly text: string;
  readonly message: ControlMessage;
}

/** Splits plaintext on NUL. Messages with control characters are left out and counted; so is an end without NUL. */
export function parseControlMessages(plaintext: Uint8Array): {
  readonly messages: readonly ReceivedMessage[];
  readonly dropped: number;
} {
  const messages: ReceivedMessage[] = [];
  let dropped = 0;
  let start = 0;
  while (start < plaintext.length) {
    const end = plaintext.indexOf(0, start);
    if (end < 0) {
      dropped++;
      break;
    }
    const text = new TextDecoder().decode(plaintext.subarray(start, end)).replace(/[\r\n]+$/, '');
    start = end + 1;
    if (text === '') continue;
    if (/[\x00-\x1f\x7f-\x9f]/.test(text)) dropped++;
    else messages.push({ text, message: parseControlMessage(text) });
  }
  return { messages, dropped };
}

/** What a text means. */
export function parseControlMessage(text: string): ControlMessage {
  if (text.startsWith('AUTH_FAILED')) return parseAuthFailed(text.slice(11));
  if (text.startsWith('PUSH_')) return parsePush(text);
  if (text.startsWith('RESTART')) return parseSignal('restart', text.slice(7));
  if (text.startsWith('HALT')) return parseSignal('halt', text.slice(4));
  if (text.startsWith('INFO_PRE')) return { type: 'info-pre', text: afterComma(text.slice(8)) };
  if (text.startsWith('INFO')) return { type: 'info', text: afterComma(text.slice(4)) };
  if (text.startsWith('CR_RESPONSE')) return { type: 'cr-response', text: afterComma(text.slice(11)) };
  if (text.startsWith('AUTH_PENDING')) return parseAuthPending(afterComma(text.slice(12)));
  if (text.startsWith('EXIT')) return { type: 'exit' };
  return { type: 'other', text };
}

/** Bytes of a text message: its UTF-8 and one NUL. */
export function writeControlMessage(text: string): Uint8Array {
  if (text.includes('\0')) throw new TypeError('a control message cannot contain NUL');
  return new TextEncoder().encode(`${text}\0`);
}

/** The text with auth-token, session token and echo values left out, fit for the log. */
export function redactControlText(text: string): string {
  return text.replace(/(SESS_ID_|echo |auth-token )[^,]*/g, '$1');
}

function afterComma(rest: string): string {
  return rest.startsWith(',') ? rest.slice(1) : '';
}

function parsePush(text: string): ControlMessage {
  if (text.startsWith('PUSH_REQUEST')) return { type: 'push-request' };
  const match = /^PUSH_(REPLY|UPDATE)(?:,(.*))?$/s.exec(text);
  if (match === null) return { type: 'other', text };
  return { type: match[1] === 'REPLY' ? 'push-reply' : 'push-update', body: match[2] ?? '' };
}

function parseSignal(type: 'restart' | 'halt', rest: string): ControlMessage {
  const text = afterComma(rest);
  const flags = /^\[([^\]]*)/.exec(text)?.[1] ?? '';
  return { type, text, keepCredentials: flags.includes('P'), advance: flags.includes('N') };
}

function parseAuthPending(text: string): ControlMessage {
  const timeout = /(?:^|,)timeout ([0-9]{1,9})(?:,|$)/.exec(text)?.[1];
  return { type: 'auth-pending', timeoutSeconds: timeout === undefined ? undefined : Number(timeout), text };
}

function parseAuthFailed(rest: string): ControlMessage {
  const text = afterComma(rest);
  const plain = { type: 'auth-failed', temporary: undefined, dynamicChallenge: undefined, sessionDead: false } as const;
  if (text.startsWith('CRV1:')) return { ...plain, reason: challengeText(text), dynamicChallenge: text };
  if (text.startsWith('SESSION')) return { ...plain, reason: text.replace(/^SESSION:?\s*/, ''), sessionDead: true };
  if (!text.startsWith('TEMP')) return { ...plain, reason: text };
  const match = /^TEMP(?:\[([^\]]*)\])?(?::(.*))?/s.exec(text);
  return { ...plain, reason: match?.[2] ?? '', temporary: parseTemporaryFlags(match?.[1] ?? '') };
}

/** Unknown flags that are told of; a message may have hundreds. */
const FLAGS_LIMIT = 8;

function parseTemporaryFlags(flags: string): TemporaryFailureFlags {
  let backoffSeconds: number | undefined;
  let advance: TemporaryFailureFlags['advance'] = 'no';
  const unknown: string[] = [];
  for (const flag of flags.split(',')) {
    const backoff = /^backoff ([0-9]{1,9})$/.exec(flag)?.[1];
    if (backoff !== undefined) backoffSeconds = Number(backoff);
    else if (flag === 'advance no') advance = 'no';
    else if (flag === 'advance addr') advance = 'address';
    else if (flag === 'advance remote') advance = 'remote';
    else if (flag !== '' && unknown.length < FLAGS_LIMIT) unknown.push(flag);
  }
  return { backoffSeconds, advance, ...(unknown.length === 0 ? {} : { unknown }) };
}

/** The question of `CRV1:flags:state:base64user:text`. */
function challengeText(challenge: string): string {
  return challenge.split(':').slice(4).join(':');
}
