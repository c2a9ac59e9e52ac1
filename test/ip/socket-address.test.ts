import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import {
  formatLogAddress,
  formatSocketAddress,
  isV4Mapped,
  mapSocketAddress,
  sameSocketAddress,
  socketAddress,
  unmapSocketAddress,
} from '../../src/ip/socket-address.ts';

const at = (text: string, port: number, scopeId = 0) => socketAddress(parseAddress(text)!, port, scopeId);

describe('socket address', () => {
  it('prints as the C program logs it', () => {
    expect(formatLogAddress(at('1.2.3.4', 1194))).toBe('[AF_INET]1.2.3.4:1194');
    expect(formatLogAddress(at('fd00::1', 1194))).toBe('[AF_INET6]fd00::1:1194');
    expect(formatLogAddress(at('::ffff:1.2.3.4', 1194))).toBe('[AF_INET6]::ffff:1.2.3.4:1194');
    expect(formatLogAddress(at('0.0.0.0', 0))).toBe('[AF_INET][undef]:0');
    expect(formatLogAddress(at('::', 1194))).toBe('[AF_INET6][undef]:1194');
  });

  it('prints with brackets where a reader could not tell address and port apart', () => {
    expect(formatSocketAddress(at('1.2.3.4', 1194))).toBe('1.2.3.4:1194');
    expect(formatSocketAddress(at('fd00::1', 1194))).toBe('[fd00::1]:1194');
    expect(formatSocketAddress(at('fe80::1', 1194, 3))).toBe('[fe80::1%3]:1194');
  });

  it('is the same only with family, address, port and scope', () => {
    expect(sameSocketAddress(at('1.2.3.4', 1), at('1.2.3.4', 1, 7))).toBe(true);
    expect(sameSocketAddress(at('1.2.3.4', 1), at('1.2.3.4', 2))).toBe(false);
    expect(sameSocketAddress(at('1.2.3.4', 1), at('1.2.3.5', 1))).toBe(false);
    expect(sameSocketAddress(at('1.2.3.4', 1), at('::ffff:1.2.3.4', 1))).toBe(false);
    expect(sameSocketAddress(at('fe80::1', 1, 2), at('fe80::1', 1, 3))).toBe(false);
  });

  it('takes an IPv4 address out of its mapped form and puts it back', () => {
    const mapped = at('::ffff:1.2.3.4', 5);
    expect(isV4Mapped(mapped)).toBe(true);
    expect(isV4Mapped(at('::fffe:1.2.3.4', 5))).toBe(false);
    expect(unmapSocketAddress(mapped)).toEqual(at('1.2.3.4', 5));
    expect(mapSocketAddress(at('1.2.3.4', 5))).toEqual(mapped);
    expect(unmapSocketAddress(at('fd00::1', 5))).toEqual(at('fd00::1', 5));
  });
});
