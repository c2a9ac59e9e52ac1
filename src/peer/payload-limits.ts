// What must fit into one packet to a peer: the MSS of inner TCP, and the parts of `fragment`.

import type { ConnectionProfile } from '../config/config.ts';
import type { CompressionFraming, PeerSettings } from '../data/plane.ts';
import { mssLimit, overheadBytes, type PacketShape, socksUdpBytes } from '../tunnel/mtu.ts';

const IPV4_TCP_BYTES = 20 + 20;
const IPV6_TCP_BYTES = 40 + 20;

/** Headers of IP and transport around a packet. */
export function outerHeaderBytes(family: 4 | 6, transport: 'udp' | 'tcp'): number {
  return (family === 4 ? 20 : 40) + (transport === 'udp' ? 8 : 20);
}

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
  const limit = mssLimit(shapeOf(facts, profile), profile);
  const { mssBytes4, mssBytes6 } = limit ?? { mssBytes4: 0, mssBytes6: 0 };
  return { mssBytes4, mssBytes6 };
}

/** A pushed `tun-mtu` changes nothing of what `mssfix` means; where it is smaller, segments have to fit into it all the same. */
export function withinMtu(
  { mssBytes4, mssBytes6 }: Pick<PeerSettings, 'mssBytes4' | 'mssBytes6'>,
  tunMtuBytes: number | undefined,
): Pick<PeerSettings, 'mssBytes4' | 'mssBytes6'> {
  if (tunMtuBytes === undefined || mssBytes4 === 0) return { mssBytes4, mssBytes6 };
  return {
    mssBytes4: Math.min(mssBytes4, tunMtuBytes - IPV4_TCP_BYTES),
    mssBytes6: Math.min(mssBytes6, tunMtuBytes - IPV6_TCP_BYTES),
  };
}

/** What a data packet has beside the inner packet, without the headers of IP and transport. */
export function overheadOf(facts: PacketFacts, profile: ConnectionProfile): number {
  return overheadBytes(shapeOf(facts, profile), profile);
}

function shapeOf({ compression, format, ...rest }: PacketFacts, profile: ConnectionProfile): PacketShape {
  return {
    ...rest,
    transport: profile.proto.transport === 'udp' ? 'udp' : 'tcp',
    epochFormat: format === 'epoch',
    socksUdp: socksUdpOf(profile),
    compressionByte: compression === 'comp-lzo' || compression === 'stub',
  };
}

/** The largest UDP payload of a fragment; `fragment N mtu` counts the IP and UDP headers too. */
export function fragmentBytesOf(
  profile: Pick<ConnectionProfile, 'fragment' | 'proto' | 'socksProxy'>,
  outerFamily: 4 | 6,
): number {
  const { fragment } = profile;
  if (fragment === undefined) return 0;
  const relay = socksUdpBytes(socksUdpOf(profile));
  const outer = fragment.mtuMode ? outerHeaderBytes(outerFamily, 'udp') : 0;
  return fragment.bytes - relay - outer;
}

/** The family of the server's address in the header of a SOCKS relay, where datagrams go through one. */
export function socksUdpOf({ proto, socksProxy }: Pick<ConnectionProfile, 'proto' | 'socksProxy'>): 4 | 6 | false {
  return proto.transport === 'udp' && socksProxy !== undefined ? (proto.family ?? 4) : false;
}
