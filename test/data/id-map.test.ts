import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdMap } from '../../src/data/id-map.ts';

type Step = ['set' | 'delete' | 'get', number] | ['clear'];

const id = fc.integer({ min: 0, max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom('set', 'delete', 'get', 'get', 'get'), id),
  fc.constant<Step>(['clear']),
) as fc.Arbitrary<Step>;

describe('a map with its last answer at hand', () => {
  it('answers as a map does, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const map = new IdMap<object>();
        const model = new Map<number, object>();
        for (const [number, [what, at = 0]] of steps.entries()) {
          const member = { number };
          if (what === 'clear') for (const each of [map, model]) each.clear();
          else if (what === 'delete') for (const each of [map, model]) each.delete(at);
          else if (what === 'set') for (const each of [map, model]) each.set(at, member);
          expect(map.get(at)).toBe(model.get(at));
          expect([...map.values()]).toEqual([...model.values()]);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
