import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges, writeBasic, writeDigest } from '../../src/wire/http-authentication.ts';

const parse = (value: string) =>
  parseChallenges(value).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe('the challenges of a proxy', () => {
  it.each<[string, unknown]>([
    ['Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['Basic', [['basic', {}]]],
    ['Basic realm=plain', [['basic', { realm: 'plain' }]]],
    [
      'Digest realm="a, b", nonce="n=1==", qop="auth,auth-int",algorithm=MD5',
      [['digest', { realm: 'a, b', nonce: 'n=1==', qop: 'auth,auth-int', algorithm: 'MD5' }]],
    ],
    ['DIGEST Realm = "x" , Nonce="y"', [['digest', { realm: 'x', nonce: 'y' }]]],
    [
      'Negotiate, NTLM, Digest realm="x", nonce="y", Basic realm="z"',
      [
        ['negotiate', {}],
        ['ntlm', {}],
        ['digest', { realm: 'x', nonce: 'y' }],
        ['basic', { realm: 'z' }],
      ],
    ],
    ['Digest realm="the \\"lab\\"", nonce="y"', [['digest', { realm: 'the \\"lab\\"', nonce: 'y' }]]],
    ['Digest realm="never ends', [['digest', { realm: 'never ends' }]]],
    ['realm="x"', []],
    ['', []],
    [' , ,Basic', [['basic', {}]]],
  ])('%s', (value, expected) => {
    expect(parse(value)).toEqual(expected);
  });

  it('have values of 255 characters at most, and are 16 with 32 parameters at most', () => {
    expect(parseChallenges(`Basic realm="${'r'.repeat(999)}"`)[0]?.parameters.get('realm')?.length).toBe(255);
    expect(parseChallenges(Array.from({ length: 99 }, (_, i) => `S${i}`).join(', ')).length).toBe(16);
    const many = Array.from({ length: 99 }, (_, i) => `p${i}=1`).join(', ');
    expect(parseChallenges(`Digest ${many}`)[0]?.parameters.size).toBe(32);
  });

  it('of any text are read in no time and without an exception', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 2000, unit: fc.constantFrom('"', '\\', ',', '=', ' ', 'a', 'B', 'é') }),
        (text) => {
          parseChallenges(text);
        },
      ),
    );
    const startedAt = performance.now();
    parseChallenges(`Digest realm="${'\\"'.repeat(2000)}`);
    parseChallenges(', '.repeat(2000));
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe('the answer to a proxy', () => {
  it('is user name and password in base64 for Basic', () => {
    expect(writeBasic('Aladdin', 'open sesame')).toBe('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
    expect(writeBasic('café', 'ü')).toBe(`Basic ${Buffer.from('café:ü').toString('base64')}`);
  });

  const answer = {
    username: 'u',
    realm: 'r',
    nonce: 'n',
    uri: 'h:1',
    algorithm: undefined,
    response: 'f',
    opaque: undefined,
  };

  it('names everything that was hashed for Digest', () => {
    const qop = { count: '00000001', clientNonce: 'c' };
    expect(writeDigest({ ...answer, qop, algorithm: 'MD5', opaque: 'o' })).toBe(
      'Digest username="u", realm="r", nonce="n", uri="h:1", algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="f", opaque="o"',
    );
    expect(writeDigest({ ...answer, qop: undefined })).toBe(
      'Digest username="u", realm="r", nonce="n", uri="h:1", response="f"',
    );
  });

  it('lets no user name end its quotation marks or its line', () => {
    expect(writeDigest({ ...answer, qop: undefined, username: 'a"b\\c\r\nX: y' })).toContain(
      'username="a\\"b\\\\cX: y"',
    );
  });
});
