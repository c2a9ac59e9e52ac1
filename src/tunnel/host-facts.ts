// What the host looks like before the tunnel: how it reaches the rest of the world, and the server. Read once, before
// planning, so that the plan itself is a pure function.

import { formatAddress, parseAddress } from '../ip/address.ts';
import { lengthToNetmask, networkOf, prefixContains } from '../ip/prefix.ts';
import { Level, type Log } from '../log.ts';
import type { HostRoute, NetworkPort } from './ports.ts';

export interface InterfaceAddress {
  readonly address: string;
  readonly prefixLength: number;
}

export interface DeviceAddress extends InterfaceAddress {
  readonly device: string;
}

/** One way out of the host. */
export interface GatewayFacts {
  /** Undefined when the destination is on the link itself. */
  readonly gateway: string | undefined;
  readonly device: string;
  /** The prefix length of the device's address that shares a network with the gateway. */
  readonly prefixLength: number | undefined;
  readonly linkAddress: string | undefined;
  /** Every address of the device, of this family. */
  readonly addresses: readonly InterfaceAddress[];
}

export interface HostFacts {
  /** The default route's way out (`net_gateway`). */
  readonly netGateway4: GatewayFacts | undefined;
  readonly netGateway6: GatewayFacts | undefined;
  /** The way to the server; where the server is of the other family, the default route's. */
  readonly serverGateway4: GatewayFacts | undefined;
  readonly serverGateway6: GatewayFacts | undefined;
  /** The default routes of the main table, kept so that they can be put back exactly. */
  readonly defaultRoutes4: readonly HostRoute[];
  readonly defaultRoutes6: readonly HostRoute[];
  /** Every address of the host before the tunnel. */
  readonly addresses: readonly DeviceAddress[];
  /** Metrics of routes that another tunnel refuses IPv6 with: ours stand beside them, and go alone. */
  readonly refusingMetrics6: readonly number[];
}

/** One of those that a tunnel refuses (ipv6-leak.ts). */
const A_REFUSED_PREFIX = '2000::/4';
/** Of a route of IPv6 without one. */
const KERNEL_METRIC6 = 1024;

/** Asks the host for the facts a plan needs, for a server at `server` (address text, undefined when there is none). */
export function readHostFacts(network: NetworkPort, server: string | undefined, log: Log): HostFacts {
  const family = server === undefined ? undefined : server.includes(':') ? 6 : 4;
  const defaultRoutes4 = attempt(() => network.defaultRoutes(4)) ?? [];
  const defaultRoutes6 = attempt(() => network.defaultRoutes(6)) ?? [];
  const netGateway4 = gatewayOfRoute(network, defaultRoutes4[0], 4);
  const netGateway6 = gatewayOfRoute(network, defaultRoutes6[0], 6);
  const toServer = server === undefined ? undefined : gatewayTo(network, server);
  sayGateway4(netGateway4, log);
  sayGateway6(netGateway6, log);
  return {
    netGateway4,
    netGateway6,
    serverGateway4: family === 4 ? toServer : netGateway4,
    serverGateway6: family === 6 ? toServer : netGateway6,
    defaultRoutes4,
    defaultRoutes6,
    addresses: attempt(() => network.addresses()) ?? [],
    refusingMetrics6: (attempt(() => network.routesTo(A_REFUSED_PREFIX)) ?? []).flatMap(({ type, table, metric }) =>
      type === 'unreachable' && table === undefined ? (metric ?? KERNEL_METRIC6) : [],
    ),
  };
}

function gatewayTo(network: NetworkPort, address: string): GatewayFacts | undefined {
  const found = attempt(() => network.lookup(address));
  if (found === undefined) return undefined;
  return describe(network, found.gateway, found.device, found.linkAddress, address.includes(':') ? 6 : 4);
}

function gatewayOfRoute(network: NetworkPort, route: HostRoute | undefined, family: 4 | 6): GatewayFacts | undefined {
  if (route?.device === undefined) return undefined;
  const { gateway, device } = route;
  const found = gateway === undefined ? undefined : attempt(() => network.lookup(gateway));
  const linkAddress = found?.device === device ? found.linkAddress : undefined;
  return describe(network, gateway, device, linkAddress, family);
}

function describe(
  network: NetworkPort,
  gateway: string | undefined,
  device: string,
  linkAddress: string | undefined,
  family: 4 | 6,
): GatewayFacts {
  const addresses = (attempt(() => network.addressesOf(device)) ?? []).filter(
    ({ address }) => address.includes(':') === (family === 6),
  );
  const gatewayBytes = gateway === undefined ? undefined : parseAddress(gateway);
  const shared = addresses.find(({ address, prefixLength }) => {
    const bytes = parseAddress(address);
    if (bytes === undefined || gatewayBytes === undefined) return false;
    return prefixContains({ address: networkOf(bytes, prefixLength), length: prefixLength }, gatewayBytes);
  });
  return { gateway, device, prefixLength: shared?.prefixLength, linkAddress, addresses };
}

/** Observed with OpenVPN 2.6.14: `ROUTE_GATEWAY 192.0.2.1/255.255.255.0 IFACE=eth0 HWADDR=2e:14:48:46:74:80`. */
function sayGateway4(facts: GatewayFacts | undefined, log: Log): void {
  if (facts === undefined) {
    log(Level.routeChange, 'ROUTE: default_gateway=UNDEF');
    return;
  }
  const netmask = facts.prefixLength === undefined ? '' : `/${formatAddress(lengthToNetmask(facts.prefixLength, 4))}`;
  const linkAddress = facts.linkAddress === undefined ? '' : ` HWADDR=${facts.linkAddress}`;
  log(Level.routeChange, `ROUTE_GATEWAY ${facts.gateway ?? 'ON_LINK'}${netmask} IFACE=${facts.device}${linkAddress}`);
}

function sayGateway6(facts: GatewayFacts | undefined, log: Log): void {
  if (facts === undefined) {
    log(Level.routeChange, 'ROUTE6: default_gateway=UNDEF');
    return;
  }
  const onLink = facts.gateway === undefined ? ' ON_LINK' : '';
  log(Level.routeChange, `ROUTE6_GATEWAY ${facts.gateway ?? '::'}${onLink} IFACE=${facts.device}`);
}

/** The C program's note at every TLS server whose way out is in one of the networks that every home router has. */
export function noteCommonSubnet({ netGateway4 }: HostFacts, log: Log): void {
  if (netGateway4?.gateway === undefined || netGateway4.prefixLength === undefined) return;
  const bytes = parseAddress(netGateway4.gateway);
  const network = bytes === undefined ? '' : formatAddress(networkOf(bytes, netGateway4.prefixLength));
  if (network !== '192.168.0.0' && network !== '192.168.1.0') return;
  log(
    Level.warning,
    'NOTE: your local LAN uses the extremely common subnet address 192.168.0.x or 192.168.1.x.  Be aware that this might create routing conflicts if you connect to the VPN server from public locations such as internet cafes that use the same subnet.',
  );
}

/** A question that the host refuses to answer counts as unknown. */
function attempt<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}
