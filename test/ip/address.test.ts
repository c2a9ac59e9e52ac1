import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, isUnspecified, parseAddress } from '../../src/ip/address.ts';

describe('address text', () => {
  it.each([
    ['10.8.0.1', [10, 8, 0, 1]],
    ['255.255.255.255', [255, 255, 255, 255]],
    ['::1', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['fd00::1:0:0:2', [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2]],
    ['::ffff:1.2.3.4', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4]],
  ])('reads %s and writes it back', (text, bytes) => {
    const parsed = parseAddress(text);
    expect(Array.from(parsed ?? [])).toEqual(bytes);
    expect(formatAddress(Uint8Array.from(bytes))).toBe(text);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '010.0.0.1',
    '0x0a.0.0.1',
    '1.2.3.4 ',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
    'host',
    '1.2.3.4.5',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it('reads back every address that it writes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  it('throws for bytes that are no address', () => {
    expect(() => formatAddress(new Uint8Array(5))).toThrow(RangeError);
    expect(isUnspecified(new Uint8Array(16))).toBe(true);
  });
});
