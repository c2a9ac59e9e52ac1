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

/** The length of the form in the kernel for a family. */
export function sockaddrLength(family: 4 | 6): number {
  return family === 4 ? 16 : SOCKADDR_BYTES;
}
