// How a client's outer address is written in the log, in the status and for those who end a client by it.

import { formatAddress } from '../ip/address.ts';
import { type SocketAddress, unmapSocketAddress } from '../ip/socket-address.ts';

/**
 * `udp4:192.0.2.2:1194`, `tcp6-server:[fd00::2]:1194`; a client that reaches a dual-stack socket by IPv4 is
 * `udp6:192.0.2.2:1194`. Observed with OpenVPN 2.7.8. `socketFamily`: of the socket that it came to.
 */
export function realAddressText(transport: 'udp' | 'tcp', socketFamily: 4 | 6, peer: SocketAddress): string {
  const { family, address, port } = unmapSocketAddress(peer);
  const host = family === 4 ? formatAddress(address) : `[${formatAddress(address)}]`;
  return `${transport}${socketFamily}${transport === 'tcp' ? '-server' : ''}:${host}:${port}`;
}
