import { describe, expect, it } from 'vitest';
import { expiryWarning } from '../../src/node/expiry.ts';

const DAY = 86_400;
const END = Date.UTC(2026, 11, 31, 12) / 1000;

describe('a warning about expiry', () => {
  const cases = [
    ['is not there 30 days and a second before', 30 * DAY + 1, undefined],
    ['begins 30 days before', 30 * DAY, 'x expires in 30 days, on 2026-12-31'],
    ['counts whole days', 2 * DAY - 1, 'x expires in 1 day, on 2026-12-31'],
    ['says the last day', DAY - 1, 'x expires within a day, on 2026-12-31'],
    ['stays until the last second', 0, 'x expires within a day, on 2026-12-31'],
    ['says that it is over', -1, 'x has expired on 2026-12-31'],
  ] as const;
  it.each(cases)('%s', (_, left, words) => {
    expect(expiryWarning('x', END, END - left)).toBe(words);
  });
});
