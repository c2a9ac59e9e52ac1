import { expect, it } from 'vitest';
import { Outbox } from '../../src/linux/outbox.ts';
import { createPacketMemory } from '../../src/linux/packet-memory.ts';

it('keeps the copies of what waits for more, and has their room again where nothing waits', () => {
  const memory = createPacketMemory(4096);
  const outbox = new Outbox(memory);
  const { bytes } = memory.arena;
  const scratch = memory.scratch.start;
  const [region] = memory.segments;
  let waits = true;
  let flushes = 0;
  const holder = { holdsCopies: false, flush: () => void flushes++, flushButLast: () => waits };
  const keep = (value: number) => {
    bytes.fill(value, scratch, scratch + 1000);
    return outbox.keep(scratch, 1000);
  };

  outbox.add(holder);
  const first = keep(1);
  outbox.flushPlacesButLast(region);
  expect(flushes).toBe(0);
  const second = keep(2);
  expect(Math.abs(second - first)).toBeGreaterThanOrEqual(1000);
  expect([bytes[first], bytes[first + 999], bytes[second]]).toEqual([1, 1, 2]);

  waits = false;
  outbox.flushPlacesButLast(region);
  expect(keep(3)).toBe(first);
  outbox.flush();
  expect(flushes).toBe(0); // it holds nothing and has not been added again

  outbox.add(holder);
  outbox.flush();
  expect(flushes).toBe(1);
});
