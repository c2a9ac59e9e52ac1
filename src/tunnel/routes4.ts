// IPv4 routes: the redirection of the default route with all its flags, the way to the server, and the routes that
// profile and server state, in the order in which the C program adds them.

import type { RouteOption } from '../config/config.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../ip/address.ts';
import { formatPrefix, netmaskToLength, networkOf, parsePrefix, prefixContains } from '../ip/prefix.ts';
import { Level } from '../log.ts';
import type { GatewayFacts } from './host-facts.ts';
import type { PlannedRoute, TunnelAddress4 } from './plan.ts';
import { addresses4, isPointToPoint, isStated, type RoutePlanning, redirectFlag } from './planning.ts';
import type { HostRoute } from './ports.ts';

export interface Routes4 {
  readonly routes: readonly PlannedRoute[];
  /** Those of them that lead into the tunnel. */
  readonly through: readonly PlannedRoute[];
  readonly replaced: readonly HostRoute[];
  readonly redirected: boolean;
  readonly vpnGateway: string | undefined;
}

/** Plans the IPv4 routes. What can't be planned is said and left out. */
export function planRoutes4(planning: RoutePlanning, address: TunnelAddress4 | undefined): Routes4 {
  const { input, say } = planning;
  const vpnGateway = planVpnGateway(planning);
  const redirection = planRedirection(planning, vpnGateway);
  const stated = input.options.routes.flatMap((option) => planStated(planning, option, vpnGateway));
  const blocked = blockLocal(planning, vpnGateway);
  const server = serverOf(planning);
  const inside = (route: PlannedRoute) => route.statedGateway === vpnGateway && !route.origin.startsWith('host');
  const tunnelled = [...stated, ...blocked].filter((route) => {
    if (server === undefined || route.prefix !== `${formatAddress(server)}/32` || !inside(route)) return true;
    say(
      Level.warning,
      `WARNING: route to the VPN server itself (${route.prefix}) would go through the tunnel; not added`,
    );
    return false;
  });
  const guard = guardServer(planning, [...redirection.routes, ...tunnelled], inside);
  if (tunnelled.length > 0 && address === undefined) {
    say(
      Level.info,
      `WARNING: OpenVPN was configured to add an IPv4 route. However, no IPv4 has been configured for ${input.device.name}, therefore the route installation may fail or may not work as expected.`,
    );
  }
  const through = [...redirection.routes, ...tunnelled].filter(inside);
  return {
    routes: [...guard, ...redirection.routes, ...tunnelled],
    through,
    replaced: redirection.replaced,
    redirected: redirection.done,
    vpnGateway,
  };
}

/** `route-gateway`, else the remote end of a point-to-point `ifconfig`. */
function planVpnGateway({ input, fail }: RoutePlanning): string | undefined {
  const { options } = input;
  const stated = options.routeGateway === 'dhcp' ? undefined : options.routeGateway;
  const text = stated ?? (isPointToPoint(input) ? options.ifconfig?.remoteOrNetmask : undefined);
  if (!isStated(text)) return undefined;
  const found = addresses4(input, text)[0];
  if (found === undefined) fail(`OpenVPN ROUTE: failed to parse/resolve default gateway: ${text}`);
  return found === undefined ? undefined : formatAddress(found);
}

interface Redirection {
  readonly routes: readonly PlannedRoute[];
  readonly replaced: readonly HostRoute[];
  /** Whether redirect-gateway or redirect-private took effect. */
  readonly done: boolean;
}

const noRedirection: Redirection = { routes: [], replaced: [], done: false };

function planRedirection(planning: RoutePlanning, vpnGateway: string | undefined): Redirection {
  const { input, fail } = planning;
  const { options, facts } = input;
  if (!redirectEnabled(planning)) return noRedirection;
  const reroute = options.redirectGateway?.ipv4 ?? false;
  const way = facts.serverGateway4;
  const server = serverOf(planning);
  const note = 'NOTE: unable to redirect IPv4 default gateway --';
  if (reroute && vpnGateway === undefined) {
    fail(`${note} VPN gateway parameter (--route-gateway or --ifconfig) is missing`);
    return noRedirection;
  }
  if (way === undefined && !redirectFlag(options, 'local') && server !== undefined) {
    fail(`${note} Cannot read current default gateway from system`);
    return noRedirection;
  }
  const routes: PlannedRoute[] = [];
  const local = redirectFlag(options, 'autolocal') ? isLocal(server, way) : redirectFlag(options, 'local');
  if (!local && server !== undefined && way !== undefined) routes.push(serverRoute(server, way, 'host-route'));
  if (blockLocalNeeded(planning, vpnGateway) && way?.gateway !== undefined) {
    const gateway = parseAddress(way.gateway);
    const known = server !== undefined && way.gateway === formatAddress(server) && routes.length > 0;
    if (gateway !== undefined && !known) routes.push(serverRoute(gateway, way, 'bypass'));
  }
  if (!reroute || vpnGateway === undefined) return { routes, replaced: [], done: true };
  const whole = redirectFlag(options, 'def1') ? ['0.0.0.0/1', '128.0.0.0/1'] : ['0.0.0.0/0'];
  for (const prefix of whole) routes.push(throughTunnel(prefix, vpnGateway, 'redirect-gateway'));
  const replaced = redirectFlag(options, 'def1') ? [] : facts.defaultRoutes4.slice(0, 1);
  return { routes, replaced, done: true };
}

function redirectEnabled({ input }: RoutePlanning): boolean {
  return redirectFlag(input.options, 'ipv4');
}

/** Whether the server is on a network that this host is on itself. */
function isLocal(server: AddressBytes | undefined, way: GatewayFacts | undefined): boolean {
  if (server === undefined || way === undefined) return false;
  if (way.gateway === undefined) return true;
  return way.addresses.some(({ address, prefixLength }) => {
    const bytes = parseAddress(address);
    return (
      bytes !== undefined && prefixContains({ address: networkOf(bytes, prefixLength), length: prefixLength }, server)
    );
  });
}

/** A host route past the tunnel. On the gateway's own network it names the device too, as block-local needs. */
function serverRoute(host: AddressBytes, way: GatewayFacts, origin: 'host-route' | 'bypass'): PlannedRoute {
  return {
    prefix: `${formatAddress(host)}/32`,
    gateway: way.gateway,
    statedGateway: way.gateway ?? '0.0.0.0',
    device: isLocal(host, way) ? way.device : undefined,
    metric: undefined,
    table: undefined,
    origin,
  };
}

function throughTunnel(prefix: string, gateway: string, origin: PlannedRoute['origin']): PlannedRoute {
  return { prefix, gateway, statedGateway: gateway, device: undefined, metric: undefined, table: undefined, origin };
}

function blockLocalNeeded(planning: RoutePlanning, vpnGateway: string | undefined): boolean {
  const { options, facts } = planning.input;
  const way = facts.serverGateway4;
  if (!redirectEnabled(planning) || !redirectFlag(options, 'blockLocal') || vpnGateway === undefined) return false;
  return way?.gateway !== undefined && way.prefixLength !== undefined && !isLocal(serverOf(planning), way);
}

/** Each network of the gateway's device as two halves through the tunnel, more specific than its own route. */
function blockLocal(planning: RoutePlanning, vpnGateway: string | undefined): PlannedRoute[] {
  const way = planning.input.facts.serverGateway4;
  if (vpnGateway === undefined || way === undefined || !blockLocalNeeded(planning, vpnGateway)) return [];
  const halves = way.addresses.flatMap(({ address, prefixLength }) => {
    const bytes = parseAddress(address);
    if (bytes === undefined || prefixLength >= 32) return [];
    const lower = networkOf(bytes, prefixLength);
    const upper = Uint8Array.from(lower);
    upper[prefixLength >> 3]! |= 0x80 >> (prefixLength & 7);
    const length = prefixLength + 1;
    return [formatPrefix({ address: upper, length }), formatPrefix({ address: lower, length })];
  });
  return [...new Set(halves)].map((prefix) => throughTunnel(prefix, vpnGateway, 'block-local'));
}

function planStated(planning: RoutePlanning, option: RouteOption, vpnGateway: string | undefined): PlannedRoute[] {
  const { input, say, fail } = planning;
  const failed = () => {
    fail(`OpenVPN ROUTE: failed to parse/resolve route for host/network: ${option.network}`);
    return [];
  };
  const networks = isStated(option.network) ? networksOf(planning, option.network, vpnGateway) : [];
  if (networks.length === 0) return failed();
  const mask = isStated(option.netmask) ? parseAddress(option.netmask) : Uint8Array.of(255, 255, 255, 255);
  const length = mask?.length === 4 ? netmaskToLength(mask) : undefined;
  if (length === undefined) return failed();
  const gateway = gatewayOf(planning, option, vpnGateway);
  if (gateway === undefined) return failed();
  return networks.map((bytes) => {
    const address = networkOf(bytes, length);
    const prefix = formatPrefix({ address, length });
    if (formatAddress(address) !== formatAddress(bytes)) {
      say(
        Level.warning,
        `WARNING: route ${formatAddress(bytes)}/${length} has bits beyond its netmask; using ${prefix}`,
      );
    }
    return {
      prefix,
      gateway,
      statedGateway: gateway,
      device: undefined,
      metric: option.metric ?? (input.options.routeMetric || undefined),
      table: option.table ?? input.options.routeTable,
      origin: input.profile.routes.includes(option) ? 'client' : 'server',
    };
  });
}

function networksOf(planning: RoutePlanning, text: string, vpnGateway: string | undefined): AddressBytes[] {
  const special = specialAddress(planning, text, vpnGateway);
  if (special === undefined) return addresses4(planning.input, text);
  const bytes = special === '' ? undefined : parseAddress(special);
  return bytes === undefined ? [] : [bytes];
}

function gatewayOf(planning: RoutePlanning, option: RouteOption, vpnGateway: string | undefined): string | undefined {
  if (!isStated(option.gateway)) {
    if (vpnGateway === undefined) {
      planning.fail(
        'OpenVPN ROUTE: OpenVPN needs a gateway parameter for a --route option and no default was specified by either --route-gateway or --ifconfig options',
      );
    }
    return vpnGateway;
  }
  const special = specialAddress(planning, option.gateway, vpnGateway);
  if (special !== undefined) return special === '' ? undefined : special;
  const found = addresses4(planning.input, option.gateway)[0];
  return found === undefined ? undefined : formatAddress(found);
}

/** The address behind one of the three words; empty when it is unknown, undefined when the text is none of them. */
function specialAddress(planning: RoutePlanning, text: string, vpnGateway: string | undefined): string | undefined {
  const { input, say } = planning;
  switch (text) {
    case 'vpn_gateway':
      if (vpnGateway === undefined) say(Level.info, 'OpenVPN ROUTE: vpn_gateway undefined');
      return vpnGateway ?? '';
    case 'net_gateway': {
      const gateway = input.facts.netGateway4?.gateway;
      if (gateway === undefined) {
        say(Level.info, 'OpenVPN ROUTE: net_gateway undefined -- unable to get default gateway from system');
      }
      return gateway ?? '';
    }
    case 'remote_host': {
      const server = serverOf(planning);
      if (server === undefined) say(Level.info, 'OpenVPN ROUTE: remote_host undefined');
      return server === undefined ? '' : formatAddress(server);
    }
    default:
      return undefined;
  }
}

/**
 * A host route to the server where a stated route would draw the tunnel's own packets into the tunnel. The C program
 * adds one for IPv6 only; with IPv4 its packets loop and are dropped.
 */
function guardServer(
  planning: RoutePlanning,
  routes: readonly PlannedRoute[],
  inside: (route: PlannedRoute) => boolean,
): PlannedRoute[] {
  const way = planning.input.facts.serverGateway4;
  const server = serverOf(planning);
  if (server === undefined || way === undefined) return [];
  const own = `${formatAddress(server)}/32`;
  if (routes.some((route) => route.prefix === own)) return [];
  const direct = directLength(server, way);
  const covered = routes.some((route) => {
    const prefix = parsePrefix(route.prefix);
    if (prefix === undefined || !inside(route) || (route.origin !== 'server' && route.origin !== 'client'))
      return false;
    return prefixContains(prefix, server) && prefix.length >= direct;
  });
  if (!covered) return [];
  planning.say(
    Level.routeChange,
    `ROUTE: a route through the tunnel overlaps IPv4 remote ${formatAddress(server)}, adding host route to VPN endpoint`,
  );
  return [serverRoute(server, way, 'host-route')];
}

/** How long a prefix must be to win over the network that the server shares with this host; 0 when it shares none. */
function directLength(server: AddressBytes, way: GatewayFacts): number {
  if (way.gateway !== undefined) return 0;
  const lengths = way.addresses.map(({ address, prefixLength }) => {
    const bytes = parseAddress(address);
    if (bytes === undefined) return 0;
    return prefixContains({ address: networkOf(bytes, prefixLength), length: prefixLength }, server) ? prefixLength : 0;
  });
  return Math.max(0, ...lengths);
}

function serverOf({ input }: RoutePlanning): AddressBytes | undefined {
  const bytes = input.server === undefined ? undefined : parseAddress(input.server);
  return bytes?.length === 4 ? bytes : undefined;
}
