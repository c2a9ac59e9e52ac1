// Tokens that stand for a password: a client that has shown its password once is given one, and shows it instead when
// keys are renewed or it comes again (`auth-gen-token`). Nothing of them is kept; an HMAC proves that they are ours.
//
//   token   = "SESS_ID_AT_" base64( session[12] | initial[8] | issued[8] | hmac[32] )          91 characters
//   hmac    = HMAC-SHA256( key, username | session | initial | issued )        times: Unix seconds, big-endian
//   key     = bytes 64 to 95 of the secret (of the 128 bytes between `auth-token server key` lines, or of random ones)
//
// Observed with OpenVPN 2.7.8; tokens of either program are valid in the other.

import type { CryptoProvider } from '../crypto/provider.ts';
import { AUTH_TOKEN_KEY_BYTES } from '../wire/auth-token-key.ts';
import { formatBase64, parseBase64 } from '../wire/base64.ts';

const PREFIX = 'SESS_ID_AT_';
const SESSION_BYTES = 12;
const SIGNED_BYTES = SESSION_BYTES + 8 + 8;
const HMAC_BYTES = 32;
const TOKEN_CHARACTERS = PREFIX.length + ((SIGNED_BYTES + HMAC_BYTES) / 3) * 4;
const SESSION_CHARACTERS = (SESSION_BYTES / 3) * 4;

export interface TokenLimits {
  /** Since the first token of the session; 0: no end. */
  readonly lifetimeSeconds: number;
  /** A token is good for twice this after it was issued. */
  readonly renewalSeconds: number;
}

/** What a token that was shown as a password is worth; scripts see `state` as `session_state`. */
export interface TokenVerdict {
  readonly state: 'Authenticated' | 'AuthenticatedEmptyUser' | 'Expired' | 'ExpiredEmptyUser' | 'Invalid';
  /** Whether it replaces the password without asking anybody. */
  readonly accepted: boolean;
  /** The user to go on with: none where the token was made for no name. */
  readonly username: string;
  /** What AUTH_FAILED says. */
  readonly clientReason: string | undefined;
  readonly lines: readonly string[];
}

/** The key in a secret's bytes; undefined when there are too few. */
export function tokenKey(secret: Uint8Array): Uint8Array | undefined {
  return secret.length < AUTH_TOKEN_KEY_BYTES ? undefined : secret.slice(64, 64 + HMAC_BYTES);
}

/** Whether a password has a token's shape (of the right length, with the right start). Others are passwords. */
export function isAuthToken(password: string): boolean {
  return password.length === TOKEN_CHARACTERS && password.startsWith(PREFIX);
}

/** Makes and checks tokens under one key. */
export class AuthTokens {
  readonly #crypto: CryptoProvider;
  readonly #key: Uint8Array;
  readonly #limits: TokenLimits;

  /** `key`: from `tokenKey`. */
  constructor(crypto: CryptoProvider, key: Uint8Array, limits: TokenLimits) {
    this.#crypto = crypto;
    this.#key = key;
    this.#limits = limits;
  }

  /** The state of one client. */
  forClient(): ClientTokens {
    return new ClientTokens(this);
  }

  /** Writes a token. `session`: 12 bytes. */
  write(username: string, session: Uint8Array, initialUnixSeconds: number, issuedUnixSeconds: number): string {
    const bytes = new Uint8Array(SIGNED_BYTES + HMAC_BYTES);
    const view = new DataView(bytes.buffer);
    bytes.set(session.subarray(0, SESSION_BYTES));
    writeTime(view, SESSION_BYTES, initialUnixSeconds);
    writeTime(view, SESSION_BYTES + 8, issuedUnixSeconds);
    bytes.set(this.#sign(username, bytes.subarray(0, SIGNED_BYTES)), SIGNED_BYTES);
    return PREFIX + formatBase64(bytes);
  }

  /** Looks at a token's proof and times. Never throws, whatever the text is. */
  verify(username: string, token: string, nowUnixSeconds: number): TokenVerdict {
    const parsed = parseToken(token);
    if (parsed === undefined) return invalid(username, 'ERROR: --auth-token wrong size (-1!=60)');
    const named = this.#isSigned(username, parsed);
    // Both are always computed: how long it takes says nothing about which of them it is.
    const unnamed = this.#isSigned('', parsed);
    if (!named && !unnamed) {
      return invalid(username, `--auth-gen-token: HMAC on token from client failed (${username})`);
    }
    const lines = this.#expiry(parsed, nowUnixSeconds);
    const emptyUser = !named;
    const expired = lines !== undefined;
    return {
      state: `${expired ? 'Expired' : 'Authenticated'}${emptyUser ? 'EmptyUser' : ''}`,
      accepted: !expired && !emptyUser,
      username: emptyUser ? '' : username,
      clientReason: expired ? 'SESSION: token expired' : undefined,
      lines: lines ?? [],
    };
  }

  randomSession(): Uint8Array {
    return this.#crypto.randomBytes(SESSION_BYTES);
  }

  /** Compares two texts in a time that depends on their lengths alone. */
  sameText(a: string, b: string): boolean {
    const encoder = new TextEncoder();
    return this.#crypto.equal(encoder.encode(a), encoder.encode(b));
  }

  #isSigned(username: string, { signed, hmac }: ParsedToken): boolean {
    return this.#crypto.equal(this.#sign(username, signed), hmac);
  }

  #sign(username: string, signed: Uint8Array): Uint8Array {
    return this.#crypto.hmac('SHA256', this.#key, new TextEncoder().encode(username), signed);
  }

  /** Lines about an expired token, undefined for one that is still good. */
  #expiry({ initial, issued }: ParsedToken, now: number): readonly string[] | undefined {
    const { lifetimeSeconds, renewalSeconds } = this.#limits;
    const lines: string[] = [];
    let expired = false;
    if (now < issued || now >= issued + 2 * renewalSeconds) {
      expired = true;
      lines.push(`Timestamp (${issued}) of auth-token is out of the renewal window`);
    }
    if (issued < initial) {
      expired = true;
      lines.push(
        `Initial timestamp (${initial}) in token from client earlier than current timestamp ${issued}. Broken/unsynchronised clock?`,
      );
    }
    if (lifetimeSeconds !== 0 && now > initial + lifetimeSeconds) expired = true;
    return expired ? [...lines, '--auth-gen-token: auth-token from client expired'] : undefined;
  }
}

/** One client's token over its life: the session's id and beginning stay as they were in the first one. */
export class ClientTokens {
  readonly #tokens: AuthTokens;
  #initial: string | undefined;
  #current: string | undefined;
  #emptyUser = false;
  #verdict: TokenVerdict | undefined;

  constructor(tokens: AuthTokens) {
    this.#tokens = tokens;
  }

  /** What is to be pushed; undefined before the first `issue`. */
  get current(): string | undefined {
    return this.#current;
  }

  /**
   * Looks at a password; undefined when it has not a token's shape. A token of another session than this client's is
   * invalid, however well signed. What is not accepted ends the session's tokens: call `wipe`, unless somebody else is
   * asked (`external-auth`) and says yes.
   */
  handlePassword(username: string, password: string, nowUnixSeconds: number): TokenVerdict | undefined {
    this.#emptyUser = false;
    this.#verdict = undefined;
    if (!isAuthToken(password)) return undefined;
    let verdict = this.#tokens.verify(username, password, nowUnixSeconds);
    if (verdict.state !== 'Invalid' && this.#initial !== undefined && !this.#isOfSession(password)) {
      const line = '--auth-gen-token: session id in token changed (Rejecting token.';
      verdict = { ...invalid(verdict.username, line), lines: [...verdict.lines, line] };
    }
    if (verdict.state !== 'Invalid') this.#initial ??= password;
    this.#emptyUser = verdict.state.endsWith('EmptyUser');
    this.#verdict = verdict;
    return verdict;
  }

  /** Makes the first or the next token, when authentication has succeeded or a renewal is due. */
  issue(username: string, nowUnixSeconds: number): string {
    const first = this.#initial === undefined ? undefined : parseToken(this.#initial);
    const session = first?.signed.subarray(0, SESSION_BYTES) ?? this.#tokens.randomSession();
    const user = this.#emptyUser ? '' : username;
    const token = this.#tokens.write(user, session, first?.initial ?? nowUnixSeconds, nowUnixSeconds);
    this.#initial ??= token;
    this.#current = token;
    return token;
  }

  /**
   * `session_id` and `session_state` for scripts. A client without a session gets one: its first token is issued here, as
   * C does, so that the id stays the one that the script saw.
   */
  environment(username: string, nowUnixSeconds: number): { readonly sessionId: string; readonly sessionState: string } {
    if (this.#initial === undefined) this.issue(username, nowUnixSeconds);
    const initial = this.#initial ?? '';
    return {
      sessionId: initial.slice(PREFIX.length, PREFIX.length + SESSION_CHARACTERS),
      sessionState: this.#verdict?.state ?? 'Initial',
    };
  }

  /** Forgets the session: authentication has failed. */
  wipe(): void {
    this.#initial = undefined;
    this.#current = undefined;
    this.#emptyUser = false;
  }

  #isOfSession(token: string): boolean {
    const length = PREFIX.length + SESSION_CHARACTERS;
    return this.#tokens.sameText((this.#initial ?? '').slice(0, length), token.slice(0, length));
  }
}

interface ParsedToken {
  readonly signed: Uint8Array;
  readonly initial: number;
  readonly issued: number;
  readonly hmac: Uint8Array;
}

function parseToken(token: string): ParsedToken | undefined {
  const bytes = isAuthToken(token) ? parseBase64(token.slice(PREFIX.length)) : undefined;
  if (bytes?.length !== SIGNED_BYTES + HMAC_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    signed: bytes.subarray(0, SIGNED_BYTES),
    initial: readTime(view, SESSION_BYTES),
    issued: readTime(view, SESSION_BYTES + 8),
    hmac: bytes.subarray(SIGNED_BYTES),
  };
}

function invalid(username: string, line: string): TokenVerdict {
  return { state: 'Invalid', accepted: false, username, clientReason: undefined, lines: [line] };
}

function writeTime(view: DataView, at: number, unixSeconds: number): void {
  view.setUint32(at, Math.floor(unixSeconds / 2 ** 32));
  view.setUint32(at + 4, unixSeconds >>> 0);
}

function readTime(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
