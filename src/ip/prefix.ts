// Network prefixes: text as configuration and ports pass them on, bytes as the data plane looks them up.

import { type AddressBytes, formatAddress, parseAddress } from './address.ts';

/** `10.8.0.0/24`, `fd00::/64`: canonical text, host bits zero. */
export type PrefixText = string;

/** A network: an address with its host bits zero, and how many bits name the network. */
export interface Prefix {
  readonly address: AddressBytes;
  readonly length: number;
}

/** Reads `10.8.0.0/24` or a lone address (then all its bits). Host bits are cleared. Undefined for anything else. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  if (slash < 0) return { address, length: address.length * 8 };
  const lengthText = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  if (length > address.length * 8) return undefined;
  return { address: networkOf(address, length), length };
}

/** Writes the canonical text, host bits cleared. */
export function formatPrefix(prefix: Prefix): PrefixText {
  return `${formatAddress(networkOf(prefix.address, prefix.length))}/${prefix.length}`;
}

/** The address with all bits after the first `length` cleared. */
export function networkOf(address: AddressBytes, length: number): AddressBytes {
  const network = new Uint8Array(address.length);
  for (let index = 0; index < address.length; index++) network[index] = address[index]! & maskByte(index, length);
  return network;
}

/** The address with all bits after the first `length` set: an IPv4 network's broadcast address. */
export function lastAddressOf(address: AddressBytes, length: number): AddressBytes {
  const last = new Uint8Array(address.length);
  for (let index = 0; index < address.length; index++)
    last[index] = address[index]! | (~maskByte(index, length) & 0xff);
  return last;
}

/** Whether the address is in the network; false across families. */
export function prefixContains(prefix: Prefix, address: AddressBytes): boolean {
  if (prefix.address.length !== address.length) return false;
  for (let index = 0; index < address.length; index++) {
    if (((prefix.address[index]! ^ address[index]!) & maskByte(index, prefix.length)) !== 0) return false;
  }
  return true;
}

/** Whether the prefixes together hold every address of `target`. */
export function prefixesCover(prefixes: readonly Prefix[], target: Prefix): boolean {
  const { address, length } = target;
  const same = prefixes.filter((prefix) => prefix.address.length === address.length);
  if (same.some((prefix) => prefix.length <= length && prefixContains(prefix, address))) return true;
  const inside = same.filter((prefix) => prefix.length > length && prefixContains(target, prefix.address));
  if (inside.length < 2 || length === address.length * 8) return false;
  const upper = Uint8Array.from(address);
  upper[length >> 3]! |= 0x80 >> (length & 7);
  return [address, upper].every((half) => prefixesCover(inside, { address: half, length: length + 1 }));
}

/** The prefix length of a netmask (`255.255.255.0` is 24); undefined when its ones are not contiguous. */
export function netmaskToLength(mask: AddressBytes): number | undefined {
  let length = 0;
  while (length < mask.length * 8 && (mask[length >> 3]! & (0x80 >> (length & 7))) !== 0) length++;
  for (let index = 0; index < mask.length; index++) if (mask[index] !== maskByte(index, length)) return undefined;
  return length;
}

/** The netmask of a prefix length, 4 bytes for IPv4 and 16 for IPv6. */
export function lengthToNetmask(length: number, family: 4 | 6): AddressBytes {
  const mask = new Uint8Array(family === 4 ? 4 : 16);
  for (let index = 0; index < mask.length; index++) mask[index] = maskByte(index, length);
  return mask;
}

/** The mask bits that fall into one byte of an address. */
function maskByte(index: number, length: number): number {
  const bits = length - index * 8;
  if (bits >= 8) return 0xff;
  return bits <= 0 ? 0 : (0xff00 >> bits) & 0xff;
}
