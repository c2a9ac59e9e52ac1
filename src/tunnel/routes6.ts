// IPv6 routes: those that profile and server state, the four that redirect the default route, and the way to the server.

import type { Route6Option } from '../config/config.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../ip/address.ts';
import { formatPrefix, parsePrefix, prefixContains } from '../ip/prefix.ts';
import { Level } from '../log.ts';
import { type Ipv6Leak, planIpv6Leak } from './ipv6-leak.ts';
import type { PlannedRoute, TunnelAddress6 } from './plan.ts';
import { isStated, type RoutePlanning, redirectFlag } from './planning.ts';

export interface Routes6 {
  readonly routes: readonly PlannedRoute[];
  readonly leak: Ipv6Leak;
  readonly redirected: boolean;
  readonly vpnGateway: string | undefined;
}

/** Global unicast and unique local addresses in four pieces, so that the host's own default route stays. Figures of the C program. */
const redirectPrefixes = ['::/3', '2000::/4', '3000::/4', 'fc00::/7'];

/** Plans the IPv6 routes. What can't be planned is said and left out. `through4`: what IPv4 the tunnel takes. */
export function planRoutes6(
  planning: RoutePlanning,
  address: TunnelAddress6 | undefined,
  through4: readonly PlannedRoute[],
): Routes6 {
  const { input, say } = planning;
  const { options } = input;
  const vpnGateway = planVpnGateway(planning);
  const redirected = redirectFlag(options, 'ipv6') && address !== undefined;
  const added: Route6Option[] = redirected
    ? redirectPrefixes.map((network) => ({ network, gateway: undefined, metric: undefined, table: undefined }))
    : [];
  const server = serverOf(planning);
  const planned = [...options.routes6, ...added]
    .flatMap((option) => planStated(planning, option, vpnGateway, added.includes(option)))
    .filter((route) => {
      if (server === undefined || route.prefix !== `${formatAddress(server)}/128`) return true;
      say(
        Level.warning,
        `WARNING: route to the VPN server itself (${route.prefix}) would go through the tunnel; not added`,
      );
      return false;
    });
  if (planned.length > 0 && address === undefined) {
    say(
      Level.info,
      `WARNING: OpenVPN was configured to add an IPv6 route. However, no IPv6 has been configured for ${input.device.name}, therefore the route installation may fail or may not work as expected.`,
    );
  }
  const { leak, routes: refusing } = planIpv6Leak(planning, through4, planned);
  const all = [...planned, ...refusing];
  return { routes: [...guardServer(planning, all), ...all], leak, redirected, vpnGateway };
}

/** `route-ipv6-gateway`, else the remote end of `ifconfig-ipv6`. */
function planVpnGateway({ input, fail }: RoutePlanning): string | undefined {
  const { options } = input;
  const text = options.routeIpv6Gateway ?? options.ifconfigIpv6?.remote;
  if (!isStated(text)) return undefined;
  const bytes = parseAddress(text);
  if (bytes?.length === 16) return formatAddress(bytes);
  fail(`OpenVPN ROUTE: failed to parse/resolve VPN endpoint: ${text}`);
  return undefined;
}

function planStated(
  planning: RoutePlanning,
  option: Route6Option,
  vpnGateway: string | undefined,
  redirect: boolean,
): PlannedRoute[] {
  const { input, fail } = planning;
  const prefix = parsePrefix(option.network);
  if (prefix?.address.length !== 16) {
    fail(`OpenVPN ROUTE: failed to parse/resolve route for host/network: ${option.network}`);
    return [];
  }
  const text = formatPrefix(prefix);
  const stated = statedGateway(planning, option, vpnGateway);
  const metric = option.metric ?? (input.options.routeMetric || undefined);
  // A tun device needs no next hop, the device says it all; a tap device does, unless metric 0 asks for an on-link route.
  const needsGateway = input.device.type === 'tap' && metric !== 0;
  if (needsGateway && stated === undefined) {
    fail(
      `ROUTE6 WARNING: OpenVPN needs a gateway parameter for a --route-ipv6 option and no default was set via --ifconfig-ipv6 or --route-ipv6-gateway option.  Not installing IPv6 route to ${text}.`,
    );
    return [];
  }
  return [
    {
      prefix: text,
      gateway: needsGateway ? stated : undefined,
      statedGateway: stated ?? '::',
      device: input.device.name,
      metric,
      table: option.table ?? input.options.routeTable,
      origin: redirect ? 'redirect-gateway' : input.profile.routes6.includes(option) ? 'client' : 'server',
    },
  ];
}

function statedGateway(
  { fail }: RoutePlanning,
  option: Route6Option,
  vpnGateway: string | undefined,
): string | undefined {
  if (!isStated(option.gateway)) return vpnGateway;
  const bytes = parseAddress(option.gateway);
  if (bytes?.length === 16) return formatAddress(bytes);
  fail(`OpenVPN ROUTE6: cannot parse gateway spec '${option.gateway}'`);
  return undefined;
}

/** A host route to a server that one of the planned routes would draw into the tunnel. */
function guardServer(planning: RoutePlanning, routes: readonly PlannedRoute[]): PlannedRoute[] {
  const { input, say, fail } = planning;
  const server = serverOf(planning);
  if (server === undefined) return [];
  const text = formatAddress(server);
  const covering = routes.filter((route) => {
    const prefix = parsePrefix(route.prefix);
    return prefix !== undefined && prefixContains(prefix, server);
  });
  for (const { prefix } of covering) {
    say(Level.routeChange, `ROUTE6: ${prefix} overlaps IPv6 remote ${text}, adding host route to VPN endpoint`);
  }
  if (covering.length === 0) return [];
  const way = input.facts.serverGateway6;
  if (way === undefined) {
    fail(
      'ROUTE6: IPv6 route overlaps with IPv6 remote address, but could not determine IPv6 gateway address + interface, expect failure',
    );
    return [];
  }
  return [
    {
      prefix: `${text}/128`,
      gateway: way.gateway,
      statedGateway: way.gateway ?? '::',
      device: way.device,
      metric: 1,
      table: undefined,
      origin: 'host-route',
    },
  ];
}

function serverOf({ input }: RoutePlanning): AddressBytes | undefined {
  const bytes = input.server === undefined ? undefined : parseAddress(input.server);
  return bytes?.length === 16 ? bytes : undefined;
}
