import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { createNativeArena, NativeSlots } from '../../src/linux/arena.ts';
import { addressOf, libc, nativeBytes } from '../../src/linux/libc.ts';
import { mapLow, memoryCalls, unmapLow } from '../../src/linux/low-memory.ts';
import { createWorkerPlane } from '../../src/linux/worker-plane.ts';
import { buildDataWorker } from '../lab/worker-url.ts';

const LOW_END = 2 ** 31;
/** Where this process has memory at low addresses of our range that is shared. */
const lowPlaces = () =>
  readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => /^[4-7][0-9a-f]{7}-\S+ rw-s/.test(line))
    .map((line) => Number.parseInt(line, 16));
const isMapped = (address: number) => lowPlaces().includes(address);

describe.skipIf(process.platform !== 'linux')('memory at low addresses', () => {
  afterEach(() => unmapLow());

  it('is that of an arena: whatever is written by one way is read by the other, from its first byte to its last', () => {
    const { address, bytes } = createNativeArena(200_000);
    expect(address).toBeGreaterThan(0);
    expect(address + bytes.length).toBeLessThan(LOW_END);
    expect(address).not.toBe(addressOf(bytes));
    expect(bytes.some((byte) => byte !== 0)).toBe(false);
    const copy = nativeBytes(bytes.length);
    for (const at of [0, 4095, 4096, bytes.length - 1]) bytes[at] = 1 + (at & 0x7f);
    libc.memcpy(copy.address, address, bytes.length);
    expect(Buffer.compare(copy.bytes, bytes)).toBe(0);
    copy.bytes.fill(7);
    libc.memcpy(address, copy.address, bytes.length);
    expect(Buffer.compare(bytes, copy.bytes)).toBe(0);
  });

  it('is another for each arena, and at addresses that differ from one start to the next', () => {
    const arenas = Array.from({ length: 20 }, () => createNativeArena(65_536));
    for (const [index, { bytes }] of arenas.entries()) bytes.fill(index + 1);
    for (const [index, { bytes }] of arenas.entries()) expect(bytes.every((byte) => byte === index + 1)).toBe(true);
    const places = arenas.map(({ address }) => address).sort((a, b) => a - b);
    const steps = places.slice(1).map((place, index) => place - places[index]!);
    expect(new Set(steps).size).toBeGreaterThan(10);
  });

  it('ends where nobody needs it any more; what JavaScript sees is still there', () => {
    const { address, bytes } = createNativeArena(65_536);
    bytes[5] = 6;
    expect(isMapped(address)).toBe(true);
    unmapLow();
    expect(isMapped(address)).toBe(false);
    expect(bytes[5]).toBe(6);
    unmapLow();
  });

  it('is refused where there is no room for so much, and the memory stays as it was', () => {
    const { bytes } = createNativeArena(65_536);
    bytes[3] = 4;
    expect(mapLow(addressOf(bytes), LOW_END)).toBeUndefined();
    expect(bytes[3]).toBe(4);
  });

  it('is refused where the system fails half-way, and there is memory in its place', () => {
    const { bytes } = createNativeArena(65_536);
    const before = lowPlaces();
    const mremap = (_from: number, _fromLength: number, length: number, _flags: number, to: number): number => {
      expect(memoryCalls.munmap(to, length)).toBe(0);
      return -1;
    };
    expect(mapLow(addressOf(bytes), 65_536, { mremap })).toBeUndefined();
    bytes.fill(9);
    expect(bytes[65_535]).toBe(9);
    expect(lowPlaces()).toEqual(before);
  });

  it('is refused where the system fails at once, and what was written stays', () => {
    const { bytes } = createNativeArena(65_536);
    bytes.fill(8);
    const before = lowPlaces();
    expect(mapLow(addressOf(bytes), 65_536, { mremap: () => -1 })).toBeUndefined();
    expect(bytes.every((byte) => byte === 8)).toBe(true);
    expect(lowPlaces()).toEqual(before);
  });

  it('is given back by a data worker that ends', async () => {
    const worker = await buildDataWorker();
    try {
      const before = lowPlaces().length;
      for (let count = 0; count < 3; count++) {
        const plane = createWorkerPlane({ workerUrl: worker.url, listener: () => {}, workers: 1 });
        await plane.ready;
        expect(lowPlaces().length).toBeGreaterThan(before);
        await plane.close();
      }
      await expect.poll(() => lowPlaces().length).toBe(before);
    } finally {
      worker.remove();
    }
  });

  it('tells where memory is lost', () => {
    const noAddress = 2 ** 52;
    expect(() => mapLow(noAddress, 65_536)).toThrow(/Memory for packets was lost/);
  });
});

describe.skipIf(process.platform !== 'linux')('places of one size', () => {
  it('are as many as are asked for, apart from each other, and zeroed when they are taken again', () => {
    const slots = new NativeSlots(100);
    const taken = Array.from({ length: 300 }, () => slots.take());
    for (const [index, { bytes, address }] of taken.entries()) {
      expect(address % 64).toBe(0);
      expect(bytes.length).toBeGreaterThanOrEqual(100);
      bytes.fill(index & 0xff);
    }
    for (const [index, { bytes, view }] of taken.entries()) {
      expect(bytes.every((byte) => byte === (index & 0xff))).toBe(true);
      expect(view.getUint8(bytes.length - 1)).toBe(index & 0xff);
    }
    expect(new Set(taken.map(({ address }) => address)).size).toBe(300);
    slots.give(taken[7]!);
    const again = slots.take();
    expect(again.address).toBe(taken[7]!.address);
    expect(again.bytes.every((byte) => byte === 0)).toBe(true);
  });
});
