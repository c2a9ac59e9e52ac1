// LZO1X decoder, bounded at both ends. Source: the stream description in the Linux kernel documentation (staging/lzo).
//
// A stream is a row of instructions. S, the last two bits of a match, is the number of literals that follow it, and
// decides what an instruction below 16 means next ("state": 0, 1..3, or 4 after a literal run):
//
//   first byte 18..255   literals: byte - 17; then state 1..3, or 4 from 4 literals on
//   0000LLLL  state 0    literal run of 3 + L (L = 0: 18 + 255 * zeros + byte), then state 4
//   0000DDSS  state 1-3  match 2, distance 1 + D + 4 * next
//   0000DDSS  state 4    match 3, distance 2049 + D + 4 * next
//   0001HLLL             match 2 + L (0: 9 + ...), distance 16384 + 16384 * H + u14; distance 16384 is the end
//   001LLLLL             match 2 + L (0: 33 + ...), distance 1 + u14
//   01LDDDSS             match 3 + L, distance 1 + D + 8 * next
//   1LLDDDSS             match 5 + L, distance 1 + D + 8 * next
//
//   u14 and S: two bytes little-endian, D << 2 | S.

const AFTER_LITERAL_RUN = 4;

/** Decodes `length` bytes at `from` to `to`, at most `limit` bytes; returns how many, or -1 for a bad stream. */
export function decodeLzo(bytes: Uint8Array, from: number, length: number, to: number, limit: number): number {
  const inputEnd = from + length;
  const outputEnd = to + limit;
  let input = from;
  let output = to;
  let state = 0;

  // Literals that the current instruction asks for, copied at the end of each round.
  let literals = 0;
  if (length > 0 && bytes[input]! > 17) {
    literals = bytes[input++]! - 17;
    state = Math.min(literals, AFTER_LITERAL_RUN);
    if (literals > inputEnd - input || literals > outputEnd - output) return -1;
    bytes.copyWithin(output, input, input + literals);
    input += literals;
    output += literals;
  }

  while (input < inputEnd) {
    const instruction = bytes[input++]!;
    let match = 0;
    let distance = 0;

    if (instruction >= 64) {
      if (input >= inputEnd) return -1;
      match = instruction >= 128 ? 5 + ((instruction >> 5) & 3) : 3 + ((instruction >> 5) & 1);
      distance = 1 + ((instruction >> 2) & 7) + 8 * bytes[input++]!;
      literals = instruction & 3;
    } else if (instruction >= 16) {
      const shortest = instruction >= 32 ? 31 : 7;
      match = instruction & shortest;
      if (match === 0) {
        match = shortest;
        while (input < inputEnd && bytes[input] === 0) {
          match += 255;
          input++;
        }
        if (input >= inputEnd) return -1;
        match += bytes[input++]!;
      }
      match += 2;
      if (inputEnd - input < 2) return -1;
      const word = bytes[input]! | (bytes[input + 1]! << 8);
      input += 2;
      literals = word & 3;
      if (instruction >= 32) {
        distance = 1 + (word >> 2);
      } else {
        distance = 16384 + ((instruction & 8) << 11) + (word >> 2);
        if (distance === 16384) return match === 3 && input === inputEnd ? output - to : -1;
      }
    } else if (state === 0) {
      literals = instruction;
      if (literals === 0) {
        literals = 15;
        while (input < inputEnd && bytes[input] === 0) {
          literals += 255;
          input++;
        }
        if (input >= inputEnd) return -1;
        literals += bytes[input++]!;
      }
      literals += 3;
    } else {
      if (input >= inputEnd) return -1;
      match = state === AFTER_LITERAL_RUN ? 3 : 2;
      distance = (state === AFTER_LITERAL_RUN ? 2049 : 1) + (instruction >> 2) + 4 * bytes[input++]!;
      literals = instruction & 3;
    }

    if (match > 0) {
      if (distance > output - to || match > outputEnd - output) return -1;
      // A match may reach into its own output, so it is copied byte by byte.
      for (const end = output + match; output < end; output++) bytes[output] = bytes[output - distance]!;
      state = literals;
    } else {
      state = AFTER_LITERAL_RUN;
    }
    if (literals > inputEnd - input || literals > outputEnd - output) return -1;
    bytes.copyWithin(output, input, input + literals);
    input += literals;
    output += literals;
  }
  return -1;
}
