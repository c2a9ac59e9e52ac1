import { beforeEach, describe, expect, it } from 'vitest';
import { SendQueue } from '../../src/linux/send-queue.ts';

const frame = (length: number) => {
  const bytes = new Uint8Array(2 + length);
  new DataView(bytes.buffer).setUint16(0, length);
  return bytes;
};

describe('what waits for a stream', () => {
  let queue: SendQueue;
  const put = (length: number, sent = 0) => queue.append(frame(length), sent, 2 + length);
  beforeEach(() => {
    queue = new SendQueue(3);
  });

  it('is so many packets at most, and one more when the first is gone as a whole', () => {
    expect([put(10), put(20), put(30), put(1)]).toEqual([true, true, true, false]);
    queue.drop(11);
    expect(put(1)).toBe(false);
    queue.drop(1);
    expect([put(40), put(1)]).toEqual([true, false]);
    queue.drop(22 + 32);
    expect([put(1), put(2), put(3)]).toEqual([true, true, false]);
    expect(queue.length).toBe(42 + 3 + 4);
    queue.drop(queue.length);
    expect(queue.isEmpty).toBe(true);
  });

  it('may begin with what is left of a packet', () => {
    expect(put(100, 90)).toBe(true);
    expect([put(5), put(5), put(5)]).toEqual([true, true, false]);
    queue.drop(12);
    expect([put(5), put(5)]).toEqual([true, false]);
  });

  it('is bounded in bytes too, whatever the number, but for a packet that has begun', () => {
    queue = new SendQueue(Number.POSITIVE_INFINITY);
    let taken = 0;
    while (put(60_000)) taken++;
    expect(taken).toBe(4);
    expect(put(20_000)).toBe(true);
    queue.drop(60_002);
    expect(put(60_000)).toBe(true);
  });

  it('gives the bytes in order while it grows and moves', () => {
    queue = new SendQueue(Number.POSITIVE_INFINITY);
    const lengths: number[] = [];
    for (let round = 0; round < 400; round++) {
      const length = 1 + ((round * 977) % 3000);
      expect(put(length)).toBe(true);
      lengths.push(2 + length);
      // A whole packet goes for every one that comes, but for every fourth: the queue grows to some hundred.
      if (round % 4 !== 0) queue.drop(lengths.shift()!);
      expect(queue.length).toBe(lengths.reduce((sum, one) => sum + one, 0));
    }
  });
});
