// Preloaded into a Node server under load (NODE_OPTIONS=--import): once a second a line of JSON with the delay of its
// event loop and its memory goes to the file that SALLYPORT_BENCH_LOOP names. Times in milliseconds, memory in bytes.

import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 5;
const path = process.env.SALLYPORT_BENCH_LOOP;

if (isMainThread && path) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  // What the histogram holds is the distance of two looks.
  const ms = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  delay.enable();
  setInterval(() => {
    const line = {
      at: Date.now(),
      p50: ms(delay.percentile(50)),
      p99: ms(delay.percentile(99)),
      max: ms(delay.max),
      ...process.memoryUsage(),
    };
    delay.reset();
    appendFileSync(path, `${JSON.stringify(line)}\n`);
  }, 1000).unref();
}
