import { finishChecksum, foldSum, sumPseudoHeader, sumWords } from '../ip/checksum.ts';
import { IpProtocol } from '../ip/packet.ts';
import { GsoType, VIRTIO_HEADER_BYTES, writePlainHeader, writeSuperHeader } from '../ip/virtio-header.ts';

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const PING_BYTES = 64;
const TCP_BYTES = 20;
const TCP_CHECKSUM = 16;
const SEGMENT_BYTES = 1200;
const ACK = 0x10;
/** 192.0.2.1, of a network for documentation: both ends of the packets. */
const ADDRESS = 0xc0000201;

export interface RehearsalPacket {
  readonly packet: Uint8Array;
  /** Whether its source is nobody's address in the tunnel: a server lets it in and no further. */
  readonly isForeign: boolean;
}

/**
 * Packets as a device with a virtio header gives them: pings, what a host says of groups, also as one that has a link-local
 * address only, a datagram, a bare acknowledgement, a super-packet of TCP.
 */
export function rehearsalPackets(): readonly RehearsalPacket[] {
  const foreign = icmp6(LISTENER_REPORTS, LISTENER_REPORT, HOP_BY_HOP, LINK_LOCAL_ADDRESS);
  return [...ownPackets().map((packet) => ({ packet, isForeign: false })), { packet: foreign, isForeign: true }];
}

function ownPackets(): Uint8Array[] {
  return [
    ipv4(IpProtocol.icmp, PING_BYTES, (view, at, length) => {
      view.setUint8(at, 8);
      view.setUint16(at + 2, finishChecksum(sumWords(view, at, length, 0)));
    }),
    icmp6(OWN_ADDRESS, ECHO_REQUEST),
    icmp6(ALL_ROUTERS, ECHO_REQUEST),
    icmp6(LISTENER_REPORTS, LISTENER_REPORT, HOP_BY_HOP),
    ipv4(IpProtocol.udp, 40, (view, at, length) => {
      view.setUint32(at, 0x1000_2000);
      view.setUint16(at + 4, length); // its checksum stays 0: none
    }),
    ipv4(IpProtocol.tcp, TCP_BYTES, (view, at, length) => {
      writeTcp(view, at);
      const sum = sumWords(view, at, length, sumPseudoHeader(view, at - 8, 4, IpProtocol.tcp, length));
      view.setUint16(at + TCP_CHECKSUM, finishChecksum(sum));
    }),
    ipv4(IpProtocol.tcp, TCP_BYTES + 3 * SEGMENT_BYTES, (view, at, length) => {
      writeTcp(view, at);
      view.setUint16(at + TCP_CHECKSUM, foldSum(sumPseudoHeader(view, at - 8, 4, IpProtocol.tcp, length)));
      writeSuperHeader(view, 0, GsoType.tcp4, SEGMENT_BYTES, IPV4_BYTES + TCP_BYTES, IPV4_BYTES, TCP_CHECKSUM);
    }),
  ];
}

type WriteTransport = (view: DataView, at: number, lengthBytes: number) => void;

function ipv4(protocol: number, transportBytes: number, write: WriteTransport): Uint8Array {
  const bytes = new Uint8Array(VIRTIO_HEADER_BYTES + IPV4_BYTES + transportBytes);
  const view = new DataView(bytes.buffer);
  const at = VIRTIO_HEADER_BYTES;
  writePlainHeader(view, 0);
  view.setUint8(at, 0x45);
  view.setUint16(at + 2, IPV4_BYTES + transportBytes);
  view.setUint16(at + 6, 0x4000); // don't fragment
  view.setUint8(at + 8, 64);
  view.setUint8(at + 9, protocol);
  view.setUint32(at + 12, ADDRESS);
  view.setUint32(at + 16, ADDRESS);
  view.setUint16(at + 10, finishChecksum(sumWords(view, at, IPV4_BYTES, 0)));
  write(view, at + IPV4_BYTES, transportBytes);
  return bytes;
}

/** Of a network for documentation; and what a host asks for routers by, unasked, as soon as there is a device. */
const OWN_ADDRESS = [0x2001_0db8, 0, 0, 1];
const LINK_LOCAL_ADDRESS = [0xfe80_0000, 0, 0, 1];
const ALL_ROUTERS = [0xff02_0000, 0, 0, 2];
/** Where a host reports, as unasked, which groups it listens to, in packets that routers are to look into. */
const LISTENER_REPORTS = [0xff02_0000, 0, 0, 0x16];
const ECHO_REQUEST = 128;
const LISTENER_REPORT = 143;
/** The extension header of such a report: ICMPv6 is next | no more than 8 bytes | router alert | padding. */
const HOP_BY_HOP = [IpProtocol.icmp6, 0, 5, 2, 0, 0, 1, 0];

function icmp6(
  destination: readonly number[],
  type: number,
  extension: readonly number[] = [],
  source = OWN_ADDRESS,
): Uint8Array {
  const at = VIRTIO_HEADER_BYTES;
  const icmp = at + IPV6_BYTES + extension.length;
  const view = new DataView(new ArrayBuffer(icmp + PING_BYTES));
  writePlainHeader(view, 0);
  view.setUint8(at, 0x60);
  view.setUint16(at + 4, extension.length + PING_BYTES);
  view.setUint8(at + 6, extension.length > 0 ? 0 : IpProtocol.icmp6);
  view.setUint8(at + 7, 64);
  for (const [index, word] of [...source, ...destination].entries()) view.setUint32(at + 8 + 4 * index, word);
  for (const [index, byte] of extension.entries()) view.setUint8(at + IPV6_BYTES + index, byte);
  view.setUint8(icmp, type);
  const pseudo = sumPseudoHeader(view, at + 8, 16, IpProtocol.icmp6, PING_BYTES);
  view.setUint16(icmp + 2, finishChecksum(sumWords(view, icmp, PING_BYTES, pseudo)));
  return new Uint8Array(view.buffer);
}

function writeTcp(view: DataView, at: number): void {
  view.setUint32(at, 0x1000_2000);
  view.setUint32(at + 4, 1);
  view.setUint32(at + 8, 1);
  view.setUint8(at + 12, (TCP_BYTES / 4) << 4);
  view.setUint8(at + 13, ACK);
  view.setUint16(at + 14, 0xffff);
}
