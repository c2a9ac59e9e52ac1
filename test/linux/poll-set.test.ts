import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { bootMs } from '../../src/linux/clock.ts';
import { libc, nativeBytes } from '../../src/linux/libc.ts';
import { POLLIN, PollSet } from '../../src/linux/poll-set.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const fds: number[] = [];
afterEach(() => {
  for (const fd of fds.splice(0)) libc.close(fd);
});

/** Two ends of a socket pair, the first of them in the set. */
function watchedPair(polls: PollSet, told: number[]) {
  const pair = nativeBytes(8);
  libc.socketpair(AF_UNIX, SOCK_DGRAM, 0, pair.address);
  const [near, far] = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
  fds.push(near, far);
  const member = { fd: near, pollEvents: POLLIN, handleReady: () => void told.push(near) };
  polls.add(member);
  return { near, far, member };
}

function say(fd: number): void {
  const { address, bytes } = nativeBytes(8);
  expect(libc.write(fd, address, bytes.length)).toBe(8);
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
    say(far);
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
    const told: number[] = [];
    const { far } = watchedPair(polls, told);
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
});
