// The name of a transport as the C program writes it.

import type { TransportProto } from '../config/config.ts';

/** `UDPv4`, `TCPv6_CLIENT` … as in the log and in the environment of scripts. */
export function protocolName(proto: TransportProto, family: 4 | 6): string {
  switch (proto.transport) {
    case 'udp':
      return `UDPv${family}`;
    case 'tcp-client':
      return `TCPv${family}_CLIENT`;
    case 'tcp-server':
      return `TCPv${family}_SERVER`;
    default:
      return proto.transport satisfies never;
  }
}
