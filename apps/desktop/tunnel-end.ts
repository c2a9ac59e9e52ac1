// The end of a tunnel that runs, asked for and waited for.

import { setTimeout as delay } from 'node:timers/promises';
import { ask, presenceOf } from './control-client.ts';
import type { CommandIo } from './io.ts';
import { forgetGone } from './start-lock.ts';

const END_LIMIT_MS = 10_000;

/** Ends a tunnel and waits for the end; false when it is still there. */
export async function endTunnel(name: string, io: CommandIo): Promise<boolean> {
  await ask(io.places, name, 'POST', '/down').catch(() => {});
  const until = performance.now() + END_LIMIT_MS;
  while (performance.now() < until) {
    if ((await presenceOf(io.places, name)).kind !== 'up') {
      await forgetGone(io.places, name);
      return true;
    }
    await delay(50);
  }
  return false;
}
