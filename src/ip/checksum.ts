// The Internet checksum (RFC 1071), and its change when one word of what it covers changes (RFC 1624).

/** Adds the 16-bit words at `offset` to a running sum; an odd last byte counts as the upper half of a word. */
export function sumWords(view: DataView, offset: number, length: number, sum: number): number {
  const even = offset + (length & ~1);
  for (let at = offset; at < even; at += 2) sum += view.getUint16(at);
  return (length & 1) === 0 ? sum : sum + (view.getUint8(even) << 8);
}

/** The checksum field for a running sum: carries folded in, complemented. */
export function finishChecksum(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The sum of the pseudo header that TCP, UDP and ICMPv6 checksums cover; `source` and `destination` are next to each other. */
export function sumPseudoHeader(
  view: DataView,
  source: number,
  addressBytes: number,
  protocol: number,
  length: number,
): number {
  return sumWords(view, source, 2 * addressBytes, protocol + length);
}

/** The checksum field after the covered 16-bit word `before` has become `after`. */
export function adjustChecksum(checksum: number, before: number, after: number): number {
  return finishChecksum((~checksum & 0xffff) + (~before & 0xffff) + after);
}
