import { describe, expect, it } from 'vitest';
import { formatMac, parseMac } from '../../src/ip/mac-address.ts';

describe('an Ethernet address', () => {
  it.each([
    ['02:00:00:00:00:01', [2, 0, 0, 0, 0, 1]],
    ['A:b:C:d:E:0f', [10, 11, 12, 13, 14, 15]],
  ])('is read from %s', (text, bytes) => {
    expect(parseMac(text)).toEqual(Uint8Array.from(bytes));
  });

  it.each([
    '',
    '02:00:00:00:00',
    '02:00:00:00:00:01:02',
    '02-00-00-00-00-01',
    '002:00:00:00:00:01',
    'g:0:0:0:0:0',
    ' 02:00:00:00:00:01',
  ])('is not %j', (text) => expect(parseMac(text)).toBeUndefined());

  it('is written with the VLAN behind', () => {
    expect(formatMac(Uint8Array.of(2, 0, 0, 0, 10, 1))).toBe('02:00:00:00:0a:01@0');
  });
});
