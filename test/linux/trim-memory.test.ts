import { expect, it } from 'vitest';
import { native } from '../../src/linux/libc.ts';
import { trimMemory } from '../../src/linux/trim-memory.ts';
import { residentBytes } from '../lab/process.ts';

const MIB = 2 ** 20;
const residentMib = () => residentBytes(process.pid) / MIB;

it('memory that the C library keeps although nobody uses it goes back to the system', () => {
  const { library } = native();
  const malloc = library.func('uintptr_t malloc(size_t)');
  const free = library.func('void free(uintptr_t)');
  const memset = library.func('uintptr_t memset(uintptr_t, int, size_t)');
  const blocks = Array.from({ length: (32 * MIB) / 4096 }, () => {
    const block = malloc(4000) as number;
    memset(block, 1, 4000);
    return block;
  });
  // One that is used stands behind them, so that they are not at the end of the heap.
  const last = malloc(4000);
  for (const block of blocks) free(block);
  const before = residentMib();
  trimMemory();
  expect(before - residentMib()).toBeGreaterThan(16);
  free(last);
});
