// One at a time among all processes of this host.

import type { DnsPlatform } from './ports.ts';

/** Does work that others of ours must not do meanwhile. Rejects where one of them is not done in time. */
export async function locked<T>(platform: DnsPlatform, work: () => T | Promise<T>): Promise<T> {
  const release = await platform.lock();
  if (release === undefined) throw new Error('another tunnel sets name servers right now, and does not end');
  try {
    return await work();
  } finally {
    release();
  }
}
