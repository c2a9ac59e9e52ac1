// What NetworkManager has to know of a tunnel that is up, as the client tells it to the service: plain JSON, made from the
// plan in the one process and read with suspicion in the other, which has more rights.

import type { SocketAddress, TunnelPlan } from '../../src/command.ts';
import { formatAddress } from '../../src/command.ts';
import { isHostDomain, parseAddress, parsePrefix, unmapSocketAddress } from '../../src/handed-device.ts';

export interface FactsRoute {
  /** `10.8.0.0/16` */
  readonly prefix: string;
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
}

export interface TunnelFacts {
  /** The other end outside of the tunnel: the server, or the proxy before it. */
  readonly remote: string;
  readonly device: string;
  readonly mtuBytes: number;
  readonly address4:
    | { readonly local: string; readonly prefixLength: number; readonly remote: string | undefined }
    | undefined;
  readonly address6: { readonly local: string; readonly prefixLength: number } | undefined;
  readonly gateway4: string | undefined;
  readonly gateway6: string | undefined;
  readonly routes: readonly FactsRoute[];
  /** What the server says of the default route. `private`: it is not to be taken. */
  readonly redirect4: 'taken' | 'private' | 'unsaid';
  readonly redirect6: 'taken' | 'private' | 'unsaid';
  readonly dns: readonly string[];
  readonly wins: readonly string[];
  /** Tried behind names, and asked of the tunnel's servers. */
  readonly searchDomains: readonly string[];
  /** Only asked of the tunnel's servers. */
  readonly routingDomains: readonly string[];
  /** Sentences for the log about what NetworkManager can't be told. */
  readonly notes: readonly string[];
}

const ROUTES_LIMIT = 4096;
const LIST_LIMIT = 256;
const DNS_PORT = 53;

/** `foreignOptions`: what was pushed as `dhcp-option`, of which the plan has not all. */
export function tunnelFacts(plan: TunnelPlan, remote: SocketAddress, foreignOptions: readonly string[]): TunnelFacts {
  const { address4, address6 } = plan;
  const notes: string[] = [];
  const routes: FactsRoute[] = [];
  for (const { prefix, gateway, statedGateway, device, metric, table, origin } of plan.routes) {
    if ((origin !== 'server' && origin !== 'client' && origin !== 'block-local') || /\/0$/.test(prefix)) continue;
    const own = isSix(prefix) ? plan.vpnGateway6 : plan.vpnGateway4;
    const outside = gateway !== undefined && (gateway === plan.netGateway4 || gateway === plan.netGateway6);
    if (outside || (device !== undefined && device !== plan.device)) {
      notes.push(`the route ${prefix} past the tunnel is left out: NetworkManager takes routes into the tunnel only`);
      continue;
    }
    if (table !== undefined) notes.push(`the route ${prefix} is set in the main table, not in ${table}`);
    routes.push({ prefix, gateway: gateway ?? statedGateway ?? own, metric });
  }
  return {
    remote: formatAddress(unmapSocketAddress(remote).address),
    device: plan.device,
    mtuBytes: plan.mtuBytes,
    address4: address4 && {
      local: address4.local,
      prefixLength: address4.prefixLength,
      remote: address4.remote,
    },
    address6: address6 && { local: address6.local, prefixLength: address6.prefixLength },
    gateway4: plan.vpnGateway4,
    gateway6: plan.vpnGateway6,
    routes,
    redirect4: redirectOf(plan, false),
    redirect6: redirectOf(plan, true),
    ...dnsFacts(plan, notes),
    wins: foreignOptions
      .flatMap((text) => /^dhcp-option WINS (\S+)$/.exec(text)?.[1] ?? [])
      .filter((text) => isAddress(text, 4)),
    notes,
  };
}

const isSix = (prefix: string): boolean => prefix.includes(':');

/** What `redirect-gateway` plans, or a default route that was stated as such. */
function redirectOf(plan: TunnelPlan, six: boolean): TunnelFacts['redirect4'] {
  const whole = plan.routes.some(
    ({ prefix, origin }) => isSix(prefix) === six && (origin === 'redirect-gateway' || /\/0$/.test(prefix)),
  );
  if (whole) return 'taken';
  return (six ? plan.redirect6 : plan.redirect4) ? 'private' : 'unsaid';
}

/** Every server and domain; what a plain question on port 53 can't reach is left out. */
function dnsFacts(plan: TunnelPlan, notes: string[]): Pick<TunnelFacts, 'dns' | 'searchDomains' | 'routingDomains'> {
  const dns: string[] = [];
  const routing: string[] = [];
  for (const { addresses, resolveDomains, transport, dnssec } of plan.dns.servers) {
    if (transport !== undefined && transport !== 'plain') {
      notes.push(
        `the name server ${addresses[0]?.address ?? ''} is left out: NetworkManager asks in plain only, and it wants ${transport}`,
      );
      continue;
    }
    if (dnssec === 'yes') notes.push('DNSSEC is left to what NetworkManager is set to');
    for (const { address, port } of addresses) {
      if (port !== undefined && port !== DNS_PORT) {
        notes.push(
          `the name server ${address} is left out: NetworkManager asks on port 53 only, and it listens on ${port}`,
        );
      } else dns.push(address);
    }
    routing.push(...resolveDomains.filter((name) => name !== '.'));
  }
  return {
    dns: [...new Set(dns)],
    searchDomains: [...new Set(plan.dns.searchDomains)],
    routingDomains: [...new Set(routing)].filter((name) => !plan.dns.searchDomains.includes(name)),
  };
}

/** What another process says that these are; undefined where anything of it can't be. */
export function readTunnelFacts(value: unknown): TunnelFacts | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const of = value as Readonly<Record<string, unknown>>;
  const address4 = readAddress(of.address4, 4);
  const address6 = readAddress(of.address6, 6);
  const routes = list(of.routes, ROUTES_LIMIT)?.map(readRoute);
  const dns = texts(of.dns, isAddress);
  const wins = texts(of.wins, (text) => isAddress(text, 4));
  const searchDomains = texts(of.searchDomains, isHostDomain);
  const routingDomains = texts(of.routingDomains, isHostDomain);
  const notes = texts(of.notes, () => true);
  const { remote, device, mtuBytes, gateway4, gateway6, redirect4, redirect6 } = of;
  const usable =
    address4 !== false &&
    address6 !== false &&
    isAddress(remote) &&
    typeof device === 'string' &&
    isNumber(mtuBytes, 576, 65_535) &&
    (gateway4 === undefined || isAddress(gateway4, 4)) &&
    (gateway6 === undefined || isAddress(gateway6, 6)) &&
    isRedirect(redirect4) &&
    isRedirect(redirect6);
  if (!usable || !dns || !wins || !searchDomains || !routingDomains || !notes) return undefined;
  if (routes === undefined || routes.includes(undefined)) return undefined;
  return {
    ...{ remote, device, mtuBytes, address4, address6, gateway4, gateway6, redirect4, redirect6 },
    routes: routes.filter((route) => route !== undefined),
    ...{ dns, wins, searchDomains, routingDomains, notes },
  };
}

const isAddress = (value: unknown, family?: 4 | 6): value is string => {
  const bytes = typeof value === 'string' && value.length < 64 ? parseAddress(value) : undefined;
  return bytes !== undefined && (family === undefined || bytes.length === (family === 4 ? 4 : 16));
};
const isNumber = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
const isRedirect = (value: unknown): value is TunnelFacts['redirect4'] =>
  value === 'taken' || value === 'private' || value === 'unsaid';
const list = (value: unknown, limit: number): readonly unknown[] | undefined =>
  Array.isArray(value) && value.length <= limit ? value : undefined;
const texts = (value: unknown, fits: (text: string) => boolean): readonly string[] | undefined => {
  const found = list(value, LIST_LIMIT);
  return found?.every((each): each is string => typeof each === 'string' && each.length <= 1024 && fits(each))
    ? (found as readonly string[])
    : undefined;
};

function readRoute(value: unknown): FactsRoute | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { prefix, gateway, metric } = value as Readonly<Record<string, unknown>>;
  if (typeof prefix !== 'string' || prefix.length > 64 || parsePrefix(prefix) === undefined) return undefined;
  if (gateway !== undefined && !isAddress(gateway, isSix(prefix) ? 6 : 4)) return undefined;
  if (metric !== undefined && !isNumber(metric, 0, 0xffff_ffff)) return undefined;
  return { prefix, gateway, metric };
}

/** false: it is none. */
function readAddress(value: unknown, family: 4 | 6): NonNullable<TunnelFacts['address4']> | undefined | false {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) return false;
  const { local, prefixLength, remote } = value as Readonly<Record<string, unknown>>;
  if (!isAddress(local, family) || !isNumber(prefixLength, 1, family === 4 ? 32 : 128)) return false;
  if (remote !== undefined && !isAddress(remote, family)) return false;
  return { local, prefixLength, remote };
}
