// `only-its-networks`: the tunnel is used for its own networks and names, and for nothing else. Default routes and name
// servers for every name are left out, whoever states them; networks, and servers for certain domains, stay.

import type { DnsServerOption, Route6Option, RouteOption, TunnelOptions } from '../config/config.ts';
import { type AddressBytes, parseAddress } from '../ip/address.ts';
import { netmaskToLength, networkOf, type Prefix, parsePrefix, prefixContains } from '../ip/prefix.ts';

export interface OwnNetworks {
  readonly options: TunnelOptions;
  /** What was left out, in words of the options; one line of the log. */
  readonly leftOut: readonly string[];
}

/** The options without what would make the tunnel the way to everything. What it keeps keeps its identity. */
export function onlyItsNetworks(options: TunnelOptions): OwnNetworks {
  const { redirectGateway, redirectPrivate } = options;
  const leftOut: string[] = [];
  if (redirectGateway !== undefined) leftOut.push('redirect-gateway');
  if (redirectPrivate?.ipv6) leftOut.push('redirect-private ipv6');
  if (redirectPrivate?.blockLocal) leftOut.push('redirect-private block-local');
  const routes = withoutDefault(options.routes, prefix4, isDefault4);
  const routes6 = withoutDefault(options.routes6, ({ network }) => parsePrefix(network), isDefault6);
  for (const { network, netmask } of routes.left) leftOut.push(`route ${network} ${netmask ?? ''}`.trimEnd());
  for (const { network } of routes6.left) leftOut.push(`route-ipv6 ${network}`);
  const dns = ownDns(options);
  for (const address of dns.left) leftOut.push(`DNS server ${address}`);
  return {
    options: {
      ...options,
      redirectGateway: undefined,
      redirectPrivate: redirectPrivate && { ...redirectPrivate, ipv6: false, blockLocal: false },
      routes: routes.kept,
      routes6: routes6.kept,
      ...dns.options,
    },
    leftOut,
  };
}

const NAMED = 8;

/** The one line about what was left out; undefined when that is nothing. */
export function leftOutLine(leftOut: readonly string[]): string | undefined {
  if (leftOut.length === 0) return undefined;
  const more = leftOut.length > NAMED ? ` and ${leftOut.length - NAMED} more` : '';
  return `only-its-networks: left out ${leftOut.slice(0, NAMED).join(', ')}${more}`;
}

interface Split<T> {
  readonly kept: readonly T[];
  readonly left: readonly T[];
}

/**
 * Routes that lie in no other one are judged together: 0.0.0.0/1 and 128.0.0.0/1 mean the default route as much as
 * 0.0.0.0/0 does. A network inside of them was named on its own, and stays, unless those inside mean the default route
 * again.
 */
function withoutDefault<T extends RouteOption | Route6Option>(
  routes: readonly T[],
  prefixOf: (route: T) => Prefix | 'everything' | undefined,
  areDefault: (widest: readonly Prefix[]) => boolean,
): Split<T> {
  const left = new Set<T>();
  let found: { readonly route: T; readonly prefix: Prefix }[] = [];
  for (const route of routes) {
    const prefix = route.gateway === 'net_gateway' ? undefined : prefixOf(route);
    if (prefix === 'everything') left.add(route);
    else if (prefix !== undefined && prefix.length <= WIDE[prefix.address.length === 4 ? 4 : 6])
      found.push({ route, prefix });
  }
  for (;;) {
    const keys = new Set(found.map(({ prefix }) => keyOf(prefix)));
    const widest = found.filter(({ prefix }) => !isInside(prefix, keys));
    if (!areDefault(widest.map(({ prefix }) => prefix))) break;
    const gone = new Set(widest.filter(({ prefix }) => !isPrivate(prefix)).map(({ route }) => route));
    if (gone.size === 0) break;
    for (const route of gone) left.add(route);
    found = found.filter(({ route }) => !gone.has(route));
  }
  if (left.size === 0) return { kept: routes, left: [] };
  return { kept: routes.filter((route) => !left.has(route)), left: routes.filter((route) => left.has(route)) };
}

/** Whether a shorter prefix among these contains it. */
function isInside({ address, length }: Prefix, keys: ReadonlySet<string>): boolean {
  for (let shorter = 0; shorter < length; shorter++) {
    if (keys.has(keyOf({ address: networkOf(address, shorter), length: shorter }))) return true;
  }
  return false;
}

/** Only wide prefixes can mean a default route together; what is longer is a network in any case, and not compared. */
const WIDE = { 4: 16, 6: 32 } as const;
/** The part of all addresses that nobody's own networks take up. */
const TOO_MUCH = 1 / 4;

const sizeOf = ({ length }: Prefix): number => 2 ** -length;
const keyOf = ({ address, length }: Prefix): string => `${address.join('.')}/${length}`;
const sum = (prefixes: readonly Prefix[]): number =>
  [...new Map(prefixes.map((prefix) => [keyOf(prefix), sizeOf(prefix)])).values()].reduce((a, b) => a + b, 0);

const isDefault4 = (widest: readonly Prefix[]): boolean => sum(widest) >= TOO_MUCH;

/** Global unicast (2000::/3) counts: an eighth of all addresses, and all that are in use. */
function isDefault6(widest: readonly Prefix[]): boolean {
  if (widest.some(({ length }) => length <= 3)) return true;
  return sum(widest.filter(({ address }) => (address[0]! & 0xe0) === 0x20)) * 8 >= TOO_MUCH;
}

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(
  (text) => parsePrefix(text) as Prefix,
);

/** In a range that is no part of the Internet. fc00::/7 as a whole is how redirections are written. */
function isPrivate({ address, length }: Prefix): boolean {
  return PRIVATE.some(
    (range) =>
      range.address.length === address.length &&
      (address.length === 4 ? length >= range.length : length > range.length) &&
      prefixContains(range, address),
  );
}

/** A name is a host's: whatever it stands for, with the netmask of a wide network it is none. */
function prefix4({ network, netmask }: RouteOption): Prefix | 'everything' | undefined {
  const bytes: AddressBytes | undefined = parseAddress(network);
  const mask = netmask === undefined ? undefined : parseAddress(netmask);
  const length = mask?.length === 4 ? netmaskToLength(mask) : undefined;
  if (length === undefined) return undefined;
  if (bytes === undefined) return length <= WIDE[4] ? 'everything' : undefined;
  if (bytes.length !== 4) return undefined;
  return { address: networkOf(bytes, length), length };
}

const DOMAIN_WORDS = new Set(['DOMAIN', 'ADAPTER-DOMAIN-SUFFIX', 'ADAPTER_DOMAIN_SUFFIX', 'DOMAIN-SEARCH']);
const SERVER_WORDS = new Set(['DNS', 'DNS6']);

interface OwnDns {
  readonly options: Pick<TunnelOptions, 'dns' | 'dnsSearchDomains' | 'dhcpOptions'>;
  /** Addresses of servers that would have been asked for every name. */
  readonly left: readonly string[];
}

/** Servers that name no domains are asked for the search domains; where there are none either, they are left out. */
function ownDns(options: TunnelOptions): OwnDns {
  const old = options.dns.length === 0;
  const values = (words: ReadonlySet<string>) =>
    options.dhcpOptions.flatMap(([word = '', value]) => (value !== undefined && words.has(word) ? [value] : []));
  const search = [...options.dnsSearchDomains, ...(old ? values(DOMAIN_WORDS) : [])].filter((name) => name !== '.');
  const addresses = old ? values(SERVER_WORDS).map((address) => ({ address, port: undefined })) : [];
  const servers: readonly DnsServerOption[] =
    addresses.length > 0
      ? [{ priority: 0, addresses, resolveDomains: [], dnssec: undefined, transport: undefined, sni: undefined }]
      : options.dns;
  const dns: DnsServerOption[] = [];
  const left: string[] = [];
  for (const server of servers) {
    const named = server.resolveDomains.filter((name) => name !== '.');
    const resolveDomains = named.length > 0 ? named : search;
    if (resolveDomains.length > 0) dns.push({ ...server, resolveDomains });
    else left.push(...server.addresses.map(({ address }) => address));
  }
  const said = (word = '') => SERVER_WORDS.has(word) || DOMAIN_WORDS.has(word);
  const dhcpOptions = options.dhcpOptions.filter(([word]) => !said(word));
  return { options: { dns, dnsSearchDomains: search, dhcpOptions }, left };
}
