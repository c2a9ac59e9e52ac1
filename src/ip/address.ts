// Inner and outer addresses, prefixes and packets as bytes. The room knows no protocol above IP and no platform: text
// goes in and out through `address.ts`, `prefix.ts` and `socket-address.ts`, packets are looked at in place by
// `packet.ts`, and `prefix-table.ts` answers whose packet it is.

import ipaddr from 'ipaddr.js';

/** Four bytes of IPv4 or sixteen of IPv6, network order. */
export type AddressBytes = Uint8Array;

/** Reads `10.8.0.1` or `fd00::1` as `inet_pton` does: no octal, no short forms, no scope. Undefined for anything else. */
export function parseAddress(text: string): AddressBytes | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray());
  }
  if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text)) {
    return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
  }
  return undefined;
}

/** Writes 4 or 16 bytes as `inet_ntop` does; throws for any other length. */
export function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  if (isV4MappedAddress(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  return new ipaddr.IPv6(Array.from(bytes)).toRFC5952String();
}

/** Whether 16 bytes hold an IPv4 address as `::ffff:a.b.c.d`. */
export function isV4MappedAddress(bytes: AddressBytes): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return true;
}

/** Whether two addresses are of one family and the same bytes. */
export function sameAddress(a: AddressBytes, b: AddressBytes): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether every byte is zero (`0.0.0.0`, `::`). */
export function isUnspecified(bytes: AddressBytes): boolean {
  return bytes.every((byte) => byte === 0);
}
