// A transport address as bytes, and its text in the C program's log form.

import { type AddressBytes, formatAddress, isUnspecified, isV4MappedAddress, sameAddress } from './address.ts';

/** One end of a UDP or TCP transport. `address` has 4 bytes (family 4) or 16 (family 6), network order; `port` 0..65535. */
export interface SocketAddress {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly port: number;
  /** IPv6 scope (interface index) of a link-local address, else 0. */
  readonly scopeId: number;
  /** The local end that was asked, and that answers leave from (`--multihome`). It does not tell addresses apart. */
  readonly local?: LocalEnd | undefined;
}

/** One of our own addresses, 4 or 16 bytes, and the index of the interface to leave by; 0 for any. */
export interface LocalEnd {
  readonly address: Uint8Array;
  readonly interfaceIndex: number;
}

/** Makes a socket address of 4 or 16 address bytes. */
export function socketAddress(address: AddressBytes, port: number, scopeId = 0): SocketAddress {
  return { family: address.length === 4 ? 4 : 6, address, port, scopeId };
}

/** `1.2.3.4:1194`, `[fd00::1]:1194`, `[fe80::1%2]:1194`: text for people and for the API. */
export function formatSocketAddress(socket: SocketAddress): string {
  const host = formatHost(socket);
  return socket.family === 4 ? `${host}:${socket.port}` : `[${host}]:${socket.port}`;
}

/**
 * `[AF_INET]1.2.3.4:1194`, `[AF_INET6]fd00::1:1194`, with ` (via [AF_INET]10.0.0.1%)` where the local end is known; the
 * unspecified address is `[undef]`: the C program's log form.
 */
export function formatLogAddress(socket: SocketAddress): string {
  const host = isUnspecified(socket.address) ? '[undef]' : formatHost(socket);
  return `[AF_INET${socket.family === 4 ? '' : '6'}]${host}:${socket.port}${viaText(socket.local)}`;
}

function viaText(local: LocalEnd | undefined): string {
  if (local === undefined) return '';
  const family = local.address.length === 4 ? '' : '6';
  return ` (via [AF_INET${family}]${formatAddress(local.address)}%${local.interfaceIndex || ''})`;
}

/** Whether both name the same endpoint; the scope counts for IPv6 only. */
export function sameSocketAddress(a: SocketAddress, b: SocketAddress): boolean {
  if (a.family !== b.family || a.port !== b.port) return false;
  return sameAddress(a.address, b.address) && (a.family === 4 || a.scopeId === b.scopeId);
}

/** Whether an IPv6 socket address holds an IPv4 one, as dual-stack sockets report their IPv4 peers. */
export function isV4Mapped(socket: SocketAddress): boolean {
  return socket.family === 6 && isV4MappedAddress(socket.address);
}

/** The IPv4 address inside a mapped one; any other address as it is. */
export function unmapSocketAddress(socket: SocketAddress): SocketAddress {
  return isV4Mapped(socket) ? socketAddress(socket.address.slice(12), socket.port) : socket;
}

/** The IPv4 address as a dual-stack IPv6 socket wants it; any other address as it is. */
export function mapSocketAddress(socket: SocketAddress): SocketAddress {
  if (socket.family === 6) return socket;
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff], 10);
  mapped.set(socket.address, 12);
  return socketAddress(mapped, socket.port);
}

function formatHost(socket: SocketAddress): string {
  const scope = socket.family === 6 && socket.scopeId !== 0 ? `%${socket.scopeId}` : '';
  return formatAddress(socket.address) + scope;
}
