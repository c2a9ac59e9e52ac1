import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import {
  formatPrefix,
  lastAddressOf,
  lengthToNetmask,
  netmaskToLength,
  networkOf,
  parsePrefix,
  prefixContains,
  prefixesCover,
} from '../../src/ip/prefix.ts';

const address = (text: string) => parseAddress(text)!;

describe('prefix', () => {
  it.each([
    ['10.8.0.0/24', '10.8.0.0/24'],
    ['10.8.0.77/24', '10.8.0.0/24'],
    ['10.8.0.77', '10.8.0.77/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00::5/64', 'fd00::/64'],
    ['fd00::5', 'fd00::5/128'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
  ])('reads %s as %s', (text, canonical) => {
    expect(formatPrefix(parsePrefix(text)!)).toBe(canonical);
  });

  it.each(['10.8.0.0/33', '10.8.0.0/', '10.8.0.0/-1', '10.8.0.0/024', 'fd00::/129', '/24', '10.8.0.0/24/1'])(
    'refuses %s',
    (text) => {
      expect(parsePrefix(text)).toBeUndefined();
    },
  );

  it('contains the addresses whose network bits are its own', () => {
    const prefix = parsePrefix('10.8.4.0/22')!;
    expect(prefixContains(prefix, address('10.8.7.255'))).toBe(true);
    expect(prefixContains(prefix, address('10.8.8.0'))).toBe(false);
    expect(prefixContains(prefix, address('::10.8.4.0'))).toBe(false);
  });

  it.each<[string, readonly string[], boolean]>([
    ['0.0.0.0/0', ['0.0.0.0/1', '128.0.0.0/1'], true],
    ['0.0.0.0/0', ['0.0.0.0/1', '128.0.0.0/2', '192.0.0.0/2'], true],
    ['0.0.0.0/0', ['0.0.0.0/1', '128.0.0.0/2', '192.0.0.0/3'], false],
    ['0.0.0.0/0', ['::/0'], false],
    ['2000::/3', ['::/0'], true],
    ['2000::/3', ['2000::/4', '3000::/4'], true],
    ['2000::/3', ['2000::/4', '2000::/4'], false],
    ['10.8.0.0/32', ['10.8.0.0/32'], true],
    ['10.8.0.0/24', [], false],
  ])('%s is covered by %j: %s', (target, prefixes, covered) => {
    const parsed = prefixes.map((text) => parsePrefix(text)!);
    expect(prefixesCover(parsed, parsePrefix(target)!)).toBe(covered);
  });

  it('turns every length into a netmask and back', () => {
    for (let length = 0; length <= 32; length++) expect(netmaskToLength(lengthToNetmask(length, 4))).toBe(length);
    for (let length = 0; length <= 128; length++) expect(netmaskToLength(lengthToNetmask(length, 6))).toBe(length);
    expect(formatAddress(lengthToNetmask(22, 4))).toBe('255.255.252.0');
  });

  it('refuses a netmask with holes', () => {
    expect(netmaskToLength(address('255.0.255.0'))).toBeUndefined();
    expect(netmaskToLength(address('0.255.0.0'))).toBeUndefined();
  });

  it('gives a network its first and last address', () => {
    expect(formatAddress(networkOf(address('10.8.7.9'), 22))).toBe('10.8.4.0');
    expect(formatAddress(lastAddressOf(address('10.8.7.9'), 22))).toBe('10.8.7.255');
  });
});
