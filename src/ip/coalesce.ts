// Joining of packets out of the tunnel into super-packets for a tun device with a virtio header: fewer writes, and one
// walk through the kernel's stack for many packets. What can't be joined is written as it is.
//
// A packet that may begin a super-packet is copied into the buffer of its flow and waits there for those that follow, at
// most until `flush` at the end of the batch. A packet that doesn't continue its flow writes that first, so that the
// order within a flow stays. A few flows can be under way at a time; the one that has waited longest makes room.

import type { ChecksumEngine } from './checksum.ts';
import { FLOW_BYTES, Flow, Join } from './flow.ts';
import { FLAGS_LAST_ONLY, type InnerPacket, IpProtocol, TCP_HEADER_BYTES, UDP_HEADER_BYTES } from './packet.ts';
import { VIRTIO_HEADER_BYTES, writePlainHeader } from './virtio-header.ts';

const MAX_FLOWS = 8;
/** More fragments, a fragment's offset, and the reserved bit. */
const NOT_WHOLE_MASK = 0xbfff;
const ACK = 0x10;
/** SYN, RST, URG and CWR: such a packet is neither first nor next. */
const NEVER_JOINED = 0xa6;
/** IPv6: hop-by-hop, routing, fragment, destination options, which hide the ports. */
const EXTENSIONS: readonly number[] = [0, 43, 44, 60];

/** Bytes of arena that a coalescer needs. */
export const COALESCER_BYTES = MAX_FLOWS * FLOW_BYTES;

export interface CoalescerOptions {
  readonly view: DataView;
  readonly checksum: ChecksumEngine;
  /** Offset of COALESCER_BYTES in the arena, a multiple of 16; nobody else writes there. */
  readonly buffer: number;
  /** Whether the device takes UDP super-packets. */
  readonly joinUdp: boolean;
  readonly sink: CoalescerSink;
}

export interface CoalescerSink {
  /**
   * Takes a virtio header with the packet behind it, at once: the bytes are used again after the call. `packets` is how many
   * were joined in it. Called in the order in which a flow's packets came.
   */
  writeJoined(offset: number, length: number, packets: number): void;
}

/** One for a device. It allocates nothing for a packet. */
export class Coalescer {
  readonly #view: DataView;
  readonly #joinUdp: boolean;
  readonly #sink: CoalescerSink;
  /** Those under way first, the one that has waited longest at the front. */
  readonly #flows: Flow[];
  #used = 0;

  constructor(options: CoalescerOptions) {
    const { view, checksum, buffer } = options;
    if (buffer % 16 !== 0 || buffer + COALESCER_BYTES > view.byteLength) {
      throw new RangeError(`${buffer} is no place for ${COALESCER_BYTES} bytes of joined packets`);
    }
    this.#view = view;
    this.#joinUdp = options.joinUdp;
    this.#sink = options.sink;
    this.#flows = Array.from(
      { length: MAX_FLOWS },
      (_, index) => new Flow(view, checksum, buffer + index * FLOW_BYTES),
    );
  }

  /** Whether packets wait for `flush`. */
  get pending(): boolean {
    return this.#used > 0;
  }

  /**
   * Takes a packet that was parsed; `length` is that of its bytes, which may be more than its header says. Its memory, and
   * the VIRTIO_HEADER_BYTES before it (which are overwritten), are free again after the call.
   */
  accept(packet: InnerPacket, length: number): void {
    if (!this.#hasPorts(packet)) {
      if (this.#mayHidePorts(packet)) this.flush();
      this.#pass(packet.offset, length);
      return;
    }
    const headerBytes = packet.length === length ? this.#joinableHeaderBytes(packet) : 0;
    const join = this.#continueFlow(packet, headerBytes);
    if (join === Join.joined || join === Join.joinedAsLast) return;
    const begins = headerBytes > 0 && join !== Join.wrongChecksum && !this.#endsItself(packet);
    if (!begins || !this.#beginFlow(packet, headerBytes)) this.#pass(packet.offset, length);
  }

  /** Writes what waits. */
  flush(): void {
    while (this.#used > 0) this.#finish(0);
  }

  /** Shows the packet to its flow, if that is under way, and writes the flow unless it may go on. */
  #continueFlow(packet: InnerPacket, headerBytes: number): Join {
    const index = this.#find(packet);
    if (index < 0) return Join.refused;
    const join = headerBytes > 0 ? this.#flows[index]!.append(packet, headerBytes) : Join.refused;
    if (join !== Join.joined) this.#finish(index);
    return join;
  }

  #beginFlow(packet: InnerPacket, headerBytes: number): boolean {
    if (this.#used === MAX_FLOWS) this.#finish(0);
    if (!this.#flows[this.#used]!.begin(packet, headerBytes)) return false;
    this.#used++;
    return true;
  }

  #hasPorts(packet: InnerPacket): boolean {
    const { protocol, transportLength } = packet;
    if (protocol !== IpProtocol.tcp && protocol !== IpProtocol.udp) return false;
    if (packet.version === 4 && (this.#view.getUint16(packet.offset + 6) & NOT_WHOLE_MASK) !== 0) return false;
    return transportLength >= UDP_HEADER_BYTES;
  }

  /** Whether a packet without ports could be of any flow: a fragment, or what is behind extension headers. */
  #mayHidePorts({ version, protocol }: InnerPacket): boolean {
    if (protocol === IpProtocol.tcp || protocol === IpProtocol.udp) return true;
    return version === 6 && EXTENSIONS.includes(protocol);
  }

  #find(packet: InnerPacket): number {
    for (let index = this.#used - 1; index >= 0; index--) if (this.#flows[index]!.owns(packet)) return index;
    return -1;
  }

  /** Bytes of all headers of a packet that can be part of a super-packet; 0 when it can't. */
  #joinableHeaderBytes(packet: InnerPacket): number {
    const view = this.#view;
    const { offset, transport, transportLength } = packet;
    if (packet.version === 4 && view.getUint8(offset) !== 0x45) return 0;
    if (packet.protocol === IpProtocol.udp) {
      if (!this.#joinUdp || view.getUint16(transport + 4) !== transportLength) return 0;
      // Without payload, or without a checksum.
      if (transportLength === UDP_HEADER_BYTES || view.getUint16(transport + 6) === 0) return 0;
      return transport - offset + UDP_HEADER_BYTES;
    }
    if (transportLength < TCP_HEADER_BYTES) return 0;
    const flagsWord = view.getUint16(transport + 12);
    if ((flagsWord & (NEVER_JOINED | ACK)) !== ACK) return 0;
    const tcpBytes = (flagsWord >> 12) * 4;
    return tcpBytes < TCP_HEADER_BYTES || tcpBytes >= transportLength ? 0 : transport - offset + tcpBytes;
  }

  /** Nothing may follow FIN or PSH, so that such a packet has nothing to wait for. */
  #endsItself(packet: InnerPacket): boolean {
    if (packet.protocol !== IpProtocol.tcp) return false;
    return (this.#view.getUint16(packet.transport + 12) & FLAGS_LAST_ONLY) !== 0;
  }

  #pass(offset: number, length: number): void {
    const start = offset - VIRTIO_HEADER_BYTES;
    writePlainHeader(this.#view, start);
    this.#sink.writeJoined(start, VIRTIO_HEADER_BYTES + length, 1);
  }

  #finish(index: number): void {
    const flows = this.#flows;
    const flow = flows[index]!;
    flow.finish();
    this.#used--;
    for (let at = index; at < this.#used; at++) flows[at] = flows[at + 1]!;
    flows[this.#used] = flow;
    this.#sink.writeJoined(flow.offset, flow.length, flow.packets);
  }
}
