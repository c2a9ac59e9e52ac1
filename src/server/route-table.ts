// Which client has which address of the tunnel: its own, and the networks behind it (`iroute`). A later client takes an
// address over. Routes of a client that has gone stay, dead, until they are reaped or taken over; only then does
// `learn-address` hear of them. Facts: OpenVPN 2.7.8.

import { parseAddress } from '../ip/address.ts';
import { parseMac } from '../ip/mac-address.ts';
import { formatPrefix, parsePrefix } from '../ip/prefix.ts';

/**
 * `add`, `update`: `learn-address` is asked with this word, and on its yes `learn` is called. `known`: nothing to do.
 * The others: nothing is learned; `quota` is told to the log.
 */
export type RouteVerdict = 'add' | 'update' | 'known' | 'quota' | 'unlearnable' | 'local';

export interface RouteEntry<Owner> {
  /** As scripts and the status see it. */
  readonly address: string;
  readonly owner: Owner;
  readonly learnedUnixSeconds: number;
}

interface Route<Owner> {
  /** undefined: the client has gone. */
  owner: Owner | undefined;
  readonly learnedUnixSeconds: number;
}

/** `Owner`: what a client is known by. */
export class RouteTable<Owner extends object | number> {
  readonly #routes = new Map<string, Route<Owner>>();
  readonly #owned = new Map<Owner, Set<string>>();
  readonly #local: ReadonlySet<string>;

  /** `local`: the server's own addresses in the tunnel, which no client can have. */
  constructor(local: readonly string[]) {
    this.#local = new Set(local.map(routeAddress));
  }

  /** What learning would mean. `address`: from `routeAddress`. */
  check(owner: Owner, address: string, maxRoutes: number): RouteVerdict {
    const route = this.#routes.get(address);
    if (route?.owner === owner) return 'known';
    if (!isLearnable(address)) return 'unlearnable';
    if (this.#local.has(address)) return 'local';
    if ((this.#owned.get(owner)?.size ?? 0) >= maxRoutes) return 'quota';
    return route === undefined ? 'add' : 'update';
  }

  /** Gives an address to a client; returns the living client that had it until now. */
  learn(owner: Owner, address: string, nowUnixSeconds: number): Owner | undefined {
    const route = this.#routes.get(address);
    const previous = route?.owner;
    if (previous === owner) return undefined;
    if (previous !== undefined) this.#owned.get(previous)?.delete(address);
    this.#routes.set(address, { owner, learnedUnixSeconds: nowUnixSeconds });
    const owned = this.#owned.get(owner);
    if (owned === undefined) this.#owned.set(owner, new Set([address]));
    else owned.add(address);
    return previous;
  }

  /** The client has gone; its routes are dead from now on. */
  release(owner: Owner): void {
    for (const address of this.#owned.get(owner) ?? []) {
      const route = this.#routes.get(address);
      if (route !== undefined) route.owner = undefined;
    }
    this.#owned.delete(owner);
  }

  /** The living client that has an address. */
  ownerOf(address: string): Owner | undefined {
    return this.#routes.get(address)?.owner;
  }

  /** Takes an address away from a client that stays; false when it was not its. `learn-address delete` follows. */
  forget(owner: Owner, address: string): boolean {
    if (this.#routes.get(address)?.owner !== owner) return false;
    this.#routes.delete(address);
    this.#owned.get(owner)?.delete(address);
    return true;
  }

  /** Removes dead routes; `learn-address delete` is called for each of the returned. C does so within seconds. */
  reap(): string[] {
    const dead = [...this.#routes].filter(([, { owner }]) => owner === undefined).map(([address]) => address);
    for (const address of dead) this.#routes.delete(address);
    return dead;
  }

  /** A client's addresses and networks, in the order in which they were learned. */
  addressesOf(owner: Owner): string[] {
    return [...(this.#owned.get(owner) ?? [])];
  }

  /** All living routes, in the order in which they were learned. */
  entries(): RouteEntry<Owner>[] {
    const entries: RouteEntry<Owner>[] = [];
    for (const [address, { owner, learnedUnixSeconds }] of this.#routes) {
      if (owner !== undefined) entries.push({ address, owner, learnedUnixSeconds });
    }
    return entries;
  }
}

/**
 * An address, or a network as `network/bits`, as the table names it: an IPv4 network of one host is an address. Ethernet
 * addresses are named by `formatMac`.
 */
export function routeAddress(text: string): string {
  if (!text.includes('/')) return text;
  const prefix = parsePrefix(text);
  if (prefix === undefined) return text;
  return prefix.address.length === 4 && prefix.length === 32 ? text.slice(0, text.indexOf('/')) : formatPrefix(prefix);
}

/** The line for the log when a client has as many routes as it may. */
export function quotaLine(maxRoutes: number, name: string): string {
  return `MULTI ROUTE: route quota (${maxRoutes}) exceeded for ${name} (see --max-routes-per-client option)`;
}

/** Not all ones, not all zeros but for networks shorter than /8, and no Ethernet address of a group. */
function isLearnable(address: string): boolean {
  const mac = address.endsWith('@0') ? parseMac(address.slice(0, -2)) : undefined;
  if (mac !== undefined) return ((mac[0] ?? 0) & 1) === 0 && mac.some((byte) => byte !== 0);
  const [host = '', length] = address.split('/');
  const bytes = parseAddress(host);
  if (bytes === undefined) return false;
  if (bytes.every((byte) => byte === 0xff)) return false;
  return bytes.some((byte) => byte !== 0) || (length !== undefined && Number(length) < 8);
}
