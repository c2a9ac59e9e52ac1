// `--multihome`: a socket that is asked to tell which of our addresses each datagram came to.

import { IPPROTO_IP, IPPROTO_IPV6, setSocketOption } from './socket-options.ts';

const IP_PKTINFO = 8;
const IPV6_RECVPKTINFO = 49;

/** Whether local ends are looked at, and whether the interface belongs to them. */
export type LocalEnds = 'none' | 'address' | 'interface';

/** A socket for both families tells of IPv4 datagrams by the message of IPv6. */
export function askForLocalEnds(fd: number): void {
  if (!setSocketOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)) setSocketOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}
