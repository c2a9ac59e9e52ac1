const MOST_TRIES = 60;

/**
 * Bytes of heap that `rounds` runs leave behind, measured until they are fewer than `enough`. Code that is not yet
 * optimised allocates numbers, and on a busy machine that lasts: the best of some measurements counts.
 */
export function heapGrowth(run: () => void, rounds: number, enough: number): number {
  for (let round = 0; round < 2 * rounds; round++) run();
  let grown = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < MOST_TRIES && grown >= enough; tries++) {
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < rounds; round++) run();
    const more = process.memoryUsage().heapUsed - before;
    if (more >= 0) grown = Math.min(grown, more); // less than before: it was collected meanwhile
  }
  return grown;
}
