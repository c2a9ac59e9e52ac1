import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { addressPlus, ipv4FromNumber, ipv4ToNumber } from '../../src/ip/address-arithmetic.ts';

const plus = (text: string, count: number): string => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return formatAddress(addressPlus(address, count));
};

describe('counting on addresses', () => {
  it.each([
    ['10.8.0.0', 1, '10.8.0.1'],
    ['10.8.0.255', 1, '10.8.1.0'],
    ['10.255.255.254', 3, '11.0.0.1'],
    ['255.255.255.255', 1, '0.0.0.0'],
    ['fd00::', 0x1000, 'fd00::1000'],
    ['fd00::ffff:ffff', 1, 'fd00::1:0:0'],
    ['fd00::ffff', 0x10001, 'fd00::2:0'],
    ['10.8.0.7', 0, '10.8.0.7'],
  ])('%s and %i more is %s', (text, count, sum) => {
    expect(plus(text, count)).toBe(sum);
  });

  it('leaves the address that it was given as it was', () => {
    const address = Uint8Array.of(10, 8, 0, 255);
    addressPlus(address, 1);
    expect(address).toEqual(Uint8Array.of(10, 8, 0, 255));
  });

  it.each([
    ['0.0.0.0', 0],
    ['10.8.0.1', 0x0a080001],
    ['255.255.255.255', 0xffffffff],
  ])('%s is a number', (text, value) => {
    expect(ipv4ToNumber(text)).toBe(value);
    expect(ipv4FromNumber(value)).toBe(text);
  });

  it('has no number for what is no IPv4 address', () => {
    for (const text of ['', '10.8.0', '10.8.0.256', 'fd00::1', 'a']) expect(ipv4ToNumber(text), text).toBeUndefined();
  });
});
