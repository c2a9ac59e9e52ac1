import { describe, expect, it } from 'vitest';
import { renegotiateAtMs } from '../../src/session/renegotiation.ts';

const drawn = (high: number, low: number) => () => Uint8Array.of(high, low);
const times = { handWindowMs: 60_000, renegotiateMs: 100_000, renegotiateSpreadMs: 40_000 };

describe('when a key is renegotiated', () => {
  it.each([
    ['at the longest time where chance takes nothing off', drawn(0, 0), 105_000],
    ['at the shortest where it takes off all it may', drawn(0xff, 0xff), 65_000],
    ['between them otherwise', drawn(0x80, 0), 85_000],
  ])('%s', (_title, chance, atMs) => {
    expect(renegotiateAtMs(times, 5000, chance)).toBe(atMs);
  });

  it('never, where the time is 0, and exactly then where nothing may be taken off', () => {
    const most = drawn(0xff, 0xff);
    expect(renegotiateAtMs({ ...times, renegotiateMs: 0 }, 5000, most)).toBe(Number.POSITIVE_INFINITY);
    expect(renegotiateAtMs({ ...times, renegotiateSpreadMs: 0 }, 5000, most)).toBe(105_000);
  });
});
