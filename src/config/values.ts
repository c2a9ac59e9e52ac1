// Single values as the C program reads them: integers, addresses, names, fingerprints.

import ipaddr from 'ipaddr.js';
import type { Say } from './findings.ts';

const INT_MAX = 0x7fffffff;

/** A decimal integer with optional sign, the empty word counting as 0; undefined for anything else or beyond 2^53. */
export function integerOf(text: string): number | undefined {
  if (text === '') return 0;
  if (!/^\s*[+-]?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** A non-negative integer; 0 after a complaint, which is what the C program goes on with. */
export function nonNegative(text: string, say: Say): number {
  const value = integerOf(text);
  if (value !== undefined && value >= 0 && value <= INT_MAX) return value;
  say.error(`Cannot parse argument '${shown(text)}' as non-negative integer`);
  return 0;
}

/** A non-negative integer of 64 bits in C, 53 here; undefined after a complaint. */
export function nonNegativeLong(text: string, name: string, say: Say): number | undefined {
  const value = integerOf(text);
  if (value !== undefined && value >= 0) return value;
  say.error(`${name}: Cannot parse '${shown(text)}' as non-negative integer`);
  return undefined;
}

/** An integer; 0 after a complaint. */
export function integer(text: string, say: Say): number {
  const value = integerOf(text);
  if (value !== undefined && Math.abs(value) <= INT_MAX) return value;
  say.error(`Cannot parse argument '${shown(text)}' as integer`);
  return 0;
}

/** An integer between two bounds; undefined after a complaint. */
export function constrained(text: string, name: string, min: number, max: number, say: Say): number | undefined {
  const value = integerOf(text);
  if (value === undefined || Math.abs(value) > INT_MAX) {
    say.error(`${name}: Cannot parse '${shown(text)}' as integer`);
    return undefined;
  }
  if (value < min || value > max) {
    say.error(
      max === INT_MAX
        ? `${name}: Must be an integer >= ${min}, not ${value}`
        : `${name}: Must be an integer between ${min} and ${max}, not ${value}`,
    );
    return undefined;
  }
  return value;
}

export { INT_MAX };

/** Four decimal numbers with dots. */
export const isIpv4 = (text: string): boolean => text.length <= 15 && ipaddr.IPv4.isValidFourPartDecimal(text);

/** An IPv6 address without scope and without prefix length. */
export const isIpv6 = (text: string): boolean => !/[%/]/.test(text) && ipaddr.IPv6.isValid(text);

/** `address/bits` with bits up to 128; undefined for anything else. Without `/bits` the length is 128. */
export function ipv6Prefix(text: string): { readonly address: string; readonly prefixLength: number } | undefined {
  const [address = '', bits, ...rest] = text.split('/');
  if (rest.length > 0 || !isIpv6(address)) return undefined;
  if (bits === undefined) return { address, prefixLength: 128 };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > 128) return undefined;
  return { address, prefixLength: Number(bits) };
}

/** Letters, digits, dash and dot: what may be handed to a resolver. */
const isHostName = (text: string): boolean => /^[A-Za-z0-9.-]{1,255}$/.test(text);

/** An address, or a name where names are allowed. */
export const isAddressOrName = (text: string, allowName: boolean): boolean =>
  isIpv4(text) || (allowName && isHostName(text));

/** Gateways by their role. */
export const isSpecialGateway = (text: string): boolean =>
  text === 'vpn_gateway' || text === 'net_gateway' || text === 'remote_host';

/** A domain as DNS options take it: no character that a shell or a resolver file would read as something else. */
export const isDomain = (text: string): boolean => /^[A-Za-z0-9._-]+$/.test(text) || /^[\p{L}\p{N}._-]+$/u.test(text);

/**
 * A port: number or service name. The C program resolves it when it connects; what can never be one is refused here.
 */
export const isPort = (text: string): boolean =>
  /^\d+$/.test(text) ? Number(text) <= 65535 : /^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(text);

/** Hexadecimal bytes, two digits each with colons between; undefined unless there are exactly `length`. */
export function fingerprintOf(text: string, length: number): Uint8Array | undefined {
  const parts = text.split(':');
  if (parts.length !== length || parts.some((part) => !/^[0-9A-Fa-f]{2}$/.test(part))) return undefined;
  return Uint8Array.from(parts, (part) => Number.parseInt(part, 16));
}

/** A value from outside as it may stand in a message: no control characters, not longer than 64. */
export const shown = (text: string): string => {
  const clean = text.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]/g, '_');
  return clean.length > 64 ? `${clean.slice(0, 64)}…` : clean;
};
