import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { bootMs } from '../../src/linux/clock.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import { POLLIN, PollSet } from '../../src/linux/poll-set.ts';
import { packetPair, writePacket } from './plane-rig.ts';

const fds: number[] = [];
afterEach(() => {
  for (const fd of fds.splice(0)) libc.close(fd);
});

/** Two ends of a packet pipe, the first of them in the set. */
function watchedPair(polls: PollSet, told: number[]) {
  const [near, far] = packetPair();
  fds.push(near, far);
  polls.add({ fd: near, pollEvents: POLLIN, handleReady: () => void told.push(near) });
  return { near, far };
}

describe('waiting for members', () => {
  it('takes the time that was asked for where nothing comes, and knows how long that was without a clock', () => {
    const polls = new PollSet();
    watchedPair(polls, []);
    for (const longestMs of [-1, 0, 1, 20.5, 1020]) {
      const before = bootMs();
      expect(polls.wait(longestMs)).toBe(0);
      const tookMs = bootMs() - before;
      expect(polls.waitedMs).toBe(Math.max(0, longestMs));
      expect(tookMs).toBeGreaterThanOrEqual(longestMs);
    }
  });

  it('ends with the first that is ready, and knows that it was earlier', () => {
    const polls = new PollSet();
    const told: number[] = [];
    const { far, near } = watchedPair(polls, told);
    expect(writePacket(far, Uint8Array.of(1))).toBe(true);
    for (const longestMs of [60_000, Number.POSITIVE_INFINITY]) {
      const before = bootMs();
      expect(polls.wait(longestMs)).toBe(1);
      const tookMs = bootMs() - before;
      expect(polls.waitedMs).toBeGreaterThanOrEqual(0);
      expect(polls.waitedMs).toBeLessThanOrEqual(tookMs);
    }
    polls.dispatch(1);
    expect(told).toEqual([near]);
  });

  it('tells a part of the time as what it was', () => {
    const polls = new PollSet();
    const { far } = watchedPair(polls, []);
    // Another thread writes, as this one is asleep meanwhile.
    const code = `setTimeout(() => require('node:fs').writeSync(${far}, 'x'), 1000)`;
    const writer = new Worker(code, { eval: true });
    const before = bootMs();
    expect(polls.wait(30_000)).toBe(1);
    const tookMs = bootMs() - before;
    expect(polls.waitedMs).toBeGreaterThan(50);
    expect(polls.waitedMs).toBeLessThanOrEqual(tookMs);
    void writer.terminate();
  });

  it('goes on for as long as the last wait was to take still', () => {
    const polls = new PollSet();
    const told: number[] = [];
    const { far, near } = watchedPair(polls, told);
    expect(writePacket(far, Uint8Array.of(1))).toBe(true);
    const before = bootMs();
    expect(polls.wait(300)).toBe(1);
    const firstMs = polls.waitedMs;
    expect(polls.waitOn()).toBe(1); // it was not read
    const secondMs = polls.waitedMs;
    const byte = nativeBytes(8);
    expect(libc.read(near, byte.address, 8)).toBe(1);
    const againMs = bootMs();
    expect(polls.waitOn()).toBe(0);
    expect(firstMs + secondMs + polls.waitedMs).toBeCloseTo(300, 3);
    expect(bootMs() - againMs).toBeGreaterThanOrEqual(polls.waitedMs);
    expect(polls.waitOn()).toBe(0);
    expect(polls.waitedMs).toBe(0);
    expect(bootMs() - before).toBeGreaterThanOrEqual(300 - firstMs - secondMs);
  });
});
