// The header of an inner packet, looked at in place. Nothing is trusted before its bound: `parse` says no to a packet
// whose header does not fit into it.
//
//   IPv4  0 version, header length/4 | 2 total length | 6 flags, fragment offset | 9 protocol | 12 source | 16 destination
//   IPv6  0 version | 4 payload length | 6 next header | 8 source | 24 destination

/** Protocol numbers that the rooms look at. */
export const IpProtocol = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

/** Bytes of each header without options and extensions. */
export const IPV4_HEADER_BYTES = 20;
export const IPV6_HEADER_BYTES = 40;
export const TCP_HEADER_BYTES = 20;
export const UDP_HEADER_BYTES = 8;

/** Where the checksum lies in the transport's header. */
export const TCP_CHECKSUM = 16;
export const UDP_CHECKSUM = 6;

/** FIN and PSH in the word at 12 of the TCP header: of joined packets, only the last may have them. */
export const FLAGS_LAST_ONLY = 0x09;

/** Bytes of an Ethernet header without a VLAN tag. */
export const ETHERNET_BYTES = 14;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;

/** A view of one packet after another; its fields are offsets into the memory that `parse` was given. */
export class InnerPacket {
  version: 4 | 6 = 4;
  offset = 0;
  /** Length by the packet's own header, never more than what was there. */
  length = 0;
  source = 0;
  destination = 0;
  /** IPv4 protocol or IPv6 next header; extension headers are not followed. */
  protocol = 0;
  /** Where the transport header starts; equal to the packet's end for a later fragment, which has none. */
  transport = 0;

  /** Reads the header of the packet at `offset`; false when it is not a whole IPv4 or IPv6 packet. */
  parse(view: DataView, offset: number, length: number): boolean {
    if (length < 1) return false;
    switch (view.getUint8(offset) >> 4) {
      case 4:
        return this.#parse4(view, offset, length);
      case 6:
        return this.#parse6(view, offset, length);
      default:
        return false;
    }
  }

  /** The TOS byte or traffic class: DSCP and ECN. */
  trafficClass(view: DataView): number {
    return this.version === 4 ? view.getUint8(this.offset + 1) : (view.getUint16(this.offset) >> 4) & 0xff;
  }

  /** Bytes from the transport header to the packet's end. */
  get transportLength(): number {
    return this.offset + this.length - this.transport;
  }

  #parse4(view: DataView, offset: number, length: number): boolean {
    if (length < IPV4_HEADER_BYTES) return false;
    const headerLength = (view.getUint8(offset) & 0x0f) * 4;
    const totalLength = view.getUint16(offset + 2);
    if (headerLength < IPV4_HEADER_BYTES || totalLength < headerLength || totalLength > length) return false;
    this.version = 4;
    this.offset = offset;
    this.length = totalLength;
    this.source = offset + 12;
    this.destination = offset + 16;
    this.protocol = view.getUint8(offset + 9);
    const laterFragment = (view.getUint16(offset + 6) & 0x1fff) !== 0;
    this.transport = laterFragment ? offset + totalLength : offset + headerLength;
    return true;
  }

  #parse6(view: DataView, offset: number, length: number): boolean {
    if (length < IPV6_HEADER_BYTES) return false;
    const totalLength = IPV6_HEADER_BYTES + view.getUint16(offset + 4);
    if (totalLength > length) return false;
    this.version = 6;
    this.offset = offset;
    this.length = totalLength;
    this.source = offset + 8;
    this.destination = offset + 24;
    this.protocol = view.getUint8(offset + 6);
    this.transport = offset + IPV6_HEADER_BYTES;
    return true;
  }
}

/** Bytes of Ethernet header, one VLAN tag included, before the IP packet of a frame; -1 when it carries none. */
export function ethernetHeaderLength(view: DataView, offset: number, length: number): number {
  if (length < ETHERNET_BYTES) return -1;
  const type = view.getUint16(offset + 12);
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return ETHERNET_BYTES;
  if (type !== ETHERTYPE_VLAN || length < ETHERNET_BYTES + 4) return -1;
  const tagged = view.getUint16(offset + 16);
  return tagged === ETHERTYPE_IPV4 || tagged === ETHERTYPE_IPV6 ? ETHERNET_BYTES + 4 : -1;
}
