import type { Instants } from '../src/session/session.ts';

/** Both clocks of a session, now. */
export const nowOf = (): Instants => ({ monoMs: performance.now(), unixSeconds: Math.floor(Date.now() / 1000) });
