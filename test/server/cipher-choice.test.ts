import { describe, expect, it } from 'vitest';
import { chooseCipher } from '../../src/server/cipher-choice.ts';
import { parsePeerInfo } from '../../src/wire/peer-info.ts';

const defaults = ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'];
const optionsOf = (cipher: string | undefined): string =>
  `V4,dev-type tun,${cipher === undefined ? '' : `cipher ${cipher},`}auth SHA1,key-method 2,tls-client`;

function choose(own: readonly string[], info: string, stated?: string, fallback?: string, written?: string) {
  return chooseCipher(
    { dataCiphers: own, dataCiphersWritten: written, fallback },
    { peerInfo: parsePeerInfo(info), optionsString: optionsOf(stated) },
  );
}

describe('the server’s choice of a cipher', () => {
  it.each([
    ['its own first one', defaults, 'IV_CIPHERS=AES-128-GCM:AES-256-GCM\n', undefined, 'AES-256-GCM', true],
    [
      'in its own order',
      ['AES-128-GCM', 'AES-256-GCM'],
      'IV_CIPHERS=AES-256-GCM:AES-128-GCM\n',
      undefined,
      'AES-128-GCM',
      true,
    ],
    ['one that both have', defaults, 'IV_CIPHERS=CHACHA20-POLY1305\n', undefined, 'CHACHA20-POLY1305', true],
    ['a CBC one', ['AES-256-GCM', 'AES-256-CBC'], 'IV_CIPHERS=AES-256-CBC\n', undefined, 'AES-256-CBC', false],
    ['GCM for a client of 2.4', defaults, 'IV_NCP=2\n', 'BF-CBC', 'AES-256-GCM', true],
    ['the options string of a client of 2.4', ['AES-256-CBC'], 'IV_NCP=2\n', 'AES-256-CBC', 'AES-256-CBC', false],
    ['the options string of an older client', ['AES-256-GCM', 'AES-256-CBC'], '', 'AES-256-CBC', 'AES-256-CBC', false],
    ['no encryption, if both want none', ['none'], '', '[null-cipher]', 'none', false],
  ] as const)('is %s', (_, own, info, stated, cipher, aeadNegotiated) => {
    expect(choose(own, info, stated)).toEqual({ cipher, aeadNegotiated, lines: [] });
  });

  it.each([
    [
      'no cipher of its list',
      'IV_CIPHERS=AES-128-CBC:X\n',
      'AES-256-GCM',
      "PUSH: No common cipher between server and client. Server data-ciphers: 'AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305', client supported ciphers 'AES-128-CBC:X'",
    ],
    [
      'another one in its options string',
      'IV_PLAT=linux\n',
      'BF-CBC',
      "PUSH: No common cipher between server and client. Server data-ciphers: 'AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305', client supports cipher 'BF-CBC'",
    ],
    ['nothing said', '', undefined, 'PUSH: No NCP or OCC cipher data received from peer.'],
    ['an empty list', 'IV_CIPHERS=\n', undefined, 'PUSH: No NCP or OCC cipher data received from peer.'],
  ] as const)('refuses a client with %s', (_, info, stated, line) => {
    const choice = choose(defaults, info, stated);
    expect(choice).toMatchObject({ reason: 'Data channel cipher negotiation failed (no shared cipher)' });
    expect(choice.lines[0]).toBe(line);
  });

  it('believes a client with a list no more than the list says', () => {
    expect(choose(['AES-256-CBC'], 'IV_CIPHERS=AES-256-GCM\n', 'AES-256-CBC')).toHaveProperty('reason');
  });

  it('tells the list as it was written and as it is', () => {
    expect(choose(defaults, 'IV_CIPHERS=X\n', undefined, undefined, 'DEFAULT').lines[0]).toContain(
      "data-ciphers: 'DEFAULT' (AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305), client",
    );
  });

  it.each([
    ['who says nothing', '', undefined, true],
    ['who states another cipher', '', 'BF-CBC', false],
    ['who negotiates', 'IV_CIPHERS=X\n', undefined, false],
  ])('takes the fallback for a client %s', (_, info, stated, taken) => {
    const choice = choose(defaults, info, stated, 'AES-256-CBC');
    if (taken) expect(choice).toMatchObject({ cipher: 'AES-256-CBC', aeadNegotiated: false });
    else expect(choice).toHaveProperty('reason');
  });

  it('does not take a fallback that looks like AEAD for a negotiated one', () => {
    expect(choose(defaults, '', undefined, 'AES-256-GCM')).toMatchObject({ aeadNegotiated: false });
  });

  it('cleans what it says of a peer’s options string', () => {
    expect(choose(defaults, '', 'A\u0007\u001b').lines[0]).toContain("client supports cipher 'A??'");
  });
});
