// Deadlines with their reasons.

/** A point of monotonic time and why it matters. */
export interface Deadline {
  readonly atMs: number;
  readonly reason: string;
}

/** A deadline, or nothing when there is no time. */
export function deadline(atMs: number | undefined, reason: string): Deadline | undefined {
  return atMs === undefined || atMs === Number.POSITIVE_INFINITY ? undefined : { atMs, reason };
}

/** The earliest of them; among equals the first named. */
export function earliest(...deadlines: readonly (Deadline | undefined)[]): Deadline | undefined {
  let first: Deadline | undefined;
  for (const each of deadlines) if (each !== undefined && (first === undefined || each.atMs < first.atMs)) first = each;
  return first;
}
