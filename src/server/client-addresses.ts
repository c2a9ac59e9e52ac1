// Which addresses one client has: static ones over those of the pool. What is pushed to it, routed to it, told to
// scripts and shown in the status comes from here. Facts: OpenVPN 2.7.8.

import type { ClientOptions } from '../config/server-options.ts';
import { parseAddress } from '../ip/address.ts';
import type { PoolLease } from './address-pool.ts';

export interface ClientAddresses {
  /** `pushed` is what the client is told as its own: the static alias if there is one, otherwise `local`. */
  readonly v4: { readonly local: string; readonly pushed: string; readonly remoteOrNetmask: string } | undefined;
  readonly v6: { readonly local: string; readonly prefixLength: number; readonly remote: string } | undefined;
}

/** What the server's own end says. */
export interface ServerEnd {
  /** `subnet` for a tap device, too: a netmask goes with the address. */
  readonly topology: 'subnet' | 'p2p' | 'net30';
  readonly local4: string | undefined;
  /** The pool's netmask, else the server's own: pushed under `subnet`. */
  readonly netmask: string | undefined;
  readonly local6: string | undefined;
  /** Of the server's own `ifconfig-ipv6`: clients are told this length, whatever the pool's is. */
  readonly prefixLength6: number | undefined;
}

/**
 * Whether a client needs its slot of the pool: for an IPv4 address if it has no static one, or for an IPv6 address. (C
 * gives the slot back with the first static address, and the IPv6 address that the client keeps goes to somebody else,
 * too.)
 */
export function needsLease(client: Pick<ClientOptions, 'ifconfig' | 'ifconfigIpv6'>, lease: PoolLease): boolean {
  return client.ifconfig === undefined || (lease.address6 !== undefined && client.ifconfigIpv6 === undefined);
}

/** Lays static addresses over those of the pool. `notes` are lines for the log; `name` is how the log calls the client. */
export function chooseAddresses(
  client: Pick<ClientOptions, 'ifconfig' | 'ifconfigIpv6'>,
  lease: PoolLease | undefined,
  server: ServerEnd,
  name: string,
): { readonly addresses: ClientAddresses; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const v4 = client.ifconfig === undefined ? leased4(lease, server) : static4(client.ifconfig);
  if (v4 === undefined && client.ifconfig === undefined && lease?.address4 !== undefined) {
    notes.push(`MULTI: no --ifconfig-pool netmask parameter is available to push to ${name}`);
  }
  const v6 = static6(client, server) ?? leased6(lease, server);
  return { addresses: { v4, v6 }, notes };
}

/** Whether an address keeps to `ifconfig-push-constraint`; C only logs the violation. */
export function satisfiesConstraint(
  address: string,
  constraint: { readonly network: string; readonly netmask: string } | undefined,
): boolean {
  if (constraint === undefined) return true;
  const bytes = parseAddress(address);
  const network = parseAddress(constraint.network);
  const mask = parseAddress(constraint.netmask);
  if (bytes?.length !== 4 || network?.length !== 4 || mask?.length !== 4) return false;
  return bytes.every((byte, index) => (byte & (mask[index] as number)) === network[index]);
}

function static4(ifconfig: NonNullable<ClientOptions['ifconfig']>): ClientAddresses['v4'] {
  const { local, remoteOrNetmask, alias } = ifconfig;
  return { local, pushed: alias ?? local, remoteOrNetmask };
}

function static6(client: Pick<ClientOptions, 'ifconfigIpv6'>, server: ServerEnd): ClientAddresses['v6'] {
  const { ifconfigIpv6 } = client;
  const remote = ifconfigIpv6?.remote ?? server.local6;
  if (ifconfigIpv6 === undefined || remote === undefined) return undefined;
  return { local: ifconfigIpv6.local, prefixLength: ifconfigIpv6.prefixLength, remote };
}

function leased4(lease: PoolLease | undefined, server: ServerEnd): ClientAddresses['v4'] {
  const local = lease?.address4;
  if (lease === undefined || local === undefined) return undefined;
  const remoteOrNetmask = { subnet: server.netmask, p2p: server.local4, net30: lease.serverAddress4 }[server.topology];
  return remoteOrNetmask === undefined ? undefined : { local, pushed: local, remoteOrNetmask };
}

function leased6(lease: PoolLease | undefined, server: ServerEnd): ClientAddresses['v6'] {
  const local = lease?.address6;
  if (local === undefined || server.local6 === undefined || server.prefixLength6 === undefined) return undefined;
  return { local, prefixLength: server.prefixLength6, remote: server.local6 };
}
