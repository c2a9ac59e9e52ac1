// Which remote comes next, and after what pause. Pure: no clock, no resolver; the attempt hands in what it resolved.
//
// One walk over the connection profiles, each with the addresses its name resolved to. An address that fails makes way
// for the next address of the same name, then for the next profile. After a connection that worked, the same remote is
// tried again first.

import type { ConnectionProfile } from '../config/config.ts';

export interface RemoteAddress {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
}

export interface RemotesOptions {
  readonly profiles: readonly ConnectionProfile[];
  /** Tries of the whole list before giving up; undefined for no limit. */
  readonly retryMax: number | undefined;
  readonly persistRemoteIp: boolean;
  readonly retryNoInteract: boolean;
}

/** What to try now: a profile, and its address if one is known already. */
export type RemoteStep =
  | {
      readonly kind: 'try';
      readonly profile: ConnectionProfile;
      readonly index: number;
      readonly address: RemoteAddress | undefined;
    }
  | { readonly kind: 'exhausted'; readonly text: string };

/** Advice on where to go after an end: what the server's answer or the user's signal says. */
export interface RestartAdvice {
  /** `default`: the same remote once more after success, else onwards. `stay`: same remote. `address`: next address of
   * the same name. `remote`: next profile. */
  readonly advance: 'default' | 'stay' | 'address' | 'remote';
  /** Whether the addresses are looked up anew (a restart by the user's signal). */
  readonly resolveAgain: boolean;
  /** At least this pause; -1 for none at all. */
  readonly pauseSeconds: number;
}

export interface Remotes {
  next(): RemoteStep;
  /** The addresses of the profile that `next` named without one. Returns the first. */
  resolved(addresses: readonly RemoteAddress[]): RemoteAddress | undefined;
  /** The connection came up. */
  succeeded(): void;
  /** The connection or the attempt ended. */
  ended(advice: RestartAdvice): void;
  /** Seconds to wait before the next attempt. */
  pauseSeconds(): number;
}

/** Doubling begins after this many tries of each remote. */
const TRIES_BEFORE_BACKOFF = 4;
const MAX_BACKOFF_SHIFT = 15;
const NOINTERACT_PAUSE_SECONDS = 10;

/** A walk over the profiles in the given order (shuffle before, for remote-random). */
export function createRemotes(options: RemotesOptions): Remotes {
  const { profiles } = options;
  let index = -1;
  let addresses: readonly RemoteAddress[] = [];
  let addressIndex = 0;
  let unsuccessful = 0;
  let stay = false;
  let skipAddresses = false;
  let minimumPause = 0;

  const advance = (): void => {
    if (stay && index >= 0) {
      stay = false;
      return;
    }
    if (!skipAddresses && addressIndex + 1 < addresses.length) {
      addressIndex += 1;
      return;
    }
    skipAddresses = false;
    index = (index + 1) % profiles.length;
    unsuccessful += 1;
    addressIndex = 0;
    if (!options.persistRemoteIp || profiles.length > 1) addresses = [];
  };

  return {
    next() {
      advance();
      const limit = options.retryMax === undefined ? 0 : profiles.length * options.retryMax;
      if (limit > 0 && unsuccessful > limit) {
        return {
          kind: 'exhausted',
          text: `All connections have been connect-retry-max (${options.retryMax}) times unsuccessful, exiting`,
        };
      }
      const profile = profiles[index];
      if (profile === undefined) return { kind: 'exhausted', text: 'No usable connection profiles are present' };
      return { kind: 'try', profile, index, address: addresses[addressIndex] };
    },
    resolved(found) {
      addresses = found;
      addressIndex = 0;
      return found[0];
    },
    succeeded() {
      unsuccessful = 0;
      stay = true;
    },
    ended(advice) {
      minimumPause = advice.pauseSeconds;
      if (advice.advance === 'stay') stay = true;
      if (advice.advance === 'remote') {
        stay = false;
        skipAddresses = true;
      }
      if (advice.advance === 'address') stay = false;
      if (advice.resolveAgain && !options.persistRemoteIp) addresses = [];
    },
    pauseSeconds() {
      const profile = profiles[index];
      const asked = minimumPause;
      minimumPause = 0;
      if (asked < 0 || profile === undefined) return 0;
      const base = options.retryNoInteract ? NOINTERACT_PAUSE_SECONDS : profile.connectRetrySeconds;
      const backoff = Math.floor(unsuccessful / profiles.length) - TRIES_BEFORE_BACKOFF;
      const doubled = backoff > 0 ? Math.max(base, 1) * 2 ** Math.min(backoff, MAX_BACKOFF_SHIFT) : base;
      return Math.min(Math.max(doubled, asked), profile.connectRetryMaxSeconds);
    },
  };
}

/** The profiles in a random order, each equally likely. `randomBelow(n)` draws from 0 to n - 1. */
export function shuffled<T>(items: readonly T[], randomBelow: (n: number) => number): readonly T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = randomBelow(last + 1);
    const a = result[last] as T;
    result[last] = result[other] as T;
    result[other] = a;
  }
  return result;
}
