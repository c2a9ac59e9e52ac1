// One flow whose packets are being joined: the super-packet that grows in its buffer, and which packet may be next in it.
//
// The buffer holds the first packet, unchanged, and behind it the payloads of those that follow. Their headers have to be
// the same as the first's, so the sum of a header is the first's with what differs: a packet costs one pass over its
// payload, which copies and sums it.
//
//   IPv4  0 version, header length | 1 tos | 2 total length * | 4 id * | 6 flags, fragment | 8 ttl, protocol | 10 checksum *
//   IPv6  0 version, traffic class, flow label | 4 payload length * | 6 next header, hop limit | 8 addresses
//   TCP   0 ports | 4 sequence * | 8 ack | 12 header length, flags (FIN and PSH *), window | 16 checksum * | 18 urgent | options
//   UDP   0 ports | 4 length * | 6 checksum *                                    * may differ from the first packet's

import { type ChecksumEngine, finishChecksum, foldSum, sumPseudoHeader, sumWords } from './checksum.ts';
import {
  FLAGS_LAST_ONLY,
  type InnerPacket,
  IPV4_HEADER_BYTES,
  IPV6_HEADER_BYTES,
  IpProtocol,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  UDP_CHECKSUM,
} from './packet.ts';
import { GsoType, VIRTIO_HEADER_BYTES, writePlainHeader, writeSuperHeader } from './virtio-header.ts';

const DONT_FRAGMENT = 0x4000;
/** An IPv4 length is a word, and the kernel takes no longer packets of either version. */
const MAX_SUPER_BYTES = 65_535;
/** What every kernel that knows UDP super-packets takes in one. */
const MAX_UDP_SEGMENTS = 64;

/** Where the packet begins in a flow's buffer: behind the virtio header, at a multiple of 16. */
const PACKET_PLACE = 16;
/** Bytes of arena that a flow needs. */
export const FLOW_BYTES = PACKET_PLACE + 65_536;

/** What became of a packet that was shown to a flow. */
export const Join = { joined: 0, joinedAsLast: 1, refused: 2, wrongChecksum: 3 } as const;
export type Join = (typeof Join)[keyof typeof Join];

export class Flow {
  /** Packets in the buffer. */
  packets = 0;
  /** Where virtio header and packet lie, and their length together, once `finish` has written the former. */
  readonly offset: number;
  length = 0;

  readonly #view: DataView;
  readonly #checksum: ChecksumEngine;
  readonly #packet: number;
  #version: 4 | 6 = 4;
  #tcp = false;
  /** Of IP header, and of IP and transport header. */
  #ipBytes = 0;
  #headerBytes = 0;
  /** Payload bytes of every packet but the last. */
  #segmentBytes = 0;
  #packetBytes = 0;
  #sequence = 0;
  #lastFlags = 0;
  #id = 0;
  #idStep = 0;
  /** Sums of the words that are the same in every packet, and of the pseudo header without the length. */
  #sum4 = 0;
  #pseudo = 0;
  #sumTransport = 0;

  constructor(view: DataView, checksum: ChecksumEngine, buffer: number) {
    this.#view = view;
    this.#checksum = checksum;
    this.#packet = buffer + PACKET_PLACE;
    this.offset = this.#packet - VIRTIO_HEADER_BYTES;
  }

  /** Whether the packet has the addresses, ports and protocol of the flow. */
  owns(packet: InnerPacket): boolean {
    if (packet.version !== this.#version || (packet.protocol === IpProtocol.tcp) !== this.#tcp) return false;
    const view = this.#view;
    const own = this.#packet;
    if (view.getInt32(packet.transport) !== view.getInt32(own + this.#ipBytes)) return false;
    const addresses = own + (this.#version === 4 ? 12 : 8);
    return sameBytes(view, packet.source, addresses, this.#version === 4 ? 8 : 32);
  }

  /**
   * Begins with a copy of a packet that may be the first of a super-packet. False when a checksum of it is wrong; the
   * flow is then still free.
   */
  begin(packet: InnerPacket, headerBytes: number): boolean {
    const view = this.#view;
    const { version, offset, length, transport, transportLength } = packet;
    const tcp = packet.protocol === IpProtocol.tcp;
    if (version === 4 && sumWords(view, offset, IPV4_HEADER_BYTES, 0) % 0xffff !== 0) return false;
    const ipBytes = transport - offset;
    const addressBytes = version === 4 ? 4 : 16;
    const pseudo = foldSum(sumPseudoHeader(view, packet.source, addressBytes, packet.protocol, 0));
    const sum = this.#checksum.copySegment(offset, ipBytes, transport, transportLength, this.#packet);
    if (foldSum(pseudo + transportLength + sum) !== 0xffff) return false;

    this.packets = 1;
    this.#version = version;
    this.#tcp = tcp;
    this.#ipBytes = ipBytes;
    this.#headerBytes = headerBytes;
    this.#segmentBytes = length - headerBytes;
    this.#packetBytes = length;
    this.#pseudo = pseudo;
    this.#idStep = 0;
    this.#lastFlags = 0;
    if (version === 4) {
      this.#id = view.getUint16(offset + 4);
      this.#sum4 = foldSum(sumWords(view, offset + 6, 4, view.getUint16(offset)) + sumWords(view, offset + 12, 8, 0));
    }
    const ports = sumWords(view, transport, 4, pseudo);
    if (tcp) {
      this.#sequence = (view.getInt32(transport + 4) + this.#segmentBytes) | 0;
      const upToChecksum = sumWords(view, transport + 8, 8, ports);
      this.#sumTransport = foldSum(sumWords(view, transport + 18, headerBytes - ipBytes - 18, upToChecksum));
    } else this.#sumTransport = foldSum(ports);
    return true;
  }

  /** Appends the payload of the next packet of the flow, if it may be joined. What `owns` compares is not looked at again. */
  append(packet: InnerPacket, headerBytes: number): Join {
    if (headerBytes !== this.#headerBytes) return Join.refused;
    const payloadBytes = packet.length - headerBytes;
    if (payloadBytes > this.#segmentBytes || this.#packetBytes + payloadBytes > MAX_SUPER_BYTES) return Join.refused;
    if (!this.#tcp && this.packets >= MAX_UDP_SEGMENTS) return Join.refused;
    if (this.#version === 4 ? !this.#continues4(packet.offset) : !this.#continues6(packet.offset)) return Join.refused;
    if (this.#tcp && !this.#continuesTcp(packet.transport)) return Join.refused;
    if (this.#version === 4 && !this.#isHeader4Valid(packet.offset, packet.length)) return Join.wrongChecksum;

    const target = this.#packet + this.#packetBytes;
    const sum = this.#checksum.copySegment(0, 0, packet.offset + headerBytes, payloadBytes, target);
    if (!this.#isTransportValid(packet.transport, packet.transportLength, sum)) return Join.wrongChecksum;
    return this.#take(packet, payloadBytes);
  }

  /** Writes the virtio header, and makes the headers those of a super-packet if it is one. `offset` and `length` are then to be written. */
  finish(): void {
    const view = this.#view;
    const at = this.#packet;
    this.length = VIRTIO_HEADER_BYTES + this.#packetBytes;
    if (this.packets === 1) {
      writePlainHeader(view, this.offset);
      return;
    }
    const transportBytes = this.#packetBytes - this.#ipBytes;
    if (this.#version === 4) {
      view.setUint16(at + 2, this.#packetBytes);
      view.setUint16(at + 10, finishChecksum(this.#sum4 + this.#packetBytes + view.getUint16(at + 4)));
    } else view.setUint16(at + 4, this.#packetBytes - IPV6_HEADER_BYTES);

    const transport = at + this.#ipBytes;
    const checksumOffset = this.#tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    if (this.#tcp) view.setUint16(transport + 12, view.getUint16(transport + 12) | this.#lastFlags);
    else view.setUint16(transport + 4, transportBytes);
    view.setUint16(transport + checksumOffset, foldSum(this.#pseudo + transportBytes));
    const gsoType = this.#tcp ? (this.#version === 4 ? GsoType.tcp4 : GsoType.tcp6) : GsoType.udp;
    const { offset } = this;
    writeSuperHeader(view, offset, gsoType, this.#segmentBytes, this.#headerBytes, this.#ipBytes, checksumOffset);
  }

  #continues4(offset: number): boolean {
    const view = this.#view;
    const own = this.#packet;
    if (view.getUint16(offset) !== view.getUint16(own) || view.getUint16(offset + 6) !== view.getUint16(own + 6)) {
      return false;
    }
    if (view.getUint8(offset + 8) !== view.getUint8(own + 8)) return false;
    // Ids count up; where DF makes them meaningless, some hosts send the same one always. Which of both, the second packet says.
    const step = (view.getUint16(offset + 4) - this.#id) & 0xffff;
    if (this.packets > 1) return step === this.#idStep;
    return step === 1 || (step === 0 && view.getUint16(own + 6) === DONT_FRAGMENT);
  }

  #continues6(offset: number): boolean {
    const view = this.#view;
    const own = this.#packet;
    return view.getInt32(offset) === view.getInt32(own) && view.getUint16(offset + 6) === view.getUint16(own + 6);
  }

  #continuesTcp(transport: number): boolean {
    const view = this.#view;
    const own = this.#packet + this.#ipBytes;
    if (view.getInt32(transport + 4) !== this.#sequence) return false;
    if (view.getInt32(transport + 8) !== view.getInt32(own + 8)) return false;
    const words = view.getInt32(transport + 12) ^ view.getInt32(own + 12);
    if ((words & ~(FLAGS_LAST_ONLY << 16)) !== 0) return false;
    if (view.getUint16(transport + 18) !== view.getUint16(own + 18)) return false;
    const optionBytes = this.#headerBytes - this.#ipBytes - TCP_HEADER_BYTES;
    return sameBytes(view, transport + TCP_HEADER_BYTES, own + TCP_HEADER_BYTES, optionBytes);
  }

  #isHeader4Valid(offset: number, length: number): boolean {
    const view = this.#view;
    return foldSum(this.#sum4 + length + view.getUint16(offset + 4) + view.getUint16(offset + 10)) === 0xffff;
  }

  #isTransportValid(transport: number, transportBytes: number, payloadSum: number): boolean {
    const view = this.#view;
    const fixed = this.#sumTransport + transportBytes + payloadSum;
    if (!this.#tcp) return foldSum(sumWords(view, transport + 4, 4, fixed)) === 0xffff;
    const flags = view.getUint16(transport + 12) & FLAGS_LAST_ONLY;
    const sequence = sumWords(view, transport + 4, 4, 0);
    return foldSum(fixed + flags + sequence + view.getUint16(transport + TCP_CHECKSUM)) === 0xffff;
  }

  #take(packet: InnerPacket, payloadBytes: number): Join {
    const view = this.#view;
    this.packets++;
    this.#packetBytes += payloadBytes;
    if (this.#version === 4) {
      const id = view.getUint16(packet.offset + 4);
      this.#idStep = (id - this.#id) & 0xffff;
      this.#id = id;
    }
    if (this.#tcp) {
      this.#sequence = (this.#sequence + payloadBytes) | 0;
      this.#lastFlags = view.getUint16(packet.transport + 12) & FLAGS_LAST_ONLY;
    }
    const ends = payloadBytes < this.#segmentBytes || this.#lastFlags !== 0;
    return ends ? Join.joinedAsLast : Join.joined;
  }
}

/** `length` is a multiple of 4. */
function sameBytes(view: DataView, a: number, b: number, length: number): boolean {
  for (let at = 0; at < length; at += 4) if (view.getInt32(a + at) !== view.getInt32(b + at)) return false;
  return true;
}
