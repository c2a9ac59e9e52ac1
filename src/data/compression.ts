// Compression framing. Nothing is compressed on its way out; what peers compressed is opened where the settings allow.
//
//   comp-lzo   prepended: fa raw, 66 LZO
//   stub       byte 0 replaced and moved to the end: fb raw, 69 LZ4
//   stub-v2    nothing, or 50 xx prepended: 00 raw, 01 LZ4. OpenVPN writes 50 0a for a raw packet that starts with 50
//              (its option number in place of the wire's); both are read, 50 00 is written.

import type { PacketSpan } from './arena.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeLzo } from './lzo.ts';
import type { CompressionFraming, PeerSettings } from './plane.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

const RAW = 0xfa;
const RAW_SWAP = 0xfb;
const LZO = 0x66;
const LZ4_SWAP = 0x69;
const V2_INDICATOR = 0x50;
const V2_RAW = 0x00;
const V2_RAW_QUIRK = 0x0a;
const V2_LZ4 = 0x01;

const BAD_COMPRESSION = dropCode('bad-compression');
const COMPRESSED = dropCode('compressed');

/** Puts the framing of an uncompressed packet around the payload; it grows by 2 bytes at most. */
export function frameUncompressed(bytes: Uint8Array, framing: CompressionFraming, span: PacketSpan): void {
  switch (framing) {
    case 'none':
      return;
    case 'comp-lzo':
      span.offset -= 1;
      span.length += 1;
      bytes[span.offset] = RAW;
      return;
    case 'stub':
      bytes[span.offset + span.length] = bytes[span.offset]!;
      bytes[span.offset] = RAW_SWAP;
      span.length += 1;
      return;
    case 'stub-v2':
      if (bytes[span.offset] !== V2_INDICATOR) return;
      span.offset -= 2;
      span.length += 2;
      bytes[span.offset] = V2_INDICATOR;
      bytes[span.offset + 1] = V2_RAW;
      return;
    default:
      framing satisfies never;
  }
}

/**
 * Takes the framing off and decompresses where `decompress` allows it; the result is then at `out`, no longer than
 * `limit`, else where it was.
 */
export function unframe(
  bytes: Uint8Array,
  framing: CompressionFraming,
  decompress: PeerSettings['decompress'],
  span: PacketSpan,
  out: number,
  limit: number,
): Verdict {
  if (framing === 'none') return PASS;
  if (span.length === 0) return BAD_COMPRESSION;
  const first = bytes[span.offset]!;
  switch (framing) {
    case 'comp-lzo':
      span.offset += 1;
      span.length -= 1;
      if (first === RAW) return PASS;
      if (first !== LZO) return BAD_COMPRESSION;
      return decompress === 'lzo' ? decode(bytes, decodeLzo, span, out, limit) : COMPRESSED;
    case 'stub':
      span.length -= 1;
      bytes[span.offset] = bytes[span.offset + span.length]!;
      if (first === RAW_SWAP) return PASS;
      if (first !== LZ4_SWAP) return BAD_COMPRESSION;
      return decompress === 'lz4' ? decode(bytes, decodeLz4, span, out, limit) : COMPRESSED;
    case 'stub-v2': {
      if (first !== V2_INDICATOR) return PASS;
      if (span.length < 2) return BAD_COMPRESSION;
      const algorithm = bytes[span.offset + 1]!;
      span.offset += 2;
      span.length -= 2;
      if (algorithm === V2_RAW || algorithm === V2_RAW_QUIRK) return PASS;
      if (algorithm !== V2_LZ4) return BAD_COMPRESSION;
      return decompress === 'lz4' ? decode(bytes, decodeLz4, span, out, limit) : COMPRESSED;
    }
    default:
      framing satisfies never;
      return BAD_COMPRESSION;
  }
}

function decode(bytes: Uint8Array, decoder: typeof decodeLz4, span: PacketSpan, out: number, limit: number): Verdict {
  const length = decoder(bytes, span.offset, span.length, out, limit);
  if (length < 0) return BAD_COMPRESSION;
  span.offset = out;
  span.length = length;
  return PASS;
}
