// What a stage of the packet path says about a packet: go on, or the number of the cause for which it is dropped.

import { DROP_CAUSES, type DropCause } from './plane.ts';

/** PASS, or a drop code: the place of its cause in DROP_CAUSES, counted from 1. */
export type Verdict = number;

/** The packet goes on. */
export const PASS: Verdict = 0;

/** The drop code of a cause. */
export function dropCode(cause: DropCause): Verdict {
  return DROP_CAUSES.indexOf(cause) + 1;
}

/** The cause behind a drop code. */
export function dropCause(code: Verdict): DropCause {
  const cause = DROP_CAUSES[code - 1];
  if (cause === undefined) throw new RangeError(`${code} is no drop code`);
  return cause;
}
