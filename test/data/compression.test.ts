import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameUncompressed, unframe } from '../../src/data/compression.ts';
import type { CompressionFraming } from '../../src/data/plane.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';

const AT = 16;
const OUT = 1024;
const LIMIT = 500;

const take = (
  framing: CompressionFraming,
  decompress: 'none' | 'lzo' | 'lz4',
  packet: readonly number[] | Uint8Array,
) => {
  const bytes = new Uint8Array(4096);
  bytes.set(packet, AT);
  const span = { offset: AT, length: packet.length };
  const verdict = unframe(bytes, framing, decompress, span, OUT, LIMIT);
  return verdict === PASS ? Array.from(bytes.slice(span.offset, span.offset + span.length)) : dropCause(verdict);
};

describe('compression framing', () => {
  it('comes off as it was put on, for every payload', () => {
    const framings = fc.constantFrom<CompressionFraming>('none', 'comp-lzo', 'stub', 'stub-v2');
    const first = fc.constantFrom(0x45, 0x60, 0x50, 0xfa, 0xfb, 0x66, 0x69);
    fc.assert(
      fc.property(framings, first, fc.uint8Array({ maxLength: 60 }), (framing, lead, rest) => {
        const payload = [lead, ...rest];
        const bytes = new Uint8Array(256);
        bytes.set(payload, AT);
        const span = { offset: AT, length: payload.length };
        frameUncompressed(bytes, framing, span);
        expect(take(framing, 'none', bytes.slice(span.offset, span.offset + span.length))).toEqual(payload);
      }),
    );
  });

  it('escapes only a payload that starts with 50, as 50 00', () => {
    const bytes = Uint8Array.of(0, 0, 0x50, 7);
    const span = { offset: 2, length: 2 };
    frameUncompressed(bytes, 'stub-v2', span);
    expect([span, Array.from(bytes)]).toEqual([{ offset: 0, length: 4 }, [0x50, 0x00, 0x50, 7]]);
  });

  it.each<[CompressionFraming, 'none' | 'lzo' | 'lz4', number[], string]>([
    ['comp-lzo', 'none', [0x66, 1, 2], 'compressed'],
    ['comp-lzo', 'lz4', [0x66, 1, 2], 'compressed'],
    ['comp-lzo', 'lzo', [0x69, 1, 2], 'bad-compression'],
    ['comp-lzo', 'lzo', [0xfb, 1, 2], 'bad-compression'],
    ['comp-lzo', 'lzo', [0x66, 1, 2], 'bad-compression'],
    ['comp-lzo', 'lzo', [0x66], 'bad-compression'],
    ['stub', 'none', [0x69, 1, 2], 'compressed'],
    ['stub', 'lzo', [0x69, 1, 2], 'compressed'],
    ['stub', 'lz4', [0x66, 1, 2], 'bad-compression'],
    ['stub', 'lz4', [0x69], 'bad-compression'],
    ['stub', 'none', [0xfa, 1, 2], 'bad-compression'],
    ['stub-v2', 'none', [0x50, 0x01, 2], 'compressed'],
    ['stub-v2', 'lz4', [0x50, 0x01], 'bad-compression'],
    ['stub-v2', 'lz4', [0x50, 0x02, 1], 'bad-compression'],
    ['stub-v2', 'none', [0x50], 'bad-compression'],
    ['comp-lzo', 'none', [], 'bad-compression'],
    ['stub', 'none', [], 'bad-compression'],
    ['stub-v2', 'none', [], 'bad-compression'],
  ])('%s (opening %s) drops % j as %s', (framing, decompress, packet, cause) => {
    expect(take(framing, decompress, packet)).toBe(cause);
  });

  it('is none where none was negotiated: every byte is payload', () => {
    for (const lead of [0x66, 0x69, 0xfa, 0xfb, 0x50]) expect(take('none', 'lzo', [lead, 1])).toEqual([lead, 1]);
  });

  it('never decompresses more than the limit', () => {
    const bomb = [0x50, 0x01, 0x1f, 0x00, 0x01, 0x00, ...new Array<number>(200).fill(0xff), 0x00, 0x00];
    expect(take('stub-v2', 'lz4', bomb)).toBe('bad-compression');
  });
});
