// What must fit into one packet to a peer: the MSS of inner TCP, and the parts of `fragment`.

import type { ConnectionProfile } from '../config/config.ts';
import type { CompressionFraming, PeerSettings } from '../data/plane.ts';
import { mssLimit, socksUdpBytes } from '../tunnel/mtu.ts';

const IPV4_UDP_BYTES = 20 + 8;
const IPV6_UDP_BYTES = 40 + 8;

export interface PacketFacts {
  readonly cipher: string;
  readonly digest: string;
  readonly format: 'epoch' | undefined;
  readonly outerFamily: 4 | 6;
  /** Whether packets carry a peer-id (DATA_V2). */
  readonly peerId: boolean;
  readonly compression: CompressionFraming;
}

/** The MSS limits of a peer once its cipher is known; 0 for none. */
export function mssOf(facts: PacketFacts, profile: ConnectionProfile): Pick<PeerSettings, 'mssBytes4' | 'mssBytes6'> {
  const { compression, format, ...rest } = facts;
  const limit = mssLimit(
    {
      ...rest,
      transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
      epochFormat: format === 'epoch',
      socksUdp: socksUdpOf(profile),
      compressionByte: compression === 'comp-lzo' || compression === 'stub',
    },
    profile,
  );
  const { mssBytes4, mssBytes6 } = limit ?? { mssBytes4: 0, mssBytes6: 0 };
  return { mssBytes4, mssBytes6 };
}

/** The largest UDP payload of a fragment; `fragment N mtu` counts the IP and UDP headers too. */
export function fragmentBytesOf(
  profile: Pick<ConnectionProfile, 'fragment' | 'proto' | 'socksProxy'>,
  outerFamily: 4 | 6,
): number {
  const { fragment } = profile;
  if (fragment === undefined) return 0;
  const relay = socksUdpBytes(socksUdpOf(profile));
  const outer = fragment.mtuMode ? (outerFamily === 4 ? IPV4_UDP_BYTES : IPV6_UDP_BYTES) : 0;
  return fragment.bytes - relay - outer;
}

/** The family of the server's address in the header of a SOCKS relay, where datagrams go through one. */
export function socksUdpOf({ proto, socksProxy }: Pick<ConnectionProfile, 'proto' | 'socksProxy'>): 4 | 6 | false {
  return proto.transport === 'udp' && socksProxy !== undefined ? (proto.family ?? 4) : false;
}
