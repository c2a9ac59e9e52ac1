import { describe, expect, it } from 'vitest';
import {
  generateAuthTokenKey,
  generateStaticKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
} from '../../src/crypto/generate-keys.ts';
import { openWrappedKey } from '../../src/crypto/wrapped-key.ts';
import { createNodeCrypto } from '../../src/node/crypto-provider.ts';
import { parseAuthTokenKey } from '../../src/wire/auth-token-key.ts';
import { formatBase64 } from '../../src/wire/base64.ts';
import { parseStaticKey } from '../../src/wire/static-key.ts';
import { parseTlsCryptV2ClientKey, parseTlsCryptV2ServerKey, timestampMetadata } from '../../src/wire/tls-crypt-v2.ts';

const crypto = createNodeCrypto();
const ok = <T extends object>(parsed: T | { readonly problem: string }): T => {
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed;
};

describe('a new key', () => {
  it('is read again, and another one each time', () => {
    const statics = [1, 2].map(() => ok(parseStaticKey(generateStaticKey(crypto))).key);
    expect(statics[0]?.length).toBe(256);
    expect(statics[0]).not.toEqual(statics[1]);
    const tokens = [1, 2].map(() => ok(parseAuthTokenKey(generateAuthTokenKey(crypto))).key);
    expect(tokens[0]?.length).toBe(128);
    expect(tokens[0]).not.toEqual(tokens[1]);
    expect(tokens[0]?.some((byte) => byte !== 0)).toBe(true);
  });

  it('of a tls-crypt-v2 client opens under the key of its server', () => {
    const { serverKey } = ok(parseTlsCryptV2ServerKey(generateTlsCryptV2ServerKey(crypto)));
    const metadata = timestampMetadata(1_800_000_000);
    const file = ok(parseTlsCryptV2ClientKey(generateTlsCryptV2ClientKey(serverKey, metadata, crypto)));
    expect(openWrappedKey(file.wrappedKey, serverKey, crypto)).toEqual({ clientKey: file.clientKey, metadata });
  });

  it('leaves no bytes behind in the buffer that it was made in', () => {
    const made: Uint8Array[] = [];
    const watched = {
      ...crypto,
      randomBytes: (length: number) => {
        const bytes = crypto.randomBytes(length);
        made.push(bytes);
        return bytes;
      },
    };
    generateStaticKey(watched);
    generateTlsCryptV2ClientKey(new Uint8Array(128), undefined, watched);
    expect(made.map((bytes) => bytes.some((byte) => byte !== 0))).toEqual([false, false]);
  });
});

describe('an auth-token key file', () => {
  const file = (bytes: Uint8Array) =>
    `-----BEGIN OpenVPN auth-token server key-----\n${formatBase64(bytes)}\n-----END OpenVPN auth-token server key-----\n`;

  it.each([
    ['nothing', ''],
    ['another kind of key', generateTlsCryptV2ServerKey(crypto)],
    ['no base64', file(new Uint8Array(128)).replace('AAAA', 'A*AA')],
    ['too few bytes', file(new Uint8Array(127))],
  ])('is refused with %s', (_, text) => {
    expect(parseAuthTokenKey(text)).toHaveProperty('problem');
  });

  it('may have more than it needs', () => {
    const bytes = new Uint8Array(200).map((_, index) => index);
    expect(parseAuthTokenKey(file(bytes))).toEqual({ key: bytes.slice(0, 128) });
  });
});
