// A client's address as the log begins its lines and as status files have it.

import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';

/** `192.0.2.1:40000`, `2001:db8::1:40000`: without brackets, as the C program writes it. */
export function addressText(address: SocketAddress): string {
  const plain = unmapSocketAddress(address);
  return `${formatAddress(plain.address)}:${plain.port}`;
}
