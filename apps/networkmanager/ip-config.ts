// A tunnel's facts as the three dictionaries that NetworkManager takes: Config, Ip4Config, Ip6Config. An IPv4 address is a
// number whose bytes in memory are the address in network order; an IPv6 address is 16 bytes.

import { type BusVariant, BusVariant as Variant } from '../../src/bus.ts';
import { parseAddress, parsePrefix } from '../../src/handed-device.ts';
import type { TunnelFacts } from './tunnel-facts.ts';

export type Dictionary = Readonly<Record<string, BusVariant>>;

export interface IpConfig {
  readonly config: Dictionary;
  readonly ip4: Dictionary | undefined;
  readonly ip6: Dictionary | undefined;
  /** IPv6 goes into the tunnel, where nothing takes it, because all IPv4 goes there and the tunnel has no IPv6. */
  readonly blocksIpv6: boolean;
  /** A tunnel for its own networks, whose name servers are for no domain of their own: they are left out. */
  readonly withoutDns: boolean;
}

export interface IpConfigRules {
  /** The connection's own `never-default`, which NetworkManager carries out. */
  readonly neverDefault4: boolean;
  readonly neverDefault6: boolean;
  /** Everything goes through the tunnel even where the server does not say so. */
  readonly takesDefaultRoute: boolean;
  readonly blocksIpv6Leak: boolean;
  readonly banner: string | undefined;
}

/** The types of what is in the dictionaries, by name: of what we say, and of what others may have us say. */
export const CONFIG_TYPES: Readonly<Record<string, string>> = {
  tundev: 's',
  mtu: 'u',
  banner: 's',
  pac: 's',
  'has-ip4': 'b',
  'has-ip6': 'b',
  'can-persist': 'b',
};
export const IP4_TYPES: Readonly<Record<string, string>> = {
  address: 'u',
  prefix: 'u',
  'internal-gateway': 'u',
  ptp: 'u',
  routes: 'aau',
  dns: 'au',
  nbns: 'au',
  domain: 's',
  domains: 'as',
  mss: 'u',
  'never-default': 'b',
  'preserve-routes': 'b',
};
export const IP6_TYPES: Readonly<Record<string, string>> = {
  address: 'ay',
  prefix: 'u',
  'internal-gateway': 'ay',
  ptp: 'ay',
  routes: 'a(ayuayu)',
  dns: 'aay',
  domain: 's',
  domains: 'as',
  mss: 'u',
  'never-default': 'b',
  'preserve-routes': 'b',
};

/** What is told of a tunnel that is up. The facts are checked ones. */
export function ipConfigOf(facts: TunnelFacts, rules: IpConfigRules): IpConfig {
  const never4 = neverDefault(facts.redirect4, rules.takesDefaultRoute);
  const takesAll4 = facts.address4 !== undefined && !never4 && !rules.neverDefault4;
  // Where all IPv4 goes through the tunnel, IPv6 goes with it rather than past it.
  const never6 = neverDefault(facts.redirect6, rules.takesDefaultRoute || (takesAll4 && rules.blocksIpv6Leak));
  const takesAll6 = facts.address6 !== undefined && !never6 && !rules.neverDefault6;
  const blocksIpv6 = rules.blocksIpv6Leak && facts.address6 === undefined && takesAll4;
  const domains = facts.searchDomains.length + facts.routingDomains.length;
  const withoutDns = !takesAll4 && !takesAll6 && domains === 0 && facts.dns.length > 0;
  return {
    ...dictionaries(withoutDns ? { ...facts, dns: [] } : facts, rules, { never4, never6, blocksIpv6 }),
    withoutDns,
  };
}

function dictionaries(
  facts: TunnelFacts,
  rules: IpConfigRules,
  { never4, never6, blocksIpv6 }: { never4: boolean; never6: boolean; blocksIpv6: boolean },
): Omit<IpConfig, 'withoutDns'> {
  const ip4 = facts.address4 === undefined ? undefined : ip4Config(facts, facts.address4, never4);
  const ip6 =
    facts.address6 !== undefined
      ? ip6Config(facts, facts.address6, never6)
      : blocksIpv6
        ? blockingConfig(facts)
        : undefined;
  return {
    config: {
      gateway: addressVariant(facts.remote),
      tundev: new Variant('s', facts.device),
      mtu: new Variant('u', facts.mtuBytes),
      'has-ip4': new Variant('b', ip4 !== undefined),
      'has-ip6': new Variant('b', ip6 !== undefined),
      'can-persist': new Variant('b', true),
      ...(rules.banner === undefined ? {} : { banner: new Variant('s', rules.banner) }),
    },
    ip4,
    ip6,
    blocksIpv6,
  };
}

/** `redirect-private` says that the default route is not to be taken; without a word, the connection decides. */
const neverDefault = (redirect: TunnelFacts['redirect4'], takesDefaultRoute: boolean): boolean =>
  redirect === 'private' || (redirect === 'unsaid' && !takesDefaultRoute);

function ip4Config(facts: TunnelFacts, address: NonNullable<TunnelFacts['address4']>, never: boolean): Dictionary {
  const routes = facts.routes.flatMap(({ prefix, gateway, metric }) => {
    const known = parsePrefix(prefix);
    if (known?.address.length !== 4) return [];
    return [[number4(known.address), known.length, gateway === undefined ? 0 : number4Of(gateway), metric ?? 0]];
  });
  return {
    address: new Variant('u', number4Of(address.local)),
    prefix: new Variant('u', address.prefixLength),
    ...(address.remote === undefined ? {} : { ptp: new Variant('u', number4Of(address.remote)) }),
    ...(facts.gateway4 === undefined ? {} : { 'internal-gateway': new Variant('u', number4Of(facts.gateway4)) }),
    ...(routes.length === 0 ? {} : { routes: new Variant('aau', routes) }),
    ...listed('dns', 'au', facts.dns.filter(isFour).map(number4Of)),
    ...listed('nbns', 'au', facts.wins.filter(isFour).map(number4Of)),
    ...listed('domains', 'as', domainsOf(facts)),
    'never-default': new Variant('b', never),
  };
}

function ip6Config(facts: TunnelFacts, address: NonNullable<TunnelFacts['address6']>, never: boolean): Dictionary {
  const routes = facts.routes.flatMap(({ prefix, gateway, metric }) => {
    const known = parsePrefix(prefix);
    if (known?.address.length !== 16) return [];
    const hop = gateway === undefined ? new Uint8Array(16) : bytesOf(gateway);
    return [[known.address, known.length, hop, metric ?? 0]];
  });
  return {
    address: new Variant('ay', bytesOf(address.local)),
    prefix: new Variant('u', address.prefixLength),
    ...(facts.gateway6 === undefined ? {} : { 'internal-gateway': new Variant('ay', bytesOf(facts.gateway6)) }),
    ...(routes.length === 0 ? {} : { routes: new Variant('a(ayuayu)', routes) }),
    ...listed('dns', 'aay', facts.dns.filter((text) => !isFour(text)).map(bytesOf)),
    ...listed('domains', 'as', domainsOf(facts)),
    'never-default': new Variant('b', never),
  };
}

/** fd73:616c:6c79:706f:7274::/80, and the tunnel's IPv4 address behind it: a unique local prefix of our own (RFC 4193). */
const BLOCKING_PREFIX = [0xfd, 0x73, 0x61, 0x6c, 0x6c, 0x79, 0x70, 0x6f, 0x72, 0x74, 0, 0];

/** An address that nobody else has, so that the default route of IPv6 leads to the tunnel, which says "unreachable". */
function blockingConfig({ address4 }: TunnelFacts): Dictionary {
  return {
    address: new Variant('ay', Uint8Array.from([...BLOCKING_PREFIX, ...bytesOf(address4?.local ?? '0.0.0.0')])),
    prefix: new Variant('u', 128),
    'never-default': new Variant('b', false),
  };
}

/** NetworkManager's sign for a name that is only asked for there, and never tried behind another one, is a tilde. */
const domainsOf = ({ searchDomains, routingDomains }: TunnelFacts): string[] => [
  ...searchDomains,
  ...routingDomains.map((name) => `~${name}`),
];

const listed = (name: string, signature: string, values: readonly unknown[]): Dictionary =>
  values.length === 0 ? {} : { [name]: new Variant(signature, values) };

const isFour = (text: string): boolean => !text.includes(':');
const bytesOf = (text: string): Uint8Array => parseAddress(text) ?? new Uint8Array(4);
const number4Of = (text: string): number => number4(bytesOf(text));
const number4 = (bytes: Uint8Array): number => new Uint32Array(Uint8Array.from(bytes.subarray(0, 4)).buffer)[0] ?? 0;

const addressVariant = (text: string): BusVariant =>
  isFour(text) ? new Variant('u', number4Of(text)) : new Variant('ay', bytesOf(text));

/** What somebody else wants to have said, in the types that NetworkManager expects; names that it does not know are dropped. */
export function typedDictionary(value: unknown, types: Readonly<Record<string, string>>): Dictionary {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.flatMap(([name, entry]: [string, unknown]) => {
      if (name === 'gateway') return [[name, new Variant(entry instanceof Uint8Array ? 'ay' : 'u', entry)]];
      const signature = Object.hasOwn(types, name) ? types[name] : undefined;
      return signature === undefined ? [] : [[name, new Variant(signature, entry)]];
    }),
  );
}
