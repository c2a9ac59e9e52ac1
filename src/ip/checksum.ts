// The Internet checksum (RFC 1071), and its change when one word of what it covers changes (RFC 1624).

/** Adds the 16-bit words at `offset` to a running sum; an odd last byte counts as the upper half of a word. */
export function sumWords(view: DataView, offset: number, length: number, sum: number): number {
  const even = offset + (length & ~1);
  for (let at = offset; at < even; at += 2) sum += view.getUint16(at);
  return (length & 1) === 0 ? sum : sum + (view.getUint8(even) << 8);
}

/** A running sum, below 2^32, with its carries folded in: 0 to 0xffff. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum field for a running sum: carries folded in, complemented. */
export function finishChecksum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
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

/** Sums over one memory of packets, offsets counted from its first byte. Its fast form is linux/checksum.ts. */
export interface ChecksumEngine {
  /** The folded sum of the 16-bit words at `offset`; an odd last byte counts as the upper half of a word. */
  sum(offset: number, length: number): number;
  /**
   * Copies `headerBytes` at `header` and then `payloadBytes` at `payload` next to each other to `out`, and gives the folded
   * sum of the payload. The target must not overlap what is copied.
   */
  copySegment(header: number, headerBytes: number, payload: number, payloadBytes: number, out: number): number;
}

/** The engine without WebAssembly. */
export function createPlainChecksum(bytes: Uint8Array, view: DataView): ChecksumEngine {
  return {
    sum: (offset, length) => foldSum(sumWords(view, offset, length, 0)),
    copySegment(header, headerBytes, payload, payloadBytes, out) {
      bytes.copyWithin(out, header, header + headerBytes);
      bytes.copyWithin(out + headerBytes, payload, payload + payloadBytes);
      return foldSum(sumWords(view, payload, payloadBytes, 0));
    },
  };
}
