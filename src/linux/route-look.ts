// How this host would send a packet, as the kernel tells it: the route that answers, the table that it is in, and the
// policy rules. Questions only; no right is needed.

import { formatAddress, parseAddress } from '../ip/address.ts';
import { formatPrefix, networkOf, type PrefixText, prefixContains } from '../ip/prefix.ts';
import { HostError } from '../tunnel/ports.ts';
import { Errno, hostError } from './errno.ts';
import { NetlinkSocket } from './netlink.ts';
import {
  parseLink,
  parseRoute,
  type RouteReply,
  writeLinkQuery,
  writeRouteDump,
  writeRouteLookup,
  writeRouteMatch,
} from './rtnetlink-messages.ts';
import { type PolicyRule, parseRule, writeRuleDump } from './rule-messages.ts';

export type RouteKind =
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  /** No table has a route. */
  | 'none';

/** What becomes of a packet to an address. */
export interface RouteFound {
  readonly kind: RouteKind;
  readonly device: string | undefined;
  readonly gateway: string | undefined;
  /** The source address that the kernel would use. */
  readonly source: string | undefined;
  readonly table: number | undefined;
  /** The configured route that answers; undefined where the kernel does not tell it. */
  readonly prefix: PrefixText | undefined;
  readonly metric: number | undefined;
}

export interface RouteLook {
  /** Throws HostError where the kernel gives no answer at all. */
  route(address: string): RouteFound;
  rules(family: 4 | 6): readonly PolicyRule[];
  close(): void;
}

/** RTN_* */
const KINDS = new Map<number, RouteKind>([
  [1, 'unicast'],
  [2, 'local'],
  [3, 'broadcast'],
  [5, 'multicast'],
  [6, 'blackhole'],
  [7, 'unreachable'],
  [8, 'prohibit'],
]);
/** IPv4 answers for a route that refuses with what a sender would get. */
const REFUSALS = new Map<string, RouteKind>([
  ['ENETUNREACH', 'none'],
  ['ESRCH', 'none'],
  ['EHOSTUNREACH', 'unreachable'],
  ['EACCES', 'prohibit'],
  ['EINVAL', 'blackhole'],
]);
const nowhere = {
  device: undefined,
  gateway: undefined,
  source: undefined,
  table: undefined,
  prefix: undefined,
  metric: undefined,
};

/** Opens a socket of its own, held until `close`. */
export function openRouteLook(): RouteLook {
  const socket = new NetlinkSocket();

  const ask = (message: Uint8Array, what: string): RouteReply | undefined => {
    const [answer] = socket.request(message, what);
    return answer === undefined ? undefined : parseRoute(answer.body);
  };
  const nameOf = (index: number | undefined): string | undefined => {
    if (index === undefined || index === 0) return undefined;
    try {
      const [message] = socket.request(writeLinkQuery(index), 'Cannot look up a device');
      return message === undefined ? undefined : parseLink(message.body)?.name;
    } catch {
      return undefined;
    }
  };

  /** The kernel tells that a route refuses, and not which one: it is the longest of its kind. */
  const refusing = (address: Uint8Array, kind: RouteKind): Partial<RouteFound> => {
    let longest: RouteReply | undefined;
    const family = address.length === 4 ? 4 : 6;
    const messages = kind === 'none' ? [] : socket.request(writeRouteDump(family), 'Cannot list the routes');
    for (const { body } of messages) {
      const reply = parseRoute(body);
      if (reply?.family !== family || KINDS.get(reply.routeType) !== kind || reply.cloned) continue;
      const prefix = { address: reply.destination ?? new Uint8Array(address.length), length: reply.prefixLength };
      if (!prefixContains(prefix, address)) continue;
      if (longest === undefined || longest.prefixLength < prefix.length) longest = reply;
    }
    return longest === undefined ? {} : matchOf(address, longest);
  };

  return {
    route(text) {
      const address = parseAddress(text);
      const what = `Cannot look up the route to ${text}`;
      if (address === undefined) throw hostError(what, Errno.EINVAL);
      let reply: RouteReply | undefined;
      try {
        reply = ask(writeRouteLookup(address), what);
      } catch (error) {
        const kind = error instanceof HostError ? REFUSALS.get(error.code) : undefined;
        if (kind === undefined) throw error;
        return { ...nowhere, ...refusing(address, kind), kind };
      }
      if (reply === undefined) return { ...nowhere, kind: 'none' };
      const configured = attempt(() => ask(writeRouteMatch(address), what));
      return {
        ...nowhere,
        kind: KINDS.get(reply.routeType) ?? 'unicast',
        device: nameOf(reply.index),
        gateway: reply.gateway === undefined ? undefined : formatAddress(reply.gateway),
        source: reply.source === undefined ? undefined : formatAddress(reply.source),
        table: reply.table,
        ...(configured === undefined ? {} : matchOf(address, configured)),
      };
    },
    rules(family) {
      return socket
        .request(writeRuleDump(family), 'Cannot list the policy rules')
        .flatMap(({ body }) => parseRule(body) ?? [])
        .sort((a, b) => a.priority - b.priority);
    },
    close: () => socket.close(),
  };
}

/** The configured route that answers for an address. */
function matchOf(address: Uint8Array, reply: RouteReply): Partial<RouteFound> {
  const { destination, prefixLength: length, table, metric } = reply;
  if ((destination?.length ?? address.length) !== address.length || length > address.length * 8) return {};
  return { table, metric, prefix: formatPrefix({ address: networkOf(address, length), length }) };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
