// The one table of what a tunnel's name servers are asked for. docs/DNS.md shows its rows; a test holds it to them.
//
// A server with resolve-domains is asked for these names and the search domains; one without is asked for everything,
// whether the default route is taken or not, as OpenVPN 2.7 has it. A tunnel that is for its own networks only is asked
// for its domains alone, and where it names none, for nothing.

import type { DnsServerWanted, DnsSetting, DnsWanted } from './dns-port.ts';

/** One row: what is stated, and what becomes of it. */
export interface DnsRow {
  /** The server names domains of its own (`resolve-domains`). */
  readonly resolveDomains: boolean;
  /** There are search domains. undefined: it makes no difference. */
  readonly searchDomains: boolean | undefined;
  readonly onlyItsNetworks: boolean;
  /** Whether the servers are set at all. */
  readonly set: boolean;
  readonly isDefault: boolean;
  readonly routing: 'everything' | 'resolve-domains' | 'nothing';
}

export const DNS_TABLE: readonly DnsRow[] = [
  row(false, undefined, false, true, true, 'everything'),
  row(true, undefined, false, true, false, 'resolve-domains'),
  row(true, undefined, true, true, false, 'resolve-domains'),
  row(false, true, true, true, false, 'nothing'),
  row(false, false, true, false, false, 'nothing'),
];

/** What a way to set name servers can do. */
export interface DnsAbilities {
  /** Ports other than 53. */
  readonly ports: boolean;
  readonly dnssec: boolean;
  readonly overTls: boolean;
  /** Asks different servers for different names. */
  readonly split: boolean;
}

/**
 * `widened`: the host can't ask by names, so that the tunnel's servers get all of them, as 2.7 does. A tunnel for its own
 * networks only is then not given any.
 */
export type DnsDecision =
  | { readonly kind: 'set'; readonly setting: DnsSetting; readonly priority: number; readonly widened: boolean }
  | { readonly kind: 'none'; readonly reason: string };

/** The first server that this host can use, as this host is to use it. */
export function decideDns(wanted: DnsWanted, abilities: DnsAbilities): DnsDecision {
  const server = wanted.servers.find((each) => canUse(each, abilities));
  if (server === undefined) return { kind: 'none', reason: 'setting DNS failed, no compatible server profile' };
  const search = unique(wanted.searchDomains.filter(isHostDomain).map(withoutDots)).filter((name) => name !== '');
  const stated = unique(server.resolveDomains.filter(isHostDomain).map(withoutDots));
  // A resolve-domain of `.` is every name: the same as none at all.
  const domains = stated.includes('') ? [] : stated;
  const found = DNS_TABLE.find(
    (each) =>
      each.onlyItsNetworks === wanted.onlyItsNetworks &&
      each.resolveDomains === domains.length > 0 &&
      (each.searchDomains ?? search.length > 0) === search.length > 0,
  );
  if (found === undefined || !found.set) {
    return { kind: 'none', reason: 'no domain says which names belong to this tunnel, and it may not answer for all' };
  }
  const widened = !abilities.split && !found.isDefault;
  if (widened && wanted.onlyItsNetworks) {
    return { kind: 'none', reason: "the host's resolver can't ask different servers for different names" };
  }
  const everything = widened || found.routing === 'everything';
  const own = found.routing === 'resolve-domains' ? domains.filter((name) => !search.includes(name)) : [];
  return {
    kind: 'set',
    priority: server.priority,
    widened,
    setting: {
      servers: server.addresses.map(({ address, port }) => ({ address, port: port === 53 ? undefined : port })),
      sni: server.transport === 'DoT' ? server.sni : undefined,
      search,
      routing: everything ? ['.'] : own,
      isDefault: everything,
      dnssec: server.dnssec === 'yes' ? 'yes' : server.dnssec === 'optional' ? 'allow-downgrade' : 'no',
      overTls: server.transport === 'DoT',
    },
  };
}

/** What is not plain ASCII letters, digits, dots, hyphens and underscores never gets near a file of the host. */
export const isHostDomain = (name: string): boolean => /^[A-Za-z0-9._-]{1,255}$/.test(name);

/** A device's name, as the kernel takes them, and as no file, program or line takes harm from. */
export const isDnsDevice = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(name);

function canUse({ addresses, transport, dnssec }: DnsServerWanted, abilities: DnsAbilities): boolean {
  if (addresses.length === 0 || transport === 'DoH') return false;
  if (transport === 'DoT' && !abilities.overTls) return false;
  if (dnssec !== undefined && dnssec !== 'no' && !abilities.dnssec) return false;
  return abilities.ports || addresses.every(({ port }) => port === undefined || port === 53);
}

function row(
  resolveDomains: boolean,
  searchDomains: boolean | undefined,
  onlyItsNetworks: boolean,
  set: boolean,
  isDefault: boolean,
  routing: DnsRow['routing'],
): DnsRow {
  return { resolveDomains, searchDomains, onlyItsNetworks, set, isDefault, routing };
}

const withoutDots = (name: string): string => name.replace(/^\.+|\.+$/g, '').toLowerCase();
const unique = (names: readonly string[]): string[] => [...new Set(names)];
