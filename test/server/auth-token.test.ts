import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { AuthTokens, isAuthToken, tokenKey } from '../../src/server/auth-token.ts';
import { AUTH_TOKEN_KEY_BYTES } from '../../src/wire/auth-token-key.ts';
import { parseBase64 } from '../../src/wire/base64.ts';

const crypto = createNodeCrypto();
const secret = Uint8Array.from({ length: 128 }, (_, index) => index);
const limits = { lifetimeSeconds: 3600, renewalSeconds: 600 };
const session = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
const start = 1_700_000_000;

function tokensOf(more: Partial<typeof limits> = {}, bytes: Uint8Array = secret): AuthTokens {
  const key = tokenKey(bytes);
  if (key === undefined) throw new Error('no key');
  return new AuthTokens(crypto, key, { ...limits, ...more });
}

describe('an auth-token', () => {
  it('has the session, both times and the proof in it', () => {
    const token = tokensOf().write('man', session, start, start + 60);
    expect(token).toHaveLength(91);
    expect(isAuthToken(token)).toBe(true);
    const bytes = parseBase64(token.slice('SESS_ID_AT_'.length)) ?? new Uint8Array();
    expect(bytes).toHaveLength(60);
    expect([...bytes.subarray(0, 12)]).toEqual([...session]);
    const view = new DataView(bytes.buffer);
    expect([view.getBigUint64(12), view.getBigUint64(20)]).toEqual([BigInt(start), BigInt(start + 60)]);
    const key = secret.subarray(64, 96);
    const proof = crypto.hmac('SHA256', key, new TextEncoder().encode('man'), bytes.subarray(0, 28));
    expect([...bytes.subarray(28)]).toEqual([...proof]);
  });

  it('that OpenVPN 2.7.8 issued under the same secret is accepted', () => {
    const theirs = 'SESS_ID_AT_WHywNamZ+H45USOPAAAAAGsLRjwAAAAAawtGPEycOV5hipM7XOah3EFSvbTLgRPQTA5o3iMktBsSmQec';
    const issued = 1_795_900_988;
    expect(tokensOf().verify('män', theirs, issued + 5)).toMatchObject({ state: 'Authenticated', accepted: true });
    expect(tokensOf().verify('man', theirs, issued + 5).state).toBe('Invalid');
    const first = parseBase64(theirs.slice(11))?.subarray(0, 12) ?? new Uint8Array();
    expect(tokensOf().write('män', first, issued, issued)).toBe(theirs);
  });

  it('keeps times beyond 32 bits', () => {
    const tokens = tokensOf();
    const late = 2 ** 33;
    expect(tokens.verify('man', tokens.write('man', session, late, late), late).state).toBe('Authenticated');
  });

  it.each([
    ['at once', 'man', 0, 0, 'Authenticated'],
    ['just before twice the renewal time', 'man', 0, 1199, 'Authenticated'],
    ['at twice the renewal time', 'man', 0, 1200, 'Expired'],
    ['before it was issued', 'man', 0, -1, 'Expired'],
    ['at the end of its life', 'man', 3000, 3600, 'Authenticated'],
    ['after its life', 'man', 3000, 3601, 'Expired'],
    ['issued before the session began', 'man', -1, 0, 'Expired'],
    ['for another user', 'other', 0, 0, 'Invalid'],
  ] as const)('%s, shown by %s, is judged', (_, user, issued, shown, state) => {
    const tokens = tokensOf();
    const verdict = tokens.verify(user, tokens.write('man', session, start, start + issued), start + shown);
    expect(verdict.state).toBe(state);
    expect(verdict.accepted).toBe(state === 'Authenticated');
    expect(verdict.clientReason).toBe(state === 'Expired' ? 'SESSION: token expired' : undefined);
    expect(verdict.lines.length > 0).toBe(state !== 'Authenticated');
  });

  it('without a lifetime lasts as long as it is renewed', () => {
    const tokens = tokensOf({ lifetimeSeconds: 0 });
    const late = start + 1e9;
    expect(tokens.verify('man', tokens.write('man', session, start, late), late).state).toBe('Authenticated');
  });

  it.each([
    [0, 'AuthenticatedEmptyUser'],
    [1200, 'ExpiredEmptyUser'],
  ])('for no user is good for any, but proves no name (%i s later: %s)', (shown, state) => {
    const tokens = tokensOf();
    const verdict = tokens.verify('man', tokens.write('', session, start, start), start + shown);
    expect(verdict).toMatchObject({ state, accepted: false, username: '' });
  });

  it('under another secret is invalid', () => {
    const token = tokensOf().write('man', session, start, start);
    const other = tokensOf(
      {},
      secret.map((byte) => byte ^ 1),
    );
    expect(other.verify('man', token, start)).toMatchObject({
      state: 'Invalid',
      lines: ['--auth-gen-token: HMAC on token from client failed (man)'],
    });
  });

  it('with any bit changed is invalid or, where padding is touched, no token', () => {
    const tokens = tokensOf();
    const token = tokens.write('man', session, start, start);
    for (let at = 'SESS_ID_AT_'.length; at < token.length; at++) {
      const other = token.charAt(at) === 'A' ? 'B' : 'A';
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      expect(tokens.verify('man', changed, start).state).toBe('Invalid');
    }
  });

  it('of every length is judged without an exception', () => {
    const tokens = tokensOf();
    const token = tokens.write('man', session, start, start);
    for (let length = 0; length < 200; length++) {
      for (const text of [
        token.repeat(3).slice(0, length),
        `SESS_ID_AT_${'='.repeat(length)}`,
        `SESS_ID_AT_${'A'.repeat(length)}`,
      ]) {
        const client = tokens.forClient();
        const verdict = client.handlePassword('man', text, start);
        if (text !== token) expect(verdict?.accepted ?? false).toBe(false);
        expect(verdict === undefined).toBe(!isAuthToken(text));
        expect(client.environment('man', start).sessionId).toHaveLength(16);
        expect(isAuthToken(client.issue('man', start))).toBe(true);
      }
    }
  });

  it('of any text is judged without an exception', () => {
    const tokens = tokensOf();
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), fc.boolean(), fc.string(), (text, prefixed, user) => {
        const password = prefixed ? `SESS_ID_AT_${text}`.padEnd(91, '/') : text;
        expect(tokens.verify(user, password, start).accepted).toBe(false);
        tokens.forClient().handlePassword(user, password, start);
      }),
    );
  });

  it.each([0, 10, 90, 92])('has no other length than 91: with %i it is a password', (length) => {
    expect(isAuthToken(`SESS_ID_AT_${'A'.repeat(200)}`.slice(0, length))).toBe(false);
    expect(isAuthToken(`SESS_ID_AT_${'A'.repeat(200)}`.slice(0, 91))).toBe(true);
  });

  it('needs 128 bytes of secret', () => {
    expect(tokenKey(new Uint8Array(AUTH_TOKEN_KEY_BYTES - 1))).toBeUndefined();
    expect(tokenKey(new Uint8Array(AUTH_TOKEN_KEY_BYTES))).toHaveLength(32);
  });
});

describe('a client’s tokens', () => {
  it('keep the session and its beginning when they are renewed', () => {
    const tokens = tokensOf();
    const client = tokens.forClient();
    expect(client.handlePassword('man', 'secret', start)).toBeUndefined();
    const first = client.issue('man', start);
    expect(client.handlePassword('man', first, start + 500)?.accepted).toBe(true);
    const second = client.issue('man', start + 500);
    expect(second.slice(0, 11 + 16 + 10)).toBe(first.slice(0, 11 + 16 + 10));
    expect(second).not.toBe(first);
    expect(client.current).toBe(second);
    expect(client.handlePassword('man', second, start + 3601)).toMatchObject({ state: 'Expired' });
  });

  it('of a new connection go on with the session of the token it comes with', () => {
    const tokens = tokensOf();
    const first = tokens.forClient().issue('man', start);
    const again = tokens.forClient();
    expect(again.handlePassword('man', first, start + 100)?.accepted).toBe(true);
    expect(again.environment('man', start + 100)).toEqual({
      sessionId: first.slice(11, 27),
      sessionState: 'Authenticated',
    });
    expect(again.issue('man', start + 100).slice(0, 27)).toBe(first.slice(0, 27));
  });

  it('do not move to another session, however well signed', () => {
    const tokens = tokensOf();
    const client = tokens.forClient();
    client.issue('man', start);
    const foreign = tokens.forClient().issue('man', start);
    expect(client.handlePassword('man', foreign, start)).toMatchObject({
      state: 'Invalid',
      accepted: false,
      lines: ['--auth-gen-token: session id in token changed (Rejecting token.'],
    });
  });

  it('stay without a name when they were made without one', () => {
    const tokens = tokensOf();
    const client = tokens.forClient();
    const nameless = tokens.write('', session, start, start);
    expect(client.handlePassword('man', nameless, start)).toMatchObject({
      state: 'AuthenticatedEmptyUser',
      username: '',
    });
    expect(tokens.verify('', client.issue('man', start + 1), start + 1).state).toBe('Authenticated');
    expect(client.handlePassword('man', 'password', start)).toBeUndefined();
    expect(tokens.verify('man', client.issue('man', start + 1), start + 1).state).toBe('Authenticated');
  });

  it('begin anew once wiped', () => {
    const client = tokensOf().forClient();
    const first = client.issue('man', start);
    client.wipe();
    expect(client.current).toBeUndefined();
    expect(client.issue('man', start).slice(0, 27)).not.toBe(first.slice(0, 27));
  });

  it('tell scripts the session before it has a token, and keep it', () => {
    const client = tokensOf().forClient();
    client.handlePassword('man', 'password', start);
    const { sessionId, sessionState } = client.environment('man', start);
    expect(sessionState).toBe('Initial');
    expect(client.issue('man', start).slice(11, 27)).toBe(sessionId);
  });
});
