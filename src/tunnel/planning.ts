// What the planners of addresses and of each family's routes share: the input of a plan and the reading of its options.

import type { Config, RedirectFlags, TunnelOptions } from '../config/config.ts';
import { type AddressBytes, parseAddress } from '../ip/address.ts';
import type { LogFlags } from '../log.ts';
import type { HostFacts } from './host-facts.ts';
import type { Ipv6LeakRule } from './ipv6-leak.ts';

export interface TunnelPlanInput {
  readonly device: Config['device'];
  /** The profile's options with the pushed ones laid over them … */
  readonly options: TunnelOptions;
  /** … and the profile's alone, to tell whose route is whose. */
  readonly profile: TunnelOptions;
  readonly tunMtuBytes: number;
  /** The server's address in use, as text; undefined when there is none to protect. */
  readonly server: string | undefined;
  /** `ifconfig-nowarn`: nothing is said about addresses that look like a mistake. */
  readonly ifconfigNowarn?: boolean | undefined;
  /** What is done about IPv6 that goes past the tunnel; undefined: nothing, and nothing is said. */
  readonly ipv6Leak?: Ipv6LeakRule | undefined;
  /** Whether networks that are at both ends are named. */
  readonly namesOverlaps?: boolean | undefined;
  readonly facts: HostFacts;
  /** Addresses of the names that `namesToResolve` lists; a name without one fails its route alone. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

/** What the planners of each family share. */
export interface RoutePlanning {
  readonly input: TunnelPlanInput;
  /** Says a line and, with `fails`, marks the plan as incomplete. */
  say(flags: LogFlags, text: string): void;
  fail(text: string): void;
}

/** The host names among the options' addresses, each to be resolved to IPv4 addresses before planning. */
export function namesToResolve(options: TunnelOptions): string[] {
  const { ifconfig, routeGateway, routes } = options;
  const candidates = [ifconfig?.local, ifconfig?.remoteOrNetmask, routeGateway];
  for (const route of routes) candidates.push(route.network, route.gateway);
  const names = candidates.filter((text) => isStated(text) && !keywords.has(text) && parseAddress(text) === undefined);
  return [...new Set(names as string[])];
}

/** The IPv4 addresses behind a literal or a resolved name. */
export function addresses4(input: TunnelPlanInput, text: string): AddressBytes[] {
  const literal = parseAddress(text);
  const found = literal !== undefined ? [literal] : (input.resolved.get(text) ?? []).map(parseAddress);
  return found.filter((bytes): bytes is AddressBytes => bytes?.length === 4);
}

/** Whether an option's value stands: `default` means the same as leaving it out. */
export function isStated(text: string | undefined): text is string {
  return text !== undefined && text !== 'default';
}

/** The union of the flags of redirect-gateway and redirect-private, where a flag counts for both. */
export function redirectFlag(options: TunnelOptions, flag: keyof RedirectFlags): boolean {
  return (options.redirectGateway?.[flag] ?? false) || (options.redirectPrivate?.[flag] ?? false);
}

/** Whether the interface has a point-to-point address rather than one in a subnet. */
export function isPointToPoint(input: TunnelPlanInput): boolean {
  return input.device.type === 'tun' && input.options.topology !== 'subnet';
}

const keywords = new Set(['vpn_gateway', 'net_gateway', 'remote_host', 'dhcp']);
