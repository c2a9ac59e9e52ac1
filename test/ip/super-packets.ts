// Super-packets as a tun device gives them, built field by field, and their splitting and joining for tests.

import { createPlainChecksum } from '../../src/ip/checksum.ts';
import { Segmenter } from '../../src/ip/segment.ts';
import { wordSum } from './packet-verifier.ts';

export interface SuperFields {
  readonly version: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly payload: Uint8Array;
  readonly gsoSize: number;
  /** IPv4 options or IPv6 extension headers; the latter with the protocol to follow in their last next-header field. */
  readonly extra?: readonly number[];
  /** What the IPv6 header calls its next header when there is `extra`. */
  readonly nextHeader?: number;
  readonly tcpOptions?: readonly number[];
  readonly flags?: number;
  readonly sequence?: number;
  readonly id?: number;
  /** IPv4 flags and fragment offset. */
  readonly fragmentWord?: number;
  readonly trafficClass?: number;
  readonly ports?: readonly [number, number];
}

export const ACK = 0x10;
export const PSH = 0x08;
export const FIN = 0x01;
export const CWR = 0x80;
export const TIMESTAMPS = [1, 1, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7] as const;

/** Virtio header and packet, its transport checksum the pseudo header's sum. */
export function superPacket(fields: SuperFields): Uint8Array {
  const { version, protocol, payload, gsoSize, extra = [], tcpOptions = [], trafficClass = 0 } = fields;
  const tcp = protocol === 'tcp';
  const ip = (version === 4 ? 20 : 40) + extra.length;
  const transportHeader = tcp ? 20 + tcpOptions.length : 8;
  const packet = new Uint8Array(ip + transportHeader + payload.length);
  const view = new DataView(packet.buffer);
  const number = tcp ? 6 : 17;
  if (version === 4) {
    packet.set([0x40 | (ip / 4), trafficClass, 0, 0, 0, 0, 0, 0, 63, number, 0, 0, 10, 8, 0, 1, 10, 8, 0, 2, ...extra]);
    view.setUint16(2, packet.length);
    view.setUint16(4, fields.id ?? 0x1234);
    view.setUint16(6, fields.fragmentWord ?? 0x4000);
    view.setUint16(10, complement(wordSum(packet.subarray(0, ip))));
  } else {
    view.setUint32(0, 0x60000000 + trafficClass * 0x100000 + 0x54321);
    view.setUint16(4, packet.length - 40);
    packet.set([fields.nextHeader ?? number, 63, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 6);
    packet.set([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, ...extra], 24);
  }
  const [from, to] = fields.ports ?? [40_000, 443];
  view.setUint16(ip, from);
  view.setUint16(ip + 2, to);
  if (tcp) {
    view.setUint32(ip + 4, fields.sequence ?? 1000);
    packet.set([0x11, 0x22, 0x33, 0x44, (transportHeader / 4) << 4, fields.flags ?? ACK, 0x20, 0, 0, 0, 0, 0], ip + 8);
    packet.set(tcpOptions, ip + 20);
  } else view.setUint16(ip + 4, packet.length - ip);
  packet.set(payload, ip + transportHeader);
  const addresses = version === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  view.setUint16(ip + (tcp ? 16 : 6), 0xffff - complement(wordSum(addresses) + number + packet.length - ip));

  const whole = new Uint8Array(10 + packet.length);
  const header = new DataView(whole.buffer);
  whole.set([1, tcp ? (version === 4 ? 1 : 4) : 5]);
  header.setUint16(2, ip + transportHeader, true);
  header.setUint16(4, gsoSize, true);
  header.setUint16(6, ip, true);
  header.setUint16(8, tcp ? 16 : 6, true);
  whole.set(packet, 10);
  return whole;
}

function complement(sum: number): number {
  const rest = sum % 0xffff;
  return sum > 0 && rest === 0 ? 0 : 0xffff - rest;
}

/** All packets that a read from the device makes, or the refusal. Bytes around each are checked to be left alone. */
export function split(read: Uint8Array): Uint8Array[] | number {
  const output = 70_000;
  const bytes = new Uint8Array(140_000).fill(0xa5);
  const view = new DataView(bytes.buffer);
  bytes.set(read, 32);
  const segmenter = new Segmenter(view, createPlainChecksum(bytes, view));
  const count = segmenter.begin(32, read.length);
  if (count < 0) return count;
  const packets: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    bytes.fill(0xa5, output);
    const length = segmenter.next(output);
    if (bytes[output - 1] !== 0xa5 || bytes[output + length] !== 0xa5) throw new Error('wrote outside of its packet');
    if (index < count - 1 && length !== segmenter.segmentLength) throw new Error('a segment of another length');
    packets.push(bytes.slice(output, output + length));
  }
  if (segmenter.next(output) !== 0) throw new Error('more packets than counted');
  return packets;
}

/** Splits what must be accepted. */
export function splitAccepted(read: Uint8Array): Uint8Array[] {
  const packets = split(read);
  if (typeof packets === 'number') throw new Error(`refused with ${packets}`);
  return packets;
}

/** Payload bytes that are all different from their neighbours. */
export function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
}
