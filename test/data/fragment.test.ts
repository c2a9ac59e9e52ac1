import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createArena } from '../../src/data/arena.ts';
import { fragmentSize, INCOMPLETE, MAX_FRAGMENTS, Reassembly, writePartHeader } from '../../src/data/fragment.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';

const OUT = 4096;

const receiver = (maxPacketBytes = 2000) => {
  const { bytes, view } = createArena(16_384);
  const reassembly = new Reassembly(maxPacketBytes);
  const accept = (payload: Uint8Array, nowMs = 0) => {
    bytes.set(payload, 64);
    const span = { offset: 64, length: payload.length };
    const verdict = reassembly.accept(bytes, view, span, OUT, nowMs);
    if (verdict === INCOMPLETE) return 'incomplete';
    return verdict === PASS ? bytes.slice(span.offset, span.offset + span.length) : dropCause(verdict);
  };
  return accept;
};

const part = (sequence: number, index: number, size: number, last: boolean, body: Uint8Array) => {
  const bytes = new Uint8Array(4 + body.length);
  writePartHeader(new DataView(bytes.buffer), 0, sequence, index, size, last);
  bytes.set(body, 4);
  return bytes;
};

const split = (packet: Uint8Array, size: number, sequence: number) =>
  Array.from({ length: Math.ceil(packet.length / size) }, (_, index) => {
    const body = packet.slice(index * size, (index + 1) * size);
    return part(sequence, index, size, (index + 1) * size >= packet.length, body);
  });

const numbered = (length: number, start = 0) => Uint8Array.from({ length }, (_, index) => (start + index * 3) & 0xff);

describe('fragments', () => {
  it('have a size that is a multiple of 4, fits, and needs no more parts than it must', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: -10, max: 2000 }), (length, max) => {
        const size = fragmentSize(length, max);
        if (size === 0) {
          expect(max < 4 || Math.ceil(length / (max & ~3)) > MAX_FRAGMENTS).toBe(true);
          return;
        }
        expect(size % 4).toBe(0);
        expect(size).toBeLessThanOrEqual(max);
        expect(Math.ceil(length / size)).toBe(Math.ceil(length / (max & ~3)));
      }),
    );
  });

  it('come together in any order, several packets at once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 30, max: 1900 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 16, max: 300 }),
        fc.infiniteStream(fc.nat()),
        (lengths, rawSize, random) => {
          const size = rawSize & ~3;
          const packets = lengths.map((length, index) => numbered(Math.min(length, size * 32), index));
          const parts = packets.flatMap((packet, sequence) => split(packet, size, sequence));
          const order = parts.map((one) => ({ one, key: random.next().value as number })).sort((a, b) => a.key - b.key);
          const accept = receiver();
          const whole = order.map(({ one }) => accept(one)).filter((result) => typeof result !== 'string');
          expect(whole.length).toBe(packets.length);
          for (const packet of packets) expect(whole).toContainEqual(packet);
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each(Array.from({ length: MAX_FRAGMENTS }, (_, index) => index + 1))(
    'of a packet of %i come together in any order',
    (count) => {
      const packet = numbered(count * 8 - 3);
      const parts = split(packet, 8, 3);
      expect(parts).toHaveLength(count);
      const indexes = fc.shuffledSubarray([...parts.keys()], { minLength: count });
      fc.assert(
        fc.property(indexes, (order) => {
          const accept = receiver();
          const results = order.map((index) => accept(parts[index]!));
          expect(results.pop()).toEqual(packet);
          expect(results.every((result) => result === 'incomplete')).toBe(true);
        }),
        { numRuns: 20, examples: [[[...parts.keys()]], [[...parts.keys()].reverse()]] },
      );
    },
  );

  const body = numbered(8);
  it.each([
    ['a part of no length', part(1, 0, 8, false, new Uint8Array(0))],
    ['a part whose length is no multiple of 4', part(1, 0, 8, false, numbered(6))],
    ['a last part of size zero', part(1, 1, 0, true, body)],
    ['a last part longer than its size', part(1, 1, 4, true, body)],
    ['a part beyond the largest packet', part(1, 31, 8, true, body)],
    ['the unused type', Uint8Array.of(0, 0, 0, 3, ...body)],
    ['a whole packet with a sequence', Uint8Array.of(0, 0, 0, 4, ...body)],
    ['half a header', Uint8Array.of(0, 0, 0)],
  ])('are refused: %s', (_name, bytes) => {
    expect(receiver(200)(bytes)).toBe('bad-fragment');
  });

  it('are taken once; a second part of the same index changes nothing', () => {
    const accept = receiver();
    expect(accept(part(1, 0, 8, false, body))).toBe('incomplete');
    expect(accept(part(1, 0, 8, false, numbered(8, 99)))).toBe('bad-fragment');
    expect(accept(part(1, 1, 8, true, numbered(4)))).toEqual(Uint8Array.of(...body, ...numbered(4)));
  });

  it('behind the last part are refused, and a last part below others too', () => {
    const accept = receiver();
    expect(accept(part(1, 1, 8, true, body))).toBe('incomplete');
    expect(accept(part(1, 2, 8, false, body))).toBe('bad-fragment');
    expect(accept(part(2, 2, 8, false, body))).toBe('incomplete');
    expect(accept(part(2, 1, 8, true, body))).toBe('bad-fragment');
  });

  it('of another size begin the packet anew', () => {
    const accept = receiver();
    expect(accept(part(1, 0, 8, false, body))).toBe('incomplete');
    expect(accept(part(1, 1, 4, true, numbered(4)))).toBe('incomplete');
    expect(accept(part(1, 0, 4, false, numbered(4, 50)))).toEqual(Uint8Array.of(...numbered(4, 50), ...numbered(4)));
  });

  it('that are ten seconds old are not joined with new ones', () => {
    const accept = receiver();
    expect(accept(part(1, 0, 8, false, body), 0)).toBe('incomplete');
    expect(accept(part(1, 1, 8, true, body), 10_000)).toBe('incomplete');
  });

  it('of a sequence number that has come round are not joined with old ones', () => {
    const accept = receiver();
    expect(accept(part(1, 0, 8, false, body))).toBe('incomplete');
    for (let sequence = 2; sequence < 257; sequence++) {
      expect(accept(part(sequence & 0xff, 0, 8, true, body))).toEqual(body);
    }
    expect(accept(part(1, 1, 8, true, body))).toBe('incomplete');
  });

  it('never throw nor write outside, whatever comes', () => {
    const accept = receiver(600);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const result = accept(bytes);
        if (typeof result !== 'string') expect(result.length).toBeLessThanOrEqual(600);
      }),
      { numRuns: 3000 },
    );
  });
});
