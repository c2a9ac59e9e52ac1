// How old a key may be that a peer brings.

import { parseTimestamp, type WrappedMetadata } from '../wire/tls-crypt-v2.ts';

const DAY_SECONDS = 86_400;

/** What `tls-crypt-v2-max-age` has against a key, in the C program's words. */
export function keyAgeProblem(
  metadata: WrappedMetadata | undefined,
  maxAgeDays: number | undefined,
  unixSeconds: number,
): string | undefined {
  if (maxAgeDays === undefined || maxAgeDays <= 0) return undefined;
  const madeSeconds = parseTimestamp(metadata);
  if (madeSeconds === undefined) {
    const short = (metadata?.bytes.length ?? 0) < 8;
    return short ? 'Client key metadata is too small to contain a timestamp.' : 'Client key does not have a timestamp.';
  }
  return unixSeconds - madeSeconds > maxAgeDays * DAY_SECONDS ? 'Client key is too old.' : undefined;
}
