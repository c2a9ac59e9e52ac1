import { afterAll, afterEach, beforeAll } from 'vitest';
import { type BuiltProgram, buildDataWorker } from '../lab/worker-url.ts';

/** The data worker for the tests of one `describe`, which is to call this, and what each of them leaves to be undone. */
export function workerSuite(): { readonly url: URL; readonly cleanUps: (() => unknown)[] } {
  let worker: BuiltProgram;
  const cleanUps: (() => unknown)[] = [];
  beforeAll(async () => {
    worker = await buildDataWorker();
  });
  afterAll(() => worker.remove());
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });
  return {
    get url() {
      return worker.url;
    },
    cleanUps,
  };
}
