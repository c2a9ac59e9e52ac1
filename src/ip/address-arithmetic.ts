// Counting on addresses: pools and macros say "the second address of the network" and mean a sum.

import { type AddressBytes, formatAddress, parseAddress } from './address.ts';

/** `10.8.0.1` as an unsigned number of 32 bits; undefined for anything that is no IPv4 address. */
export function ipv4ToNumber(text: string): number | undefined {
  const bytes = parseAddress(text);
  if (bytes?.length !== 4) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** An unsigned number of 32 bits as `10.8.0.1`; what is beyond is cut off. */
export function ipv4FromNumber(value: number): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0);
  return formatAddress(bytes);
}

/** The address `count` places further, of either family, wrapping around at its end; `count` is a whole number from 0. */
export function addressPlus(address: AddressBytes, count: number): AddressBytes {
  const sum = Uint8Array.from(address);
  let carry = count;
  for (let index = sum.length - 1; index >= 0 && carry > 0; index--) {
    carry += sum[index]!;
    sum[index] = carry % 256;
    carry = Math.floor(carry / 256);
  }
  return sum;
}
