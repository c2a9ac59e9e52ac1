// The Internet checksum over the packets' memory (AssemblyScript): the fast form of createPlainChecksum in src/ip/checksum.ts.
// scripts/build-wasm.mjs compiles it; src/linux/checksum.ts loads it.
//
// Words are added as the machine reads them, lower byte first; the sum of swapped words is the swapped sum, so the bytes
// are put in order once, at the end. 16 bytes at a time become four sums of 32 bits, each at most 2 * 0xffff more, so that
// they hold for any packet.

/** The folded sum of the 16-bit words at `offset`; an odd last byte counts as the upper half of a word. */
export function sum(offset: usize, length: usize): u32 {
  let lanes = i32x4.splat(0);
  let at = offset;
  const end = offset + length;
  while (at + 64 <= end) {
    const a = i32x4.extadd_pairwise_i16x8_u(v128.load(at));
    const b = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16));
    const c = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 32));
    const d = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 48));
    lanes = i32x4.add(lanes, i32x4.add(i32x4.add(a, b), i32x4.add(c, d)));
    at += 64;
  }
  while (at + 16 <= end) {
    lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
    at += 16;
  }
  let total = sumLanes(lanes);
  while (at + 2 <= end) {
    total += load<u16>(at);
    at += 2;
  }
  if (at < end) total += load<u8>(at);
  return foldSwapped(total);
}

/**
 * Copies `headerBytes` at `header` and then `payloadBytes` at `payload` next to each other to `out`, and gives the folded
 * sum of the payload. The target must not overlap what is copied.
 */
export function copySegment(header: usize, headerBytes: usize, payload: usize, payloadBytes: usize, out: usize): u32 {
  copy(header, headerBytes, out);
  let to = out + headerBytes;
  let lanes = i32x4.splat(0);
  let at = payload;
  const end = payload + payloadBytes;
  while (at + 64 <= end) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const c = v128.load(at, 32);
    const d = v128.load(at, 48);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
    const ab = i32x4.add(i32x4.extadd_pairwise_i16x8_u(a), i32x4.extadd_pairwise_i16x8_u(b));
    const cd = i32x4.add(i32x4.extadd_pairwise_i16x8_u(c), i32x4.extadd_pairwise_i16x8_u(d));
    lanes = i32x4.add(lanes, i32x4.add(ab, cd));
    at += 64;
    to += 64;
  }
  while (at + 16 <= end) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(bytes));
    at += 16;
    to += 16;
  }
  let total = sumLanes(lanes);
  while (at + 2 <= end) {
    const word = load<u16>(at);
    store<u16>(to, word);
    total += word;
    at += 2;
    to += 2;
  }
  if (at < end) {
    const byte = load<u8>(at);
    store<u8>(to, byte);
    total += byte;
  }
  return foldSwapped(total);
}

function copy(from: usize, length: usize, to: usize): void {
  const end = from + length;
  while (from + 16 <= end) {
    v128.store(to, v128.load(from));
    from += 16;
    to += 16;
  }
  while (from + 4 <= end) {
    store<u32>(to, load<u32>(from));
    from += 4;
    to += 4;
  }
  while (from < end) {
    store<u8>(to, load<u8>(from));
    from++;
    to++;
  }
}

function sumLanes(lanes: v128): u64 {
  const low = <u64>(<u32>i32x4.extract_lane(lanes, 0)) + <u64>(<u32>i32x4.extract_lane(lanes, 1));
  const high = <u64>(<u32>i32x4.extract_lane(lanes, 2)) + <u64>(<u32>i32x4.extract_lane(lanes, 3));
  return low + high;
}

/** Carries folded in, bytes swapped into the network's order. */
function foldSwapped(total: u64): u32 {
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  return (<u32>total >> 8) | ((<u32>total & 0xff) << 8);
}
