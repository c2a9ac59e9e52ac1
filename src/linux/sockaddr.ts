import type { SocketAddress } from '../ip/socket-address.ts';

// struct sockaddr_in:  family u16 host order | port u16 | address 4 | zero 8                  (16 bytes)
// struct sockaddr_in6: family u16 host order | port u16 | flow info u32 | address 16 | scope u32 host order (28 bytes)

export const AF_INET = 2;
export const AF_INET6 = 10;
/** Room for either form. */
export const SOCKADDR_BYTES = 28;

/** Writes the kernel's form at `offset` and returns its length. */
export function writeSockaddr(view: DataView, offset: number, address: SocketAddress): number {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, address.family === 4 ? 16 : SOCKADDR_BYTES);
  bytes.fill(0);
  view.setUint16(offset + 2, address.port);
  if (address.family === 4) {
    view.setUint16(offset, AF_INET, true);
    bytes.set(address.address, 4);
  } else {
    view.setUint16(offset, AF_INET6, true);
    bytes.set(address.address, 8);
    view.setUint32(offset + 24, address.scopeId, true);
  }
  return bytes.length;
}

/** Reads the kernel's form; undefined for another family. The address is a copy. */
export function parseSockaddr(view: DataView, offset: number): SocketAddress | undefined {
  const family = view.getUint16(offset, true);
  const port = view.getUint16(offset + 2);
  const at = view.byteOffset + offset;
  if (family === AF_INET)
    return { family: 4, address: new Uint8Array(view.buffer, at + 4, 4).slice(), port, scopeId: 0 };
  if (family !== AF_INET6) return undefined;
  return {
    family: 6,
    address: new Uint8Array(view.buffer, at + 8, 16).slice(),
    port,
    scopeId: view.getUint32(offset + 24, true),
  };
}

/** Copies the kernel's form, `lengthBytes` of it (a multiple of 4), without an object. */
export function copySockaddr(from: DataView, source: number, to: DataView, target: number, lengthBytes: number): void {
  for (let at = 0; at < lengthBytes; at += 4) to.setInt32(target + at, from.getInt32(source + at));
}

/** Whether two of the kernel's form name the same address and port; the scope is not looked at. */
export function sameSockaddr(a: DataView, at: number, b: DataView, place: number): boolean {
  if (a.getUint32(at) !== b.getUint32(place)) return false; // family and port
  if (a.getUint16(at, true) === AF_INET) return a.getUint32(at + 4) === b.getUint32(place + 4);
  for (let word = 8; word < 24; word += 4) if (a.getUint32(at + word) !== b.getUint32(place + word)) return false;
  return true;
}

/** Turns the kernel's form into a packed address (ip/packed-address.ts), without an object; false for another family. */
export function packSockaddr(from: DataView, sockaddr: number, to: DataView, packed: number): boolean {
  const family = from.getUint16(sockaddr, true);
  to.setUint32(packed + 12, 0);
  to.setUint32(packed + 16, 0);
  to.setUint32(packed + 20, 0);
  to.setUint16(packed + 2, from.getUint16(sockaddr + 2));
  if (family === AF_INET) {
    to.setUint16(packed, 0x0400);
    to.setUint32(packed + 4, 0);
    to.setUint32(packed + 8, from.getUint32(sockaddr + 4));
    return true;
  }
  to.setUint16(packed, 0x0600);
  to.setUint32(packed + 4, from.getUint32(sockaddr + 24, true));
  for (let at = 0; at < 16; at += 4) to.setUint32(packed + 8 + at, from.getUint32(sockaddr + 8 + at));
  return family === AF_INET6;
}

/** Turns a packed address into the kernel's form, without an object; returns its length. */
export function unpackSockaddr(from: DataView, packed: number, to: DataView, sockaddr: number): number {
  to.setUint16(sockaddr + 2, from.getUint16(packed + 2));
  if (from.getUint8(packed) === 4) {
    to.setUint16(sockaddr, AF_INET, true);
    to.setUint32(sockaddr + 4, from.getUint32(packed + 8));
    to.setUint32(sockaddr + 8, 0);
    to.setUint32(sockaddr + 12, 0);
    return 16;
  }
  to.setUint16(sockaddr, AF_INET6, true);
  to.setUint32(sockaddr + 4, 0);
  for (let at = 0; at < 16; at += 4) to.setUint32(sockaddr + 8 + at, from.getUint32(packed + 8 + at));
  to.setUint32(sockaddr + 24, from.getUint32(packed + 4), true);
  return SOCKADDR_BYTES;
}
