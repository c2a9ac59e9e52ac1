// When a case fails, its error and the last words of every program that it started: a failure that comes once in a
// hundred runs has to tell its cause the first time. A case that passed at its second try says so in the report, and the
// runner's summary names it.

import { beforeEach } from 'vitest';
import { watched } from './process.ts';

const LINES = 40;

beforeEach(({ onTestFinished, task }) => {
  const from = watched.length;
  onTestFinished(({ task: { result } }) => {
    const meta = task.meta as { tries?: number };
    meta.tries = (result?.retryCount ?? 0) + 1;
    if (result?.state === 'fail') {
      console.error(`--- try ${meta.tries} of ${task.name}: ${result.errors?.at(-1)?.stack}`);
      for (const program of watched) {
        const ended = program.exited === undefined ? '' : ` (ended: ${JSON.stringify(program.exited)})`;
        console.error(`--- ${program.name}, pid ${program.pid}${ended}\n${program.tail(LINES)}`);
      }
    }
    watched.length = from;
  });
});
