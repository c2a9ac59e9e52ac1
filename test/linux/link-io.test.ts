import { expect, it } from 'vitest';
import { Errno } from '../../src/linux/errno.ts';
import { ErrorReporter } from '../../src/linux/link-io.ts';

it('an error is told at once and not again for a second, also when two kinds take turns', () => {
  const told: [string, number][] = [];
  let nowMs = 0;
  const reporter = new ErrorReporter((code) => told.push([code, nowMs]));
  for (; nowMs < 2500; nowMs += 10) {
    reporter.handleError(Errno.EHOSTUNREACH, nowMs);
    reporter.handleError(Errno.ENETUNREACH, nowMs);
  }
  expect(told).toEqual(
    [0, 1000, 2000].flatMap((ms) => [
      ['EHOSTUNREACH', ms],
      ['ENETUNREACH', ms],
    ]),
  );
});
