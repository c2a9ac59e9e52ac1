import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { COALESCER_BYTES, Coalescer } from '../../src/ip/coalesce.ts';
import { InnerPacket } from '../../src/ip/packet.ts';
import { Segmenter } from '../../src/ip/segment.ts';
import { createNativeArena } from '../../src/linux/arena.ts';
import { createFastChecksum, loadChecksum, readChecksumModule } from '../../src/linux/checksum.ts';
import { heapGrowth } from '../ip/heap-growth.ts';
import { payloadOf, superPacket } from '../ip/super-packets.ts';
import { checksumModulePath } from '../lab/checksum-module.ts';

const module = readChecksumModule(pathToFileURL(checksumModulePath()))!;
const arena = createNativeArena(COALESCER_BYTES + 300_000);
const { bytes, view } = arena;
const fast = createFastChecksum(module, arena)!;
const plain = createPlainChecksum(bytes, view);

const fill = (seed: number) => {
  let state = seed | 1;
  for (let index = 0; index < 300_000; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0;
    bytes[index] = state >>> 16;
  }
};

describe('the checksum in WebAssembly', () => {
  it('sums as the plain one at every offset and for every length up to a few blocks', () => {
    fill(1);
    for (let offset = 0; offset < 34; offset++) {
      for (let length = 0; length <= 200; length++) expect(fast.sum(offset, length)).toBe(plain.sum(offset, length));
    }
  });

  it('sums as the plain one for any bytes', () => {
    const seed = fc.integer({ min: 0, max: 1 << 30 });
    const place = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(
        seed,
        fc.array(fc.tuple(place, fc.integer({ min: 0, max: 65_535 })), { minLength: 50, maxLength: 50 }),
        (start, areas) => {
          fill(start);
          for (const [offset, length] of areas) expect(fast.sum(offset, length)).toBe(plain.sum(offset, length));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not overflow where every bit is set', () => {
    bytes.fill(0xff, 0, 200_000);
    for (const length of [65_535, 65_534, 64, 63, 1]) expect(fast.sum(3, length)).toBe(plain.sum(3, length));
    bytes.fill(0, 0, 200_000);
    expect(fast.sum(3, 65_535)).toBe(0);
  });

  it('copies as the plain one, header and payload next to each other, and touches nothing else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1000 }),
        fc.integer({ min: 0, max: 140 }),
        fc.integer({ min: 2000, max: 3000 }),
        fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 65_535 })),
        fc.integer({ min: 100_000, max: 100_100 }),
        (header, headerBytes, payload, payloadBytes, out) => {
          const end = out + headerBytes + payloadBytes;
          const after = [fast, plain].map((engine) => {
            bytes.fill(0xa5, 99_990, end + 20);
            const sum = engine.copySegment(header, headerBytes, payload, payloadBytes, out);
            return { sum, bytes: bytes.slice(99_990, end + 20) };
          });
          expect(after[0]!.sum).toBe(after[1]!.sum);
          expect(Buffer.compare(after[0]!.bytes, after[1]!.bytes)).toBe(0);
          expect(after[0]!.bytes.subarray(-20).every((byte) => byte === 0xa5)).toBe(true);
        },
      ),
      { numRuns: 3000, examples: [[0, 0, 2000, 0, 100_000]] },
    );
  });

  it('carries splitting and joining, and allocates nothing for a packet', () => {
    const [read, joinBuffer] = [1000, 320_000 - (320_000 % 16)];
    const segments = Array.from({ length: 46 }, (_, index) => 80_000 + index * 1600);
    const whole = superPacket({ version: 4, protocol: 'tcp', payload: payloadOf(64_000), gsoSize: 1400 });
    const inner = new InnerPacket();
    const segmenter = new Segmenter(view, fast);
    let correct = 0;
    const coalescer = new Coalescer({
      view,
      checksum: fast,
      buffer: joinBuffer,
      joinUdp: true,
      sink: {
        writeJoined: (offset, length, packets) => {
          if (packets === 46 && length === whole.length && view.getInt32(offset + 20) === view.getInt32(read + 20))
            correct++;
        },
      },
    });
    const run = () => {
      bytes.set(whole, read);
      const count = segmenter.begin(read, whole.length);
      for (let index = 0; index < count; index++) {
        const length = segmenter.next(segments[index]!);
        inner.parse(view, segments[index]!, length);
        coalescer.accept(inner, length);
      }
      coalescer.flush();
    };
    // 23,000 packets a measurement: one object of 16 bytes for each would be 368,000 bytes.
    expect(heapGrowth(run, 500, 180_000)).toBeLessThan(180_000);
    expect(correct).toBeGreaterThan(1000);
    expect(correct % 500).toBe(0);
  });
});

describe('loading', () => {
  it('takes the module where it is there and runs', () => {
    expect(loadChecksum(module, arena).fast).toBe(true);
  });

  it('falls back to the plain one without a module, and with one that this machine does not take', () => {
    expect(readChecksumModule(new URL('file:///no/such/checksum.wasm'))).toBeUndefined();
    for (const none of [undefined, Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9)]) {
      const loaded = loadChecksum(none, arena);
      expect(loaded.fast).toBe(false);
      bytes.set([0x12, 0x34, 0x56], 500);
      expect(loaded.engine.sum(500, 3)).toBe(0x6834);
    }
  });
});
