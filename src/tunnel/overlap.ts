// Networks of the tunnel that are networks of this host, too: the same addresses at home and at the other end. The kernel
// takes the more specific one, and of two equal ones one; what has the other one's addresses can't be reached. That is
// said once, with the names of both, for nobody finds it out by looking at either.

import { type AddressBytes, formatAddress, parseAddress } from '../ip/address.ts';
import { formatPrefix, networkOf, type Prefix, type PrefixText, parsePrefix, prefixContains } from '../ip/prefix.ts';
import { Level } from '../log.ts';
import type { DeviceAddress } from './host-facts.ts';
import type { PlannedRoute, TunnelAddress4, TunnelAddress6 } from './plan.ts';
import type { RoutePlanning } from './planning.ts';

/** One network that is at both ends. `tunnel`: where its addresses lead while the tunnel is up. */
export interface Overlap {
  readonly ours: PrefixText;
  readonly local: PrefixText;
  readonly device: string;
  readonly relation: 'same' | 'inside' | 'around';
  readonly winner: 'tunnel' | 'local' | 'either';
}

interface LocalNetwork {
  readonly prefix: Prefix;
  readonly device: string;
}

const NAMED = 6;
const MAIN_TABLE = 254;
/** Shorter ones are a way to everything rather than a network. */
const NETWORK_LENGTH = { 4: 8, 6: 16 } as const;
/** Never routed, and on every device. */
const APART = ['127.0.0.0/8', '169.254.0.0/16', '::1/128', 'fe80::/10'].map((text) => parsePrefix(text) as Prefix);

export interface TunnelNetworks {
  readonly address4: TunnelAddress4 | undefined;
  readonly address6: TunnelAddress6 | undefined;
  readonly routes: readonly PlannedRoute[];
}

/** Says a warning for each overlap, and how many more there are. */
export function warnOfOverlaps({ input, say }: RoutePlanning, tunnel: TunnelNetworks): void {
  if (!input.namesOverlaps || input.device.type === 'null') return;
  const others = input.facts.addresses.filter(({ device }) => device !== input.device.name);
  const locals = localNetworks(others);
  const lines = [
    ...(input.ifconfigNowarn ? [] : ownLines(tunnel, others, locals)),
    ...tunnel.routes.flatMap((route) =>
      overlapsOf(route, locals).map((overlap) => routeLine(route, overlap, input.facts.netGateway4?.gateway)),
    ),
  ];
  for (const line of lines.slice(0, NAMED)) say(Level.warning, `WARNING: ${line}`);
  if (lines.length > NAMED) {
    say(Level.warning, `WARNING: ${lines.length - NAMED} more networks of the tunnel overlap local ones`);
  }
}

/** The networks that this host is in. Addresses that are alone are in none. */
function localNetworks(addresses: readonly DeviceAddress[]): readonly LocalNetwork[] {
  const found = new Map<string, LocalNetwork>();
  for (const { device, address, prefixLength } of addresses) {
    const bytes = parseAddress(address);
    if (bytes === undefined || device === 'lo' || prefixLength >= bytes.length * 8 || prefixLength === 0) continue;
    if (APART.some((prefix) => prefixContains(prefix, bytes))) continue;
    const prefix = { address: networkOf(bytes, prefixLength), length: prefixLength };
    found.set(`${formatPrefix(prefix)} ${device}`, { prefix, device });
  }
  return [...found.values()];
}

/** The local networks that a route of the tunnel meets. */
function overlapsOf(route: PlannedRoute, locals: readonly LocalNetwork[]): readonly Overlap[] {
  const stated = route.origin === 'server' || route.origin === 'client';
  const prefix = stated && (route.table ?? MAIN_TABLE) === MAIN_TABLE ? parsePrefix(route.prefix) : undefined;
  if (prefix === undefined || prefix.length < NETWORK_LENGTH[prefix.address.length === 4 ? 4 : 6]) return [];
  const six = prefix.address.length === 16;
  // The kernel's metric for a network on link is 0 or 256; ours is 0 or 1024 where none is stated.
  const equal = route.metric !== undefined && route.metric > 0 ? 'either' : six ? 'local' : 'tunnel';
  return meet(prefix, locals, equal);
}

/** `equal`: who has the addresses where both networks are the same one. */
function meet(prefix: Prefix, locals: readonly LocalNetwork[], equal: Overlap['winner']): readonly Overlap[] {
  return locals.flatMap((local): Overlap[] => {
    const relation = relationOf(prefix, local.prefix);
    if (relation === undefined) return [];
    const winner = relation === 'same' ? equal : relation === 'inside' ? 'tunnel' : 'local';
    return [{ ours: formatPrefix(prefix), local: formatPrefix(local.prefix), device: local.device, relation, winner }];
  });
}

function relationOf(ours: Prefix, local: Prefix): Overlap['relation'] | undefined {
  if (ours.length >= local.length && prefixContains(local, ours.address)) {
    return ours.length === local.length ? 'same' : 'inside';
  }
  return prefixContains(ours, local.address) ? 'around' : undefined;
}

/** Where the addresses lead that are at both ends. */
function followWords({ winner, relation }: Overlap): string {
  const whose = relation === 'around' ? 'those' : 'its';
  switch (winner) {
    case 'tunnel':
      return `${whose} addresses lead into the tunnel while that is up, and nothing local is reached by them`;
    case 'local':
      return `${whose} addresses stay local, and nothing behind the tunnel is reached by them`;
    case 'either':
      return `${whose} addresses lead to one of the two only, whichever has the better metric`;
    default:
      return winner satisfies never;
  }
}

function relationWords({ relation, local, device }: Overlap): string {
  if (relation === 'same') return `is the local network of ${device} as well`;
  return relation === 'inside'
    ? `is a part of the local network ${local} of ${device}`
    : `holds the local network ${local} of ${device}`;
}

function routeLine(route: PlannedRoute, overlap: Overlap, gateway: string | undefined): string {
  const { ours, winner } = overlap;
  const who = route.origin === 'server' ? 'pushed by the server' : 'of the profile';
  const way = gateway === undefined ? undefined : parseAddress(gateway);
  const prefix = parsePrefix(ours);
  const lost = winner === 'tunnel' && way !== undefined && prefix !== undefined && prefixContains(prefix, way);
  const follows = `${followWords(overlap)}${lost ? `, the gateway ${gateway} among it` : ''}`;
  return `the network ${ours}, ${who}, ${relationWords(overlap)}: ${follows}. ${remedyOf(route, winner)}`;
}

function remedyOf({ prefix, origin }: PlannedRoute, winner: Overlap['winner']): string {
  if (winner === 'local') return 'To reach it, one of the two has to have other addresses.';
  if (origin === 'client') return 'To keep it local, remove the route from the profile.';
  const [network = ''] = prefix.split('/');
  const option = prefix.includes(':') ? `route-ipv6 ${prefix}` : `route ${network}`;
  return `To keep it local: pull-filter ignore "${option}".`;
}

/** The tunnel's own addresses and network. */
function ownLines(
  { address4, address6 }: TunnelNetworks,
  others: readonly DeviceAddress[],
  locals: readonly LocalNetwork[],
): readonly string[] {
  return [address4, address6].flatMap((own) => {
    const bytes = own === undefined ? undefined : parseAddress(own.local);
    if (own === undefined || bytes === undefined) return [];
    const same = others.find(({ address }) => address === formatAddress(bytes));
    if (same !== undefined) {
      return [
        `the tunnel's address ${own.local} is the address of ${same.device} already: answers to it may never come. One of the two has to have another address.`,
      ];
    }
    return ownNetworks(bytes, own).flatMap((prefix) =>
      meet(prefix, locals, 'either').map((overlap) => {
        const alone = prefix.length === bytes.length * 8;
        const what = alone ? `address ${formatAddress(prefix.address)}` : `network ${overlap.ours}`;
        return `the tunnel's own ${what} ${relationWords(overlap)}: ${followWords(overlap)}. One of the two has to have other addresses.`;
      }),
    );
  });
}

/** The network of a subnet, or the two ends of a pair. */
function ownNetworks(
  local: AddressBytes,
  { prefixLength, remote }: TunnelAddress4 | TunnelAddress6,
): readonly Prefix[] {
  const network = { address: networkOf(local, prefixLength), length: prefixLength };
  const other = local.length === 4 && remote !== undefined ? parseAddress(remote) : undefined;
  return other === undefined ? [network] : [network, { address: other, length: 32 }];
}
