// LZ4 block decoder, bounded at both ends. A block is a row of sequences:
//
//   token: literals 4 bits, match - 4 4 bits (15: more length bytes follow, each 255 goes on)
//   [length bytes] literals | offset u16 little-endian | [length bytes]
//
// The last sequence ends after its literals. Source: the LZ4 block format description.

const MIN_MATCH = 4;
const LONG = 15;

/** Decodes `length` bytes at `from` to `to`, at most `limit` bytes; returns how many, or -1 for a bad block. */
export function decodeLz4(bytes: Uint8Array, from: number, length: number, to: number, limit: number): number {
  const inputEnd = from + length;
  const outputEnd = to + limit;
  let input = from;
  let output = to;
  while (input < inputEnd) {
    const token = bytes[input++]!;

    let literals = token >> 4;
    if (literals === LONG) {
      let more: number;
      do {
        if (input >= inputEnd) return -1;
        more = bytes[input++]!;
        literals += more;
      } while (more === 0xff);
    }
    if (literals > inputEnd - input || literals > outputEnd - output) return -1;
    bytes.copyWithin(output, input, input + literals);
    input += literals;
    output += literals;
    if (input === inputEnd) return output - to;

    if (inputEnd - input < 2) return -1;
    const distance = bytes[input]! | (bytes[input + 1]! << 8);
    input += 2;
    if (distance === 0 || distance > output - to) return -1;
    let match = (token & 0x0f) + MIN_MATCH;
    if (match === LONG + MIN_MATCH) {
      let more: number;
      do {
        if (input >= inputEnd) return -1;
        more = bytes[input++]!;
        match += more;
      } while (more === 0xff);
    }
    if (match > outputEnd - output) return -1;
    // A match may reach into its own output, so it is copied byte by byte.
    for (const end = output + match; output < end; output++) bytes[output] = bytes[output - distance]!;
  }
  return -1;
}
