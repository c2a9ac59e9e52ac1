import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isLoginGranted,
  parseSocksAnswer,
  parseSocksReply,
  SocksMethod,
  writeSocksAssociate,
  writeSocksConnect,
  writeSocksGreeting,
  writeSocksLogin,
} from '../../src/wire/socks5.ts';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('what a client says to a SOCKS proxy', () => {
  it('has the bytes of RFC 1928 and RFC 1929, which the C program sends', () => {
    expect(hex(writeSocksGreeting(SocksMethod.none))).toBe('050100');
    expect(hex(writeSocksGreeting(SocksMethod.login))).toBe('050102');
    expect(hex(writeSocksLogin('ab', 'c'))).toBe('01026162 0163'.replace(' ', ''));
    expect(hex(writeSocksConnect('198.51.100.1', 1194))).toBe(`050100030c${hex(Buffer.from('198.51.100.1'))}04aa`);
    expect(hex(writeSocksAssociate())).toBe('05030001000000000000');
  });

  it('has no login longer than a byte can tell', () => {
    expect(writeSocksLogin('u'.repeat(255), 'p'.repeat(255))?.length).toBe(513);
    expect(writeSocksLogin('u'.repeat(256), 'p')).toBeUndefined();
    expect(writeSocksLogin('u', 'p'.repeat(256))).toBeUndefined();
    expect(writeSocksLogin('u', 'ü'.repeat(128))).toBeUndefined();
  });

  it('has no name longer than a byte can tell', () => {
    expect(writeSocksConnect('h'.repeat(300), 1)[4]).toBe(255);
  });
});

describe('what a SOCKS proxy answers', () => {
  it.each([
    ['05 00 00 01 c0 00 02 01 04 aa', { address: bytes('c0000201'), port: 1194, length: 10 }],
    ['05 00 00 03 02 61 62 00 50', { address: undefined, port: 80, length: 9 }],
    ['05 00 00 03 00 00 50', { address: undefined, port: 80, length: 7 }],
    [`05 00 00 04 ${'11'.repeat(16)} 00 50`, { address: bytes('11'.repeat(16)), port: 80, length: 22 }],
  ])('%s grants the request, and not before its last byte', (text, expected) => {
    const whole = bytes(text);
    for (let length = 0; length < whole.length; length++)
      expect(parseSocksReply(whole.subarray(0, length))).toBeUndefined();
    const reply = parseSocksReply(Buffer.concat([whole, bytes('ffff')]));
    expect(reply).toMatchObject({ type: 'granted', port: expected.port, length: expected.length });
    expect(reply?.type === 'granted' && reply.address && hex(reply.address)).toBe(
      expected.address && hex(expected.address),
    );
  });

  it.each([
    ['05 05', { type: 'refused', reply: 5, text: 'connection refused' }],
    ['05 08 00 01 00 00 00 00 00 00', { type: 'refused', reply: 8, text: 'address type not supported' }],
    ['05 ff', { type: 'refused', reply: 255, text: 'unknown reason' }],
    ['04', { type: 'bad', problem: 'version' }],
    ['05 00 00 02', { type: 'bad', problem: 'address-type' }],
  ])('%s is no', (text, expected) => {
    expect(parseSocksReply(bytes(text))).toEqual(expected);
  });

  it.each([
    ['01 00', true],
    ['05 00', true],
    ['01 01', false],
    ['05 ff', false],
    ['00 00', false],
  ])('%s to a login is granted: %s', (text, granted) => {
    const answer = parseSocksAnswer(bytes(text));
    expect(answer && isLoginGranted(answer)).toBe(granted);
  });

  it('in one byte is not all there', () => {
    expect(parseSocksAnswer(bytes('05'))).toBeUndefined();
  });

  it('in any bytes is read without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (any) => {
        const reply = parseSocksReply(any);
        if (reply?.type === 'granted') expect(reply.length).toBeLessThanOrEqual(any.length);
      }),
    );
  });
});
