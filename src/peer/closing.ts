// The end of a client or a server goes on, whatever one part of it says.

import { messageOf } from '../error.ts';
import { Level, type Log } from '../log.ts';

/** Closes one part; that it failed is written down. */
export async function closing(what: string, close: () => Promise<void>, log: Log): Promise<void> {
  try {
    await close();
  } catch (error) {
    log(Level.error, `closing ${what}: ${messageOf(error)}`);
  }
}
