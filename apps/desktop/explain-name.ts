// Which name server would be asked for a name, and why: the host's resolver followed step by step over what its files and
// systemd-resolved tell. Pure.

import type { DnsmasqServer, HostsEntry, ResolvConf } from './explain-files.ts';

/** One link's name servers in systemd-resolved, or the global ones. */
export interface ResolvedScope {
  /** Undefined: the global one. */
  readonly device: string | undefined;
  readonly servers: readonly string[];
  readonly domains: readonly { readonly name: string; readonly routeOnly: boolean }[];
  /** Asked for names that no link has claimed. */
  readonly isDefault: boolean;
}

export interface ResolverFacts {
  /** Sources of names in their order. */
  readonly sources: readonly string[];
  readonly hosts: readonly HostsEntry[];
  readonly hostName: string;
  readonly resolvConf: ResolvConf;
  /** Undefined: systemd-resolved does not run. */
  readonly resolved: { readonly scopes: readonly ResolvedScope[]; readonly fallback: readonly string[] } | undefined;
  /** A dnsmasq that answers here. `more`: it may have servers by D-Bus, which it tells nobody. */
  readonly dnsmasq: { readonly servers: readonly DnsmasqServer[]; readonly more: boolean } | undefined;
}

export interface AskedServer {
  readonly address: string;
  /** The link it is asked on, where the resolver says so. */
  readonly device: string | undefined;
}

export type NameDecision =
  /** No server is asked. */
  | { readonly kind: 'hosts-file' | 'this-machine' | 'multicast' | 'nobody'; readonly because: string }
  | {
      readonly kind: 'servers';
      /** Who asks: `systemd-resolved`, `dnsmasq`, or the program itself by `/etc/resolv.conf`. */
      readonly by: 'systemd-resolved' | 'dnsmasq' | '/etc/resolv.conf';
      readonly servers: readonly AskedServer[];
      /** The name that is asked for first. */
      readonly name: string;
      /** What is tried after that. */
      readonly afterwards: readonly string[];
      readonly because: string;
    };

/** What becomes of a name that a program here asks for. */
export function decideName(text: string, facts: ResolverFacts): NameDecision {
  const absolute = text.endsWith('.');
  const name = text.toLowerCase().replace(/\.+$/, '');
  for (const source of facts.sources) {
    const decision = bySource(source, name, absolute, facts);
    if (decision !== undefined) return decision;
  }
  return { kind: 'nobody', because: `nsswitch.conf names no source that knows of it (${facts.sources.join(' ')})` };
}

function bySource(source: string, name: string, absolute: boolean, facts: ResolverFacts): NameDecision | undefined {
  if (source === 'files') {
    const entry = facts.hosts.find(({ names }) => names.includes(name));
    return entry && { kind: 'hosts-file', because: `line ${entry.line} of /etc/hosts has it` };
  }
  if (source === 'myhostname') return ownName(name, facts);
  if (source.startsWith('mdns')) {
    return name.endsWith('.local')
      ? { kind: 'multicast', because: 'names in .local are asked of the local network (mDNS)' }
      : undefined;
  }
  if (source === 'resolve') return facts.resolved && byResolved(name, absolute, facts.resolved, facts);
  return source === 'dns' ? byDns(name, absolute, facts) : undefined;
}

function ownName(name: string, { hostName }: ResolverFacts): NameDecision | undefined {
  if (name === 'localhost' || name.endsWith('.localhost')) {
    return { kind: 'this-machine', because: 'localhost is this machine' };
  }
  if (name === hostName.toLowerCase()) return { kind: 'this-machine', because: "it is this machine's own name" };
  return name === '_gateway' ? { kind: 'this-machine', because: '_gateway is the default route’s' } : undefined;
}

/** resolv.conf: its servers are a resolver on this machine, or are asked by the program itself. */
function byDns(name: string, absolute: boolean, facts: ResolverFacts): NameDecision {
  const { servers, search, ndots, madeFor } = facts.resolvConf;
  const [first = ''] = servers;
  const [full = name, ...afterwards] = fullNames(name, absolute, search, ndots);
  if (/^127\.0\.0\.5[34]$/.test(first) && facts.resolved !== undefined) {
    return continued(byResolved(full, true, facts.resolved, facts), afterwards);
  }
  if (isLoopback(first) && facts.dnsmasq !== undefined) return continued(byDnsmasq(full, facts.dnsmasq), afterwards);
  const others = servers.length > 1 ? `; ${servers.slice(1).join(' and ')} only where it does not answer` : '';
  const who = madeFor === undefined ? '' : `, which Sallyport wrote for ${madeFor}`;
  return {
    kind: 'servers',
    by: '/etc/resolv.conf',
    servers: [{ address: first, device: undefined }],
    name: full,
    afterwards,
    because: `it is the first server of /etc/resolv.conf${who}${others}`,
  };
}

/** The longest domain that a link has decides; links of one length are asked together. */
function byResolved(
  name: string,
  absolute: boolean,
  { scopes, fallback }: NonNullable<ResolverFacts['resolved']>,
  facts: ResolverFacts,
): NameDecision {
  const own = ownName(name, facts);
  if (own !== undefined) return own;
  const search = scopes.flatMap(({ domains }) =>
    domains.filter(({ routeOnly }) => !routeOnly).map((each) => each.name),
  );
  const [full = name, ...afterwards] =
    name.includes('.') || absolute ? [name] : [...search.map((each) => `${name}.${each}`)];
  if (!full.includes('.')) {
    return {
      kind: 'nobody',
      because: 'systemd-resolved asks no name server for a name without a dot, and has no search domain',
    };
  }
  const base = { kind: 'servers', by: 'systemd-resolved', name: full, afterwards } as const;
  const able = scopes.filter(({ servers }) => servers.length > 0);
  const matches = able.flatMap((scope) =>
    scope.domains.map((domain) => ({ scope, name: domain.name, length: matchLength(full, domain.name) })),
  );
  const longest = Math.max(-1, ...matches.map(({ length }) => length));
  if (longest >= 0) {
    const best = matches.filter(({ length }) => length === longest);
    const winners = [...new Set(best.map(({ scope }) => scope))];
    const domain = best[0]?.name ?? '';
    const who = winners.map(linkText).join(' and ');
    const because =
      domain === ''
        ? `${who} ${winners.length > 1 ? 'are' : 'is'} asked for every name (~.)`
        : `${who} ${winners.length > 1 ? 'have' : 'has'} the domain ${domain}`;
    return { ...base, servers: serversOf(winners), because };
  }
  const defaults = able.filter(({ isDefault }) => isDefault);
  if (defaults.length > 0) {
    const who = defaults.map(linkText).join(' and ');
    return {
      ...base,
      servers: serversOf(defaults),
      because: `no link has a domain that it is in, and ${who} ${defaults.length > 1 ? 'are' : 'is'} asked for all else`,
    };
  }
  if (able.length === 0 && fallback.length > 0) {
    return {
      ...base,
      servers: fallback.map((address) => ({ address, device: undefined })),
      because: 'no link has a name server; these are the fallback servers of systemd-resolved',
    };
  }
  return { kind: 'nobody', because: 'no name server of systemd-resolved is for this name' };
}

/** One is asked at a time: resolved keeps to the first that answers. */
const serversOf = (scopes: readonly ResolvedScope[]): readonly AskedServer[] =>
  scopes.flatMap(({ device, servers }) => servers.slice(0, 1).map((address) => ({ address, device })));
const linkText = ({ device }: ResolvedScope): string => device ?? 'the global setting';

function byDnsmasq(name: string, { servers, more }: NonNullable<ResolverFacts['dnsmasq']>): NameDecision {
  const matches = servers.flatMap((server) =>
    server.domains.map((domain) => ({ server, domain, length: matchLength(name, domain) })),
  );
  const longest = Math.max(0, ...matches.map(({ length }) => length));
  const best = matches.filter(({ length }) => longest > 0 && length === longest);
  const [first] = best;
  const unseen = more ? '; servers that it was given by D-Bus are told to nobody' : '';
  if (first !== undefined) {
    const asked = best.flatMap(({ server }) => server.address ?? []);
    if (asked.length === 0) return { kind: 'nobody', because: `dnsmasq answers for ${first.domain} itself` };
    return dnsmasqServers(name, asked, `dnsmasq has them for ${first.domain}${unseen}`);
  }
  const rest = servers.filter(({ domains }) => domains.length === 0).flatMap(({ address }) => address ?? []);
  if (rest.length === 0) return { kind: 'nobody', because: `no server of dnsmasq is for this name${unseen}` };
  return dnsmasqServers(name, rest, `no domain of dnsmasq's settings holds it, and these are for all else${unseen}`);
}

const dnsmasqServers = (name: string, addresses: readonly string[], because: string): NameDecision => ({
  kind: 'servers',
  by: 'dnsmasq',
  servers: [...new Set(addresses)].map((address) => ({ address, device: undefined })),
  name,
  afterwards: [],
  because,
});

const continued = (decision: NameDecision, afterwards: readonly string[]): NameDecision =>
  decision.kind === 'servers' ? { ...decision, afterwards } : decision;

/** The names that are asked for, in their order (resolv.conf(5)). */
function fullNames(name: string, absolute: boolean, search: readonly string[], ndots: number): readonly string[] {
  if (absolute) return [name];
  const longer = search.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...longer] : [...longer, name];
}

/** How many labels of a domain a name ends with: 0 for the root, -1 where it is not in it. */
function matchLength(name: string, domain: string): number {
  if (domain === '') return 0;
  return name === domain || name.endsWith(`.${domain}`) ? domain.split('.').length : -1;
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
