import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeLz4 } from '../../src/data/lz4.ts';
import { decodeLzo } from '../../src/data/lzo.ts';

const vectors = (file: string) =>
  readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', length = '', sha256 = '', block = ''] = line.split(' ');
      return { name, length: Number(length), sha256, block: Uint8Array.from(Buffer.from(block, 'hex')) };
    });

/** Decodes between two walls of guard bytes that must stay as they are. */
const decode = (decoder: typeof decodeLz4, block: Uint8Array, limit: number) => {
  const memory = new Uint8Array(block.length + limit + 64).fill(0xee);
  memory.set(block, 16);
  const out = 16 + block.length + 16;
  const length = decoder(memory, 16, block.length, out, limit);
  const untouched =
    length <= limit &&
    Buffer.compare(memory.subarray(16, 16 + block.length), block) === 0 &&
    memory.subarray(0, 16).every((byte) => byte === 0xee) &&
    memory.subarray(16 + block.length, out).every((byte) => byte === 0xee) &&
    memory.subarray(out + limit).every((byte) => byte === 0xee);
  if (!untouched) throw new Error('the decoder wrote outside of its bounds');
  return length < 0 ? undefined : memory.slice(out, out + length);
};

const RUNS = { numRuns: 300 };

describe.each([
  ['LZO1X', 'lzo1x.txt', decodeLzo],
  ['LZ4', 'lz4.txt', decodeLz4],
] as const)('%s decoder', (_name, file, decoder) => {
  const all = vectors(file);
  const small = all.filter(({ block }) => block.length < 1500);

  it.each(all)('decodes what the library made: $name', ({ block, length, sha256 }) => {
    const decoded = decode(decoder, block, length);
    expect(decoded).toHaveLength(length);
    expect(createHash('sha256').update(decoded!).digest('hex')).toBe(sha256);
  });

  it.each(all)('refuses to write one byte more than it may: $name', ({ block, length }) => {
    expect(decode(decoder, block, length - 1)).toBeUndefined();
  });

  it.each(small)('never takes a cut block for the whole: $name', ({ block, length }) => {
    for (let cut = 0; cut < block.length; cut++) {
      if (decode(decoder, block.slice(0, cut), length)?.length === length) expect.fail(`cut at ${cut}`);
    }
  });

  it('stays inside its bounds for mutated blocks', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...small),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        ({ block, length }, changes) => {
          const mutated = block.slice();
          for (const [at, byte] of changes) mutated[at % mutated.length] = byte;
          decode(decoder, mutated, length);
        },
      ),
      RUNS,
    );
  });

  it('stays inside its bounds for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, limit) => {
        decode(decoder, bytes, limit);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a match that begins before its own output', () => {
    const block = (distance: number) =>
      decoder === decodeLz4
        ? [0x10, 0x61, distance, 0, 0x10, 0x62]
        : [0x12, 0x61, 0x40 | ((distance - 1) << 2), 0, 0x11, 0, 0];
    expect(decode(decoder, Uint8Array.from(block(1)), 100)?.[1]).toBe(0x61);
    expect(decode(decoder, Uint8Array.from(block(2)), 100)).toBeUndefined();
  });

  if (decoder === decodeLzo) {
    it('ends with the end marker and nothing behind it', () => {
      expect(decode(decoder, Uint8Array.of(0x12, 0x61, 0x11, 0, 0), 10)).toEqual(Uint8Array.of(0x61));
      expect(decode(decoder, Uint8Array.of(0x12, 0x61, 0x11, 0, 0, 0), 10)).toBeUndefined();
      expect(decode(decoder, Uint8Array.of(0x12, 0x61, 0x12, 0, 0), 10)).toBeUndefined();
    });
  }

  it('ends a decompression bomb at its bound', () => {
    const bomb =
      decoder === decodeLz4
        ? [0x1f, 0, 1, 0, ...new Array<number>(4000).fill(255), 0]
        : [0x12, 0, 0x20, ...new Array<number>(4000).fill(0), 1, 0, 0, 0x11, 0, 0];
    expect(decode(decoder, Uint8Array.from(bomb), 1600)).toBeUndefined();
  });
});
