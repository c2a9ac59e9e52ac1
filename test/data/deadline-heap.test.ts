import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineHeap, type Due } from '../../src/data/deadline-heap.ts';

describe('deadline heap', () => {
  it('has what is due first at its top, however items come, are put off, put forward and go', () => {
    const change = fc.tuple(fc.nat(19), fc.option(fc.nat(50), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
        const heap = new DeadlineHeap<Due>();
        const items = Array.from({ length: 20 }, (): Due => ({ dueMs: 0, duePlace: -1 }));
        const inside = new Map<Due, number>();
        for (const [index, dueMs] of changes) {
          const item = items[index]!;
          if (dueMs === undefined) {
            heap.remove(item);
            inside.delete(item);
          } else {
            heap.set(item, dueMs);
            inside.set(item, dueMs);
          }
          expect(heap.firstMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...inside.values()));
          expect(heap.first === undefined).toBe(inside.size === 0);
        }
        const order: number[] = [];
        for (let first = heap.first; first !== undefined; first = heap.first) {
          order.push(first.dueMs);
          heap.remove(first);
        }
        expect(order).toEqual([...inside.values()].sort((a, b) => a - b));
      }),
    );
  });
});
