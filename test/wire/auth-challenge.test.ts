import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseDynamicChallenge,
  parseLoginUrl,
  parsePendingRequest,
  writeChallengeResponse,
  writeDynamicResponse,
  writeStaticResponse,
} from '../../src/wire/auth-challenge.ts';

describe('a dynamic challenge', () => {
  it.each([
    [
      'CRV1:R,E:Om01u7:Y3Ix:Please enter PIN',
      { stateId: 'Om01u7', username: 'cr1', echo: true, responseRequired: true },
    ],
    ['CRV1:R:s:Y3Ix:a:b:c', { text: 'a:b:c', echo: false, responseRequired: true }],
    ['CRV1::s:Y3Ix:only to read', { echo: false, responseRequired: false, text: 'only to read' }],
    ['CRV1:RE:s::', { echo: true, responseRequired: true, username: '', text: '' }],
    ['CRV1:R:s:Y3Ix:a\u202eb\u0007c', { text: 'abc' }],
  ])('is read from %j', (text, expected) => {
    expect(parseDynamicChallenge(text)).toMatchObject(expected);
  });

  it.each(['', 'CRV1', 'CRV1:R:s', 'CRV1:R:s:Y3Ix', 'CRV1:R:s:*:text', 'CRV2:R:s:Y3Ix:text'])(
    'is not read from %j',
    (text) => expect(parseDynamicChallenge(text)).toBeUndefined(),
  );

  it('is answered in the password field, with the state as it came', () => {
    expect(writeDynamicResponse('Om01u7', '86:75')).toBe('CRV1::Om01u7::86:75');
  });
});

describe('a request while a login is pending', () => {
  it.each([
    ['CR_TEXT:R,E:Code?', { type: 'cr-text', text: 'Code?', echo: true, responseRequired: true }],
    ['CR_TEXT::a:b', { type: 'cr-text', text: 'a:b', echo: false, responseRequired: false }],
    ['CR_TEXT:R', { type: 'unusable', problem: 'challenge' }],
    ['OPEN_URL:https://id.example/x?y=1', { type: 'web-login', url: 'https://id.example/x?y=1', flags: [] }],
    ['WEB_AUTH::https://id.example/', { type: 'web-login', url: 'https://id.example/', flags: [] }],
    [
      'WEB_AUTH:hidden,external:http://[fd00::1]:8080/',
      { url: 'http://[fd00::1]:8080/', flags: ['hidden', 'external'] },
    ],
    [
      'WEB_AUTH:proxy=[fd00::1];80;;:https://a.example/',
      { url: 'https://a.example/', flags: ['proxy=[fd00::1];80;;'] },
    ],
    ['WEB_AUTH::javascript:alert(1)', { type: 'unusable', problem: 'url' }],
    ['OPEN_URL:file:///etc/passwd', { type: 'unusable', problem: 'url' }],
  ])('is read from %j', (text, expected) => {
    expect(parsePendingRequest(text)).toMatchObject(expected);
  });

  it('is nothing to act on where it is another message', () => {
    expect(parsePendingRequest('maintenance at 5')).toBeUndefined();
    expect(parsePendingRequest('WEB_AUTHENTICATION')).toBeUndefined();
  });

  it('of text is answered in base64 of its UTF-8', () => {
    expect(writeChallengeResponse('zoë')).toBe('CR_RESPONSE,em/Dqw==');
    expect(writeChallengeResponse('')).toBe('CR_RESPONSE,');
  });
});

describe('an address to log in at', () => {
  it.each(['https://a', 'HTTPS://A.example:8443/p?q=%20#f', 'http://[::1]/'])('may be %j', (url) =>
    expect(parseLoginUrl(url)).toBe(url),
  );
  it.each([
    'ftp://a/',
    'https://',
    'https:///x',
    'https://a b/',
    'https://a/`id`',
    "https://a/'x'",
    'https://a/"x"',
    'https://a/\u001b[2J',
    'https://bücher.example/',
    '-https://a',
    `https://a/${'x'.repeat(2048)}`,
  ])('may not be %j', (url) => expect(parseLoginUrl(url)).toBeUndefined());
});

describe('a static challenge', () => {
  it('goes along with the password, in base64 or right behind it', () => {
    expect(writeStaticResponse('bar', '8675309', 'scrv1')).toBe('SCRV1:YmFy:ODY3NTMwOQ==');
    expect(writeStaticResponse('bar', '8675309', 'concat')).toBe('bar8675309');
  });
});

it('whatever a server writes, nothing throws and no control character comes through', () => {
  const part = fc.oneof(
    fc.constantFrom('CRV1', 'CR_TEXT', 'WEB_AUTH', 'OPEN_URL', ':', 'https://', 'R,E', 'Y3Ix'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const text = parts.join(':');
      const request = parsePendingRequest(text);
      const shown =
        request === undefined || request.type === 'unusable' ? '' : 'url' in request ? request.url : request.text;
      const dynamic = parseDynamicChallenge(text);
      expect(`${shown}${dynamic?.text ?? ''}${dynamic?.username ?? ''}`).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    }),
    { numRuns: 2000 },
  );
});
