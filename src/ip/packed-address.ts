// A socket address in packet memory, so that the packet path compares and stores addresses without objects.
//
//   0      family, 4 or 6
//   1      zero
//   2..3   port, big-endian
//   4..7   IPv6 scope id, big-endian; zero for IPv4
//   8..23  address, 4 or 16 bytes, the rest zero
//   24     family of the local end, 4 or 6; 0 where it is nobody's business, and then nothing behind it counts
//   25..27 zero
//   28..31 index of the local interface, big-endian; 0 for any
//   32..47 local address
//
// The local end is where answers leave from (`--multihome`). It does not tell addresses apart.

import type { SocketAddress } from './socket-address.ts';

/** Bytes that one packed address takes. */
export const PACKED_ADDRESS_BYTES = 48;

/** Where the local end lies in it; what stands before tells addresses apart. */
export const LOCAL_END = 24;

/** Writes the address at `at`. */
export function writePackedAddress(view: DataView, at: number, socket: SocketAddress): void {
  view.setUint8(at, socket.family);
  view.setUint8(at + 1, 0);
  view.setUint16(at + 2, socket.port);
  view.setUint32(at + 4, socket.family === 6 ? socket.scopeId : 0);
  for (let index = 0; index < 16; index++) view.setUint8(at + 8 + index, socket.address[index] ?? 0);
  const { local } = socket;
  view.setUint32(at + LOCAL_END, 0);
  if (local === undefined) return;
  view.setUint8(at + LOCAL_END, local.address.length === 4 ? 4 : 6);
  view.setUint32(at + LOCAL_END + 4, local.interfaceIndex);
  for (let index = 0; index < 16; index++) view.setUint8(at + LOCAL_END + 8 + index, local.address[index] ?? 0);
}

/** Reads the address at `at` into an object of its own. */
export function readPackedAddress(view: DataView, at: number): SocketAddress {
  const family = view.getUint8(at) === 4 ? 4 : 6;
  const address = readBytes(view, at + 8, family);
  const socket = { family, address, port: view.getUint16(at + 2), scopeId: view.getUint32(at + 4) } as const;
  const localFamily = view.getUint8(at + LOCAL_END);
  if (localFamily !== 4 && localFamily !== 6) return socket;
  const interfaceIndex = view.getUint32(at + LOCAL_END + 4);
  return { ...socket, local: { address: readBytes(view, at + LOCAL_END + 8, localFamily), interfaceIndex } };
}

function readBytes(view: DataView, at: number, family: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let index = 0; index < bytes.length; index++) bytes[index] = view.getUint8(at + index);
  return bytes;
}

/** Whether two packed addresses are the same, whatever their local ends. */
export function samePackedAddress(view: DataView, a: number, b: number): boolean {
  for (let index = 0; index < LOCAL_END; index += 4) {
    if (view.getInt32(a + index) !== view.getInt32(b + index)) return false;
  }
  return true;
}

/** Copies one packed address over another. */
export function copyPackedAddress(view: DataView, from: number, to: number): void {
  for (let index = 0; index < PACKED_ADDRESS_BYTES; index += 4) view.setInt32(to + index, view.getInt32(from + index));
}

/** A 32-bit number that spreads packed addresses over a table. */
export function hashPackedAddress(view: DataView, at: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < LOCAL_END; index += 4) {
    hash = Math.imul(hash ^ view.getInt32(at + index), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
