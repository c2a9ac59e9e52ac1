import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReplayWindow } from '../../src/data/replay-window.ts';
import { dropCause, PASS } from '../../src/data/verdict.ts';

const say = (verdict: number) => (verdict === PASS ? 'pass' : dropCause(verdict));

describe('replay window', () => {
  it.each<[string, number, [id: number, second: number, verdict: string][]]>([
    [
      'takes each id once',
      64,
      [
        [1, 0, 'pass'],
        [2, 0, 'pass'],
        [2, 0, 'replay'],
        [1, 0, 'replay'],
        [3, 0, 'pass'],
      ],
    ],
    [
      'starts anywhere',
      64,
      [
        [1000, 0, 'pass'],
        [937, 0, 'pass'],
        [936, 0, 'too-old'],
        [1000, 0, 'replay'],
      ],
    ],
    [
      'takes the oldest id of the window and not the one before',
      4,
      [
        [10, 0, 'pass'],
        [7, 0, 'pass'],
        [6, 0, 'too-old'],
      ],
    ],
    [
      'forgets what a jump leaves behind',
      4,
      [
        [1, 0, 'pass'],
        [100, 0, 'pass'],
        [97, 0, 'pass'],
        [96, 0, 'too-old'],
        [1, 0, 'too-old'],
      ],
    ],
    [
      'does not take an id for the one a window ago',
      4,
      [
        [1, 0, 'pass'],
        [4, 0, 'pass'],
        [5, 0, 'pass'],
        [6, 0, 'pass'],
        [3, 0, 'pass'],
      ],
    ],
    [
      'never takes id 0',
      64,
      [
        [0, 0, 'packet-id-zero'],
        [1, 0, 'pass'],
        [0, 0, 'packet-id-zero'],
      ],
    ],
    [
      'takes the last id and nothing wraps',
      64,
      [
        [0xffffffff, 0, 'pass'],
        [0xffffffff, 0, 'replay'],
        [1, 0, 'too-old'],
      ],
    ],
    [
      'knows ids of 48 bits from each other, by all of them',
      64,
      [
        [5, 0, 'pass'],
        [2 ** 32 + 5, 0, 'pass'],
        [2 ** 32 + 4, 0, 'pass'],
        [2 ** 32 + 4, 0, 'replay'],
        [5, 0, 'too-old'],
        [2 ** 47 + 2 ** 31, 0, 'pass'],
        [2 ** 48 - 1, 0, 'pass'],
        [2 ** 48 - 64, 0, 'pass'],
        [2 ** 48 - 65, 0, 'too-old'],
        [2 ** 48 - 64, 0, 'replay'],
      ],
    ],
    [
      'of a size that is no power of two takes as much as it says',
      65,
      [
        [200, 0, 'pass'],
        [136, 0, 'pass'],
        [135, 0, 'too-old'],
        [264, 0, 'pass'],
        [200, 0, 'replay'],
        [199, 0, 'too-old'],
      ],
    ],
    [
      'drops what comes long after something newer',
      64,
      [
        [1, 0, 'pass'],
        [3, 0, 'pass'],
        [2, 15, 'pass'],
        [5, 20, 'pass'],
        [4, 36, 'too-old'],
      ],
    ],
    [
      'lets time pass when nothing newer came',
      64,
      [
        [1, 0, 'pass'],
        [2, 1000, 'pass'],
      ],
    ],
    [
      'of 0 takes the next id only',
      0,
      [
        [7, 0, 'pass'],
        [8, 0, 'pass'],
        [10, 0, 'replay'],
        [8, 0, 'replay'],
        [9, 0, 'pass'],
      ],
    ],
    [
      'of 1 takes rising ids',
      1,
      [
        [1, 0, 'pass'],
        [5, 0, 'pass'],
        [4, 0, 'too-old'],
        [5, 0, 'replay'],
        [6, 0, 'pass'],
      ],
    ],
  ])('%s', (_title, size, steps) => {
    const window = new ReplayWindow(size, 15);
    for (const [id, second, verdict] of steps)
      expect([id, say(window.accept(id, second * 1000))]).toEqual([id, verdict]);
  });

  it('agrees with a set of seen ids for any order', () => {
    const sizes = fc.integer({ min: 1, max: 70 });
    const bases = fc.constantFrom(0, 2 ** 31 - 100, 2 ** 32 - 100, 2 ** 48 - 201);
    const steps = fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 300 });
    fc.assert(
      fc.property(sizes, bases, steps, (size, base, some) => {
        const ids = some.map((step) => base + step);
        const window = new ReplayWindow(size, 0);
        const seen = new Set<number>();
        let highest = 0;
        for (const id of ids) {
          const expected = id + size <= highest ? 'too-old' : seen.has(id) ? 'replay' : 'pass';
          expect(say(window.accept(id, 5000))).toBe(expected);
          seen.add(id);
          highest = Math.max(highest, id);
        }
      }),
    );
  });
});
