// When something signed is about to run out: certificates and revocation lists, in `pki list` and in a server's log.

/** How long before the end a warning begins. */
const EXPIRY_WARNING_DAYS = 30;

const DAY_SECONDS = 86_400;

/**
 * `The server certificate expires in 12 days, on 2026-12-10`, or undefined while there are more than 30 days left.
 * `name` begins the sentence; both times are Unix seconds.
 */
export function expiryWarning(name: string, notAfterUnix: number, nowUnix: number): string | undefined {
  const leftSeconds = notAfterUnix - nowUnix;
  if (leftSeconds > EXPIRY_WARNING_DAYS * DAY_SECONDS) return undefined;
  const day = new Date(notAfterUnix * 1000).toISOString().slice(0, 10);
  if (leftSeconds < 0) return `${name} has expired on ${day}`;
  const days = Math.floor(leftSeconds / DAY_SECONDS);
  if (days === 0) return `${name} expires within a day, on ${day}`;
  return `${name} expires in ${days} ${days === 1 ? 'day' : 'days'}, on ${day}`;
}
