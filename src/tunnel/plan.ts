// What the tunnel should look like on this host, as plain data: the meeting point of pushed options, the local
// configuration and the host's present state.

import type { PrefixText } from '../ip/prefix.ts';
import type { DnsServerWanted } from './dns-port.ts';
import type { Ipv6Leak } from './ipv6-leak.ts';
import type { HostRoute } from './ports.ts';

export interface TunnelAddress4 {
  readonly local: string;
  readonly prefixLength: number;
  /** Point-to-point remote (topology net30 and p2p); undefined for subnet. */
  readonly remote: string | undefined;
  readonly netmask: string | undefined;
  readonly broadcast: string | undefined;
}

export interface TunnelAddress6 {
  readonly local: string;
  readonly prefixLength: number;
  readonly remote: string | undefined;
}

/** One route to set on the host. */
export interface PlannedRoute {
  readonly prefix: PrefixText;
  /** Next hop; undefined for a route straight to a device. */
  readonly gateway: string | undefined;
  /** Next hop as scripts and log state it, also where the route itself has none (IPv6 into a tun device). */
  readonly statedGateway: string | undefined;
  /** Device name; undefined leaves the choice to the kernel (a next hop outside the tunnel). */
  readonly device: string | undefined;
  readonly metric: number | undefined;
  readonly table: number | undefined;
  /** A route that refuses what would take it. */
  readonly type?: 'unreachable' | undefined;
  /** Why it is there, for the log and `explain`. */
  readonly origin:
    | 'server'
    | 'client'
    | 'redirect-gateway'
    | 'host-route'
    | 'bypass'
    | 'topology'
    | 'block-local'
    | 'ipv6-leak';
}

/** DNS as `--dns` and `dhcp-option` state it. */
export type DnsServerPlan = DnsServerWanted;

export interface DnsPlan {
  readonly servers: readonly DnsServerPlan[];
  readonly searchDomains: readonly string[];
}

/** The whole tunnel on this host. */
export interface TunnelPlan {
  readonly device: string;
  readonly layer: 'tun' | 'tap' | 'null';
  readonly topology: 'net30' | 'p2p' | 'subnet';
  readonly mtuBytes: number;
  /** Ethernet address that a TAP device is given; undefined leaves the kernel's. */
  readonly linkAddress: string | undefined;
  readonly address4: TunnelAddress4 | undefined;
  readonly address6: TunnelAddress6 | undefined;
  /** Routes of the host that are taken away first and put back at the end: the default route under redirect-gateway without def1. */
  readonly replacedRoutes: readonly HostRoute[];
  /** In the order in which they are added; removed in reverse. */
  readonly routes: readonly PlannedRoute[];
  readonly dns: DnsPlan;
  readonly redirect4: boolean;
  readonly redirect6: boolean;
  readonly blockIpv6: boolean;
  /** IPv6 while the tunnel takes all IPv4 and no IPv6. */
  readonly ipv6Leak: Ipv6Leak;
  /** `route_vpn_gateway`, `route_ipv6_gateway` … resolved. */
  readonly vpnGateway4: string | undefined;
  readonly vpnGateway6: string | undefined;
  readonly netGateway4: string | undefined;
  readonly netGateway6: string | undefined;
}
