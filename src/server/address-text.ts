// A client's address as the log begins its lines, and as the status has it.

import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';

/** For the log: `192.0.2.1:40000`, `2001:db8::1:40000`, without brackets. */
export function addressText(address: SocketAddress): string {
  const plain = unmapSocketAddress(address);
  return `${formatAddress(plain.address)}:${plain.port}`;
}

/**
 * For the status: `udp4:192.0.2.1:40000`, `tcp6-server:[2001:db8::1]:40000`. The family is the socket's: an IPv4 client of
 * a socket for both is `udp6:192.0.2.1:40000`. Observed with OpenVPN 2.7.8.
 */
export function statusAddressText(transport: 'udp' | 'tcp', address: SocketAddress): string {
  const { family, address: host, port } = unmapSocketAddress(address);
  const protocol = `${transport}${address.family}${transport === 'tcp' ? '-server' : ''}`;
  return `${protocol}:${family === 6 ? `[${formatAddress(host)}]` : formatAddress(host)}:${port}`;
}
