// Control messages of sendmmsg(2) and recvmmsg(2) beyond the size of segments: the traffic class of what is sent, and the
// local end of a datagram, both ways.
//
// struct cmsghdr (16 bytes): length u64 | level i32 at 8 | type i32 at 12, then the data, padded to 8
// struct in_pktinfo:         interface i32 | local address for answers 4 | address in the header 4
// struct in6_pktinfo:        address 16 | interface i32

import { LOCAL_END } from '../ip/packed-address.ts';
import { type MessageHeaders, SOL_UDP, UDP_GRO } from './message-headers.ts';
import { IP_TOS, IPPROTO_IP, IPPROTO_IPV6, IPV6_TCLASS } from './socket-options.ts';

const HEADER_BYTES = 16;
const LEVEL = 8;
const TYPE = 12;
const IP_PKTINFO = 8;
const IPV6_PKTINFO = 50;
const PKTINFO4_BYTES = 12;
const PKTINFO6_BYTES = 20;

/** Gives a message the TOS byte (IPv4) or traffic class (IPv6) of its datagrams, behind what was given it before. */
export function addTrafficClass(headers: MessageHeaders, index: number, trafficClass: number, overV4: boolean): void {
  const data = begin(headers, index, overV4 ? IPPROTO_IP : IPPROTO_IPV6, overV4 ? IP_TOS : IPV6_TCLASS, 4);
  headers.controls.setInt32(data, trafficClass, true);
}

/** Lets a message leave from the local end of a packed address, whose words from `LOCAL_END` on stand at `at`, if it has one. */
export function addLocalEnd(headers: MessageHeaders, index: number, words: Int32Array, at: number): void {
  const family = words[at]! >>> 24;
  if (family === 0) return;
  const { controls } = headers;
  if (family === 4) {
    const data = begin(headers, index, IPPROTO_IP, IP_PKTINFO, PKTINFO4_BYTES);
    controls.setInt32(data, words[at + 1]!, true);
    controls.setInt32(data + 4, words[at + 2]!);
    controls.setInt32(data + 8, 0);
    return;
  }
  const data = begin(headers, index, IPPROTO_IPV6, IPV6_PKTINFO, PKTINFO6_BYTES);
  for (let word = 0; word < 4; word++) controls.setInt32(data + word * 4, words[at + 2 + word]!);
  controls.setInt32(data + 16, words[at + 1]!, true);
}

/** Writes the local end of a received message behind the packed address at `packed`, with its interface where asked for. */
export function readLocalEnd(
  headers: MessageHeaders,
  index: number,
  to: DataView,
  packed: number,
  withInterface: boolean,
): void {
  const { controls } = headers;
  const at = packed + LOCAL_END;
  const four = find(headers, index, IPPROTO_IP, IP_PKTINFO, PKTINFO4_BYTES);
  if (four !== 0) {
    to.setUint8(at, 4);
    to.setInt32(at + 4, withInterface ? controls.getInt32(four, true) : 0);
    to.setInt32(at + 8, controls.getInt32(four + 4));
    for (let word = 1; word < 4; word++) to.setInt32(at + 8 + word * 4, 0);
    return;
  }
  const six = find(headers, index, IPPROTO_IPV6, IPV6_PKTINFO, PKTINFO6_BYTES);
  if (six === 0) return;
  to.setUint8(at, 6);
  to.setInt32(at + 4, withInterface ? controls.getInt32(six + 16, true) : 0);
  for (let word = 0; word < 4; word++) to.setInt32(at + 8 + word * 4, controls.getInt32(six + word * 4));
}

/** As `joinedSegmentBytes`, where other control messages may come before. */
export function segmentBytesIn(headers: MessageHeaders, index: number): number {
  const data = find(headers, index, SOL_UDP, UDP_GRO, 4);
  return data === 0 ? 0 : headers.controls.getInt32(data, true);
}

/** Begins another message; returns where its data goes. */
function begin(headers: MessageHeaders, index: number, level: number, type: number, dataBytes: number): number {
  const { controls } = headers;
  const length = headers.controlLength(index);
  const at = headers.controlAt(index) + length;
  controls.setUint32(at, HEADER_BYTES + dataBytes, true);
  controls.setUint32(at + 4, 0, true);
  controls.setInt32(at + LEVEL, level, true);
  controls.setInt32(at + TYPE, type, true);
  headers.setControlLength(index, length + aligned(HEADER_BYTES + dataBytes));
  return at + HEADER_BYTES;
}

/** Where the data of a received message lies; 0 when there is none of so many bytes. */
function find(headers: MessageHeaders, index: number, level: number, type: number, dataBytes: number): number {
  const { controls } = headers;
  const start = headers.controlAt(index);
  const end = start + headers.controlLength(index);
  for (let at = start; at + HEADER_BYTES <= end; ) {
    const length = controls.getUint32(at, true);
    if (length < HEADER_BYTES || at + length > end) return 0;
    const isMeant = controls.getInt32(at + LEVEL, true) === level && controls.getInt32(at + TYPE, true) === type;
    if (isMeant && length >= HEADER_BYTES + dataBytes) return at + HEADER_BYTES;
    at += aligned(length);
  }
  return 0;
}

function aligned(length: number): number {
  return (length + 7) & ~7;
}
