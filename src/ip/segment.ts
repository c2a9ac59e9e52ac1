// Splitting of what a tun device gives in one read (a virtio header and a packet of up to 64 KiB) into packets that fit
// the wire: each with its own lengths, id, sequence number and flags, and a full checksum.
//
// Every segment has the super-packet's headers. What differs from one to the next is a handful of words, so the sum of
// the rest is taken once, and only the payload is summed for each segment, while it is copied.
//
//   IPv4  2 total length | 4 id, one more each | 10 header checksum
//   IPv6  4 payload length
//   TCP   4 sequence | 13 flags: CWR in the first only, FIN and PSH in the last only | 16 checksum
//   UDP   4 length | 6 checksum

import { type ChecksumEngine, finishChecksum, foldSum, sumWords } from './checksum.ts';
import { followExtensions } from './extension-headers.ts';
import {
  FLAGS_LAST_ONLY,
  InnerPacket,
  IPV6_HEADER_BYTES,
  IpProtocol,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  UDP_CHECKSUM,
  UDP_HEADER_BYTES,
} from './packet.ts';
import { DeviceRefusal, GsoType, VIRTIO_HEADER_BYTES, VirtioHeader } from './virtio-header.ts';

/** More fragments, or a fragment's offset. */
const FRAGMENT_MASK = 0x3fff;
const FLAGS_FIRST_ONLY = 0x80; // CWR

/**
 * One super-packet after another. `begin` looks at it and says how many packets it makes; `next` writes them, one for each
 * call, anywhere in the same memory. It allocates nothing for a packet.
 */
export class Segmenter {
  /** Where the packet lies, and its length, without the virtio header. */
  packetOffset = 0;
  packetLength = 0;
  /** Bytes of each segment but the last, headers included; `packetLength` for a packet that is not split. */
  segmentLength = 0;
  /** Whether there is one packet only; it is ready for sending where it lies, its checksum completed. */
  whole = true;

  readonly #view: DataView;
  readonly #checksum: ChecksumEngine;
  readonly #header = new VirtioHeader();
  readonly #packet = new InnerPacket();
  #tcp = false;
  #count = 0;
  #index = 0;
  #headerBytes = 0;
  #payload = 0;
  #payloadEnd = 0;
  #sequence = 0;
  #id = 0;
  /** TCP header length and flags, the word at 12. */
  #flagsWord = 0;
  /** Sums of all words that are the same in every segment. */
  #sum4 = 0;
  #transportSum = 0;

  constructor(view: DataView, checksum: ChecksumEngine) {
    this.#view = view;
    this.#checksum = checksum;
  }

  /**
   * Looks at virtio header and packet at `offset`, `length` bytes together. Gives the count of packets it makes, or a
   * DeviceRefusal (negative). A packet that is not split gets its checksum completed in place, whatever its protocol.
   */
  begin(offset: number, length: number): number {
    const header = this.#header;
    const refusal = header.parse(this.#view, offset, length);
    if (refusal !== DeviceRefusal.accepted) return this.#refuse(refusal);
    this.packetOffset = offset + VIRTIO_HEADER_BYTES;
    this.packetLength = length - VIRTIO_HEADER_BYTES;
    this.#index = 0;
    if (header.gsoType !== GsoType.none) return this.#beginSuper();
    return this.#beginWhole();
  }

  /**
   * Writes the next packet at `out` and returns its length, which is `segmentLength` for all but the last; 0 when there is none left.
   * Exactly that many bytes are written, nothing before or behind them; they must not overlap the super-packet.
   */
  next(out: number): number {
    if (this.#index >= this.#count) return 0;
    const index = this.#index++;
    const last = this.#index === this.#count;
    const payloadBytes = last ? this.#payloadEnd - this.#payload : this.#header.gsoSize;
    const headerBytes = this.#headerBytes;
    const sum = this.#checksum.copySegment(this.packetOffset, headerBytes, this.#payload, payloadBytes, out);
    this.#payload += payloadBytes;
    const length = headerBytes + payloadBytes;
    if (!this.whole) this.#rewriteHeaders(out, length, sum, index, last);
    return length;
  }

  #refuse(refusal: DeviceRefusal): number {
    this.#count = 0;
    this.#index = 0;
    return refusal;
  }

  #beginWhole(): number {
    if (this.#header.needsChecksum) this.#completeChecksum();
    this.whole = true;
    this.segmentLength = this.packetLength;
    this.#headerBytes = 0;
    this.#payload = this.packetOffset;
    this.#payloadEnd = this.packetOffset + this.packetLength;
    this.#count = 1;
    return 1;
  }

  #completeChecksum(): void {
    const start = this.packetOffset + this.#header.checksumStart;
    const sum = this.#checksum.sum(start, this.packetOffset + this.packetLength - start);
    // All ones is the other way to write zero, which means "no checksum" in UDP.
    this.#view.setUint16(start + this.#header.checksumOffset, finishChecksum(sum) || 0xffff);
  }

  #beginSuper(): number {
    const { gsoSize, checksumStart } = this.#header;
    const refusal = this.#checkHeaders();
    if (refusal !== DeviceRefusal.accepted) return this.#refuse(refusal);
    const payloadBytes = this.packetLength - this.#headerBytes;
    if (payloadBytes < 1) return this.#refuse(DeviceRefusal.superPacket);
    if (payloadBytes <= gsoSize) return this.#beginWhole();

    this.whole = false;
    this.segmentLength = this.#headerBytes + gsoSize;
    this.#payload = this.packetOffset + this.#headerBytes;
    this.#payloadEnd = this.packetOffset + this.packetLength;
    this.#count = Math.ceil(payloadBytes / gsoSize);
    if (this.#packet.version === 4) this.#sumHeader4();
    this.#sumTransport(this.packetOffset + checksumStart);
    return this.#count;
  }

  /** Whether the packet is what the gso type says, from its first byte to its transport header; notes its header length. */
  #checkHeaders(): DeviceRefusal {
    const packet = this.#packet;
    const view = this.#view;
    const { gsoType, checksumStart, checksumOffset } = this.#header;
    if (!packet.parse(view, this.packetOffset, this.packetLength)) return DeviceRefusal.superPacket;
    if (packet.length !== this.packetLength) return DeviceRefusal.superPacket;
    if (packet.version === 4) {
      if (gsoType === GsoType.tcp6) return DeviceRefusal.superPacket;
      if ((view.getUint16(packet.offset + 6) & FRAGMENT_MASK) !== 0) return DeviceRefusal.superPacket;
    } else if (gsoType === GsoType.tcp4 || !followExtensions(view, packet)) return DeviceRefusal.superPacket;

    this.#tcp = gsoType !== GsoType.udp;
    if (packet.protocol !== (this.#tcp ? IpProtocol.tcp : IpProtocol.udp)) return DeviceRefusal.superPacket;
    const isTransports = checksumOffset === (this.#tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
    if (!isTransports || packet.offset + checksumStart !== packet.transport) return DeviceRefusal.checksumPlace;
    const transportBytes = this.#tcp ? this.#tcpHeaderBytes() : this.#udpHeaderBytes();
    if (transportBytes === 0) return DeviceRefusal.superPacket;
    this.#headerBytes = checksumStart + transportBytes;
    return DeviceRefusal.accepted;
  }

  #tcpHeaderBytes(): number {
    const { transport, transportLength } = this.#packet;
    if (transportLength < TCP_HEADER_BYTES) return 0;
    const bytes = (this.#view.getUint8(transport + 12) >> 4) * 4;
    return bytes < TCP_HEADER_BYTES || bytes > transportLength ? 0 : bytes;
  }

  #udpHeaderBytes(): number {
    const { transport, transportLength } = this.#packet;
    if (transportLength < UDP_HEADER_BYTES) return 0;
    return this.#view.getUint16(transport + 4) === transportLength ? UDP_HEADER_BYTES : 0;
  }

  /** All words of the IPv4 header but total length, id and checksum. */
  #sumHeader4(): void {
    const view = this.#view;
    const at = this.packetOffset;
    this.#id = view.getUint16(at + 4);
    const rest = sumWords(view, at + 12, this.#header.checksumStart - 12, 0);
    this.#sum4 = foldSum(view.getUint16(at) + view.getUint16(at + 6) + view.getUint16(at + 8) + rest);
  }

  /**
   * Pseudo header and transport header but for the words that change. The pseudo header's sum is the one that the kernel
   * has left in the checksum field: it knows the last destination behind a routing header.
   */
  #sumTransport(at: number): void {
    const view = this.#view;
    const lengthBefore = this.#packet.transportLength;
    const withoutLength = ~lengthBefore & 0xffff;
    if (this.#tcp) {
      this.#sequence = view.getInt32(at + 4);
      this.#flagsWord = view.getUint16(at + 12);
      const pseudo = view.getUint16(at + TCP_CHECKSUM) + withoutLength;
      const headerEnd = this.packetOffset + this.#headerBytes;
      const fixed = view.getUint16(at) + view.getUint16(at + 2) + sumWords(view, at + 8, 4, view.getUint16(at + 14));
      this.#transportSum = foldSum(sumWords(view, at + 18, headerEnd - at - 18, pseudo + fixed));
    } else {
      const pseudo = view.getUint16(at + UDP_CHECKSUM) + withoutLength;
      this.#transportSum = foldSum(pseudo + view.getUint16(at) + view.getUint16(at + 2));
    }
  }

  #rewriteHeaders(out: number, length: number, payloadSum: number, index: number, last: boolean): void {
    const view = this.#view;
    if (this.#packet.version === 4) {
      const id = (this.#id + index) & 0xffff;
      view.setUint16(out + 2, length);
      view.setUint16(out + 4, id);
      view.setUint16(out + 10, finishChecksum(this.#sum4 + length + id));
    } else view.setUint16(out + 4, length - IPV6_HEADER_BYTES);

    const at = out + this.#header.checksumStart;
    const transportBytes = length - this.#header.checksumStart;
    if (this.#tcp) {
      const sequence = (this.#sequence + index * this.#header.gsoSize) | 0;
      let flagsWord = this.#flagsWord;
      if (index > 0) flagsWord &= ~FLAGS_FIRST_ONLY;
      if (!last) flagsWord &= ~FLAGS_LAST_ONLY;
      view.setInt32(at + 4, sequence);
      view.setUint16(at + 12, flagsWord);
      const changing = (sequence >>> 16) + (sequence & 0xffff) + flagsWord + transportBytes;
      view.setUint16(at + TCP_CHECKSUM, finishChecksum(this.#transportSum + changing + payloadSum));
    } else {
      view.setUint16(at + 4, transportBytes);
      const sum = this.#transportSum + 2 * transportBytes + payloadSum;
      view.setUint16(at + UDP_CHECKSUM, finishChecksum(sum) || 0xffff);
    }
  }
}
