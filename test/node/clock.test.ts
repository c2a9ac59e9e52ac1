import { afterEach, describe, expect, it, vi } from 'vitest';
import { createNodeClock } from '../../src/node/clock.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Sources that follow vitest's fake timers; `sleep` suspends the machine. */
function makeSources() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const start = Date.now();
  let sleptMs = 0;
  return {
    sleep: (ms: number) => {
      sleptMs += ms;
    },
    monotonicMs: () => Date.now() - start + 5000,
    uptimeMs: () => Date.now() - start + sleptMs + 9000,
    unixMs: () => Date.now() + sleptMs,
  };
}

describe('the clock', () => {
  it('tells monotonic milliseconds that grow and Unix seconds', () => {
    const clock = createNodeClock();
    const first = clock.now();
    const second = clock.now();
    expect(second.monoMs).toBeGreaterThanOrEqual(first.monoMs);
    expect(Math.abs(first.unixSeconds - Date.now() / 1000)).toBeLessThan(2);
    expect(Number.isInteger(first.unixSeconds)).toBe(true);
  });

  it('calls back once, at its time and not before, also weeks away', () => {
    const sources = makeSources();
    const clock = createNodeClock(sources);
    const callback = vi.fn();
    const farMs = 2 ** 31 + 60_000;
    clock.at(clock.now().monoMs + farMs, callback);
    vi.advanceTimersByTime(farMs - 1);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(callback).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(100_000);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('calls back on a later turn for a time that is past', () => {
    const clock = createNodeClock(makeSources());
    const callback = vi.fn();
    clock.at(clock.now().monoMs - 10, callback);
    expect(callback).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(callback).toHaveBeenCalledOnce();
  });

  it('does not call back after cancel, however late the cancel', () => {
    const clock = createNodeClock(makeSources());
    const callback = vi.fn();
    const cancel = clock.at(clock.now().monoMs + 90_000, callback);
    vi.advanceTimersByTime(70_000);
    cancel();
    cancel();
    vi.advanceTimersByTime(100_000);
    expect(callback).not.toHaveBeenCalled();
  });

  it('goes on through suspend: a deadline that passed while the machine slept comes soon after', () => {
    const sources = makeSources();
    const clock = createNodeClock(sources);
    const before = clock.now().monoMs;
    const callback = vi.fn();
    clock.at(before + 3_600_000, callback);
    sources.sleep(4_000_000);
    vi.advanceTimersByTime(30_001);
    expect(callback).toHaveBeenCalledOnce();
    expect(clock.now().monoMs).toBeGreaterThanOrEqual(before + 4_000_000);
  });
});
