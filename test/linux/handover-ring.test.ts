import { describe, expect, it } from 'vitest';
import { createNativeArena } from '../../src/linux/arena.ts';
import { createRingMemory, RingReader, RingWriter } from '../../src/linux/handover-ring.ts';

const SOURCE = 64;
const PACKET = 256;
const COPY = 100_000;
const COPY_SOURCE = 128;

const rig = () => {
  const memory = createRingMemory();
  const arena = createNativeArena(200_000);
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
  let pushed = 0;
  return {
    writer,
    reader,
    push(length: number): boolean {
      arena.bytes.fill(pushed & 0xff, PACKET, PACKET + length);
      arena.view.setUint32(SOURCE, pushed);
      const taken = writer.push(2, pushed, pushed + 1, arena, SOURCE, PACKET, length);
      if (taken) pushed++;
      return taken;
    },
    take(): { id: number; length: number; source: number; isWhole: boolean } | undefined {
      reader.look();
      if (!reader.next()) return undefined;
      const { what, id, about, length } = reader;
      expect([what, about]).toEqual([2, id + 1]);
      reader.take(arena, COPY_SOURCE, COPY);
      const copy = arena.bytes.subarray(COPY, COPY + length);
      return {
        id,
        length,
        source: arena.view.getUint32(COPY_SOURCE),
        isWhole: copy.every((byte) => byte === (id & 0xff)),
      };
    },
  };
};

describe('the ring between two workers', () => {
  it('gives packets as they were pushed, in order, once they are published', () => {
    const { push, take, writer, reader } = rig();
    const lengths = [1, 63, 64, 65, 1500, 65_535];
    for (const length of lengths) expect(push(length)).toBe(true);
    expect(reader.isEmpty).toBe(true);
    expect(take()).toBeUndefined();
    writer.publish();
    for (const [id, length] of lengths.entries()) expect(take()).toEqual({ id, length, source: id, isWhole: true });
    expect(reader.isEmpty).toBe(true);
  });

  it('gives what was there at the last look, so that a packet never comes before the news of its peer', () => {
    const { push, writer, reader } = rig();
    push(1);
    writer.publish();
    expect(reader.next()).toBe(false);
    reader.look();
    push(2);
    writer.publish();
    expect([reader.next(), reader.length]).toEqual([true, 1]);
    reader.take(createNativeArena(1024), 0, 64);
    expect([reader.next(), reader.isEmpty]).toEqual([false, false]);
    reader.look();
    expect([reader.next(), reader.length]).toEqual([true, 2]);
  });

  it('takes no more than it holds, and as much again when that was taken', () => {
    const { push, take, writer } = rig();
    let held = 0;
    while (push(1400)) held++;
    expect(held).toBeGreaterThan(500);
    expect(held).toBeLessThan(1000);
    writer.publish();
    for (let id = 0; id < held; id++) expect(take()).toMatchObject({ id, isWhole: true });
    for (let count = 0; count < held - 1; count++) expect(push(1400)).toBe(true);
  });

  it('goes round and round with packets of any length', () => {
    const { push, take, writer } = rig();
    let pushed = 0;
    let taken = 0;
    let turn = 0;
    while (taken < 3000) {
      for (let count = 0; count < 1 + (turn % 7); count++)
        if (push(1 + ((turn * 7919 + count * 104_729) % 65_535))) pushed++;
      writer.publish();
      for (let count = 0; count < 1 + (turn % 5); count++) {
        const packet = take();
        if (packet === undefined) break;
        expect(packet).toMatchObject({ id: taken, source: taken, isWhole: true });
        taken++;
      }
      turn++;
    }
    expect(pushed).toBeGreaterThanOrEqual(taken);
  });
});
