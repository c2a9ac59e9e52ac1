// struct virtio_net_hdr as a tun device with IFF_VNET_HDR puts it before each packet (<linux/virtio_net.h>). Its fields
// are in the machine's byte order; every machine that this runs on is little-endian.
//
//   0 flags u8 | 1 gso type u8 | 2 header length u16 | 4 gso size u16 | 6 checksum start u16 | 8 checksum offset u16
//
// Checksum start counts from the packet's first byte, checksum offset from there. With NEEDS_CSUM the checksum field
// holds the folded sum of the pseudo header, and what is missing is the sum from checksum start to the end.

/** Bytes of the header, as TUNSETVNETHDRSZ has to be told. */
export const VIRTIO_HEADER_BYTES = 10;

/** The flag of a packet whose checksum is still to be completed. */
const NEEDS_CHECKSUM = 0x01;

/** How a super-packet is to be split. */
export const GsoType = { none: 0, tcp4: 1, tcp6: 4, udp: 5 } as const;
export type GsoType = (typeof GsoType)[keyof typeof GsoType];

/** A bit beside the type: the TCP super-packet carries CWR. */
const GSO_ECN = 0x80;

/** Why a packet from the device is refused; `accepted` is the only one that is not negative. */
export const DeviceRefusal = {
  accepted: 0,
  /** Shorter than the header, or nothing behind it. */
  short: -1,
  /** A gso type that was not asked for. */
  gsoType: -2,
  /** A super-packet with size 0, or without NEEDS_CSUM. */
  gsoSize: -3,
  /** Header length beyond the packet's end. */
  headerLength: -4,
  /** A checksum field beyond the packet's end, or not the transport's. */
  checksumPlace: -5,
  /** A super-packet whose own headers are not what the gso type says, or whose lengths are not its length. */
  superPacket: -6,
} as const;
export type DeviceRefusal = (typeof DeviceRefusal)[keyof typeof DeviceRefusal];

/** One header after another, read from memory. */
export class VirtioHeader {
  needsChecksum = false;
  gsoType: GsoType = GsoType.none;
  /** Payload bytes of each segment but the last; 0 for a lone packet. */
  gsoSize = 0;
  checksumStart = 0;
  checksumOffset = 0;

  /** Reads the header at `offset`; `length` is that of header and packet. Every field is in bounds when it is accepted. */
  parse(view: DataView, offset: number, length: number): DeviceRefusal {
    const packetBytes = length - VIRTIO_HEADER_BYTES;
    if (packetBytes < 1) return DeviceRefusal.short;
    const gsoType = view.getUint8(offset + 1) & ~GSO_ECN;
    if (!isGsoType(gsoType)) return DeviceRefusal.gsoType;
    this.needsChecksum = (view.getUint8(offset) & NEEDS_CHECKSUM) !== 0;
    this.gsoType = gsoType;
    this.gsoSize = 0;
    if (gsoType !== GsoType.none) {
      this.gsoSize = view.getUint16(offset + 4, true);
      if (this.gsoSize === 0 || !this.needsChecksum) return DeviceRefusal.gsoSize;
      // How much of the packet the kernel had in one piece: a hint that is often too long, and not used.
      if (view.getUint16(offset + 2, true) > packetBytes) return DeviceRefusal.headerLength;
    }
    if (!this.needsChecksum) return DeviceRefusal.accepted;
    this.checksumStart = view.getUint16(offset + 6, true);
    this.checksumOffset = view.getUint16(offset + 8, true);
    const inBounds = this.checksumStart + this.checksumOffset + 2 <= packetBytes;
    return inBounds ? DeviceRefusal.accepted : DeviceRefusal.checksumPlace;
  }
}

/** Writes the header of a packet that is whole and has its checksum. */
export function writePlainHeader(view: DataView, offset: number): void {
  view.setInt32(offset, 0);
  view.setInt32(offset + 4, 0);
  view.setInt16(offset + 8, 0);
}

/** Writes the header of a super-packet, whose checksum field holds the folded sum of its pseudo header. */
export function writeSuperHeader(
  view: DataView,
  offset: number,
  gsoType: GsoType,
  gsoSize: number,
  headerBytes: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  view.setUint8(offset, NEEDS_CHECKSUM);
  view.setUint8(offset + 1, gsoType);
  view.setUint16(offset + 2, headerBytes, true);
  view.setUint16(offset + 4, gsoSize, true);
  view.setUint16(offset + 6, checksumStart, true);
  view.setUint16(offset + 8, checksumOffset, true);
}

function isGsoType(value: number): value is GsoType {
  return value === GsoType.none || value === GsoType.tcp4 || value === GsoType.tcp6 || value === GsoType.udp;
}
