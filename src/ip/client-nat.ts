// One address of an IPv4 packet translated on its way through the tunnel (`--client-nat`), network for network, without any
// state: what lies in `network` here is seen in `foreign` there. The checksums follow what has changed.
//
//   rule   on its way out            on its way in
//   snat   source  network→foreign   destination foreign→network
//   dnat   destination network→foreign   source foreign→network

import { adjustChecksum } from './checksum.ts';
import {
  type InnerPacket,
  IpProtocol,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  UDP_CHECKSUM,
  UDP_HEADER_BYTES,
} from './packet.ts';

const IPV4_CHECKSUM = 10;

/** Which address is translated, and between what; addresses and netmask as 32-bit numbers, signed or not. */
export interface NatRule {
  readonly type: 'snat' | 'dnat';
  readonly network: number;
  readonly netmask: number;
  readonly foreign: number;
}

/**
 * Translates the packet in hand by the first rule that fits its source, and the first one that fits its destination. IPv4
 * only; true when something was changed. A UDP checksum of 0 (none) stays, and a later fragment has no transport header.
 */
export function translate(
  view: DataView,
  packet: InnerPacket,
  rules: readonly NatRule[],
  direction: 'out' | 'in',
): boolean {
  if (packet.version !== 4) return false;
  let sourceDone = false;
  let destinationDone = false;
  for (let index = 0; index < rules.length; index++) {
    const rule = rules[index]!;
    const ofSource = (rule.type === 'snat') === (direction === 'out');
    if (ofSource ? sourceDone : destinationDone) continue;
    const at = ofSource ? packet.source : packet.destination;
    const before = view.getInt32(at);
    const from = direction === 'out' ? rule.network : rule.foreign;
    const to = direction === 'out' ? rule.foreign : rule.network;
    if ((before & rule.netmask) !== (from | 0)) continue;
    replaceAddress(view, packet, at, before, (before & ~rule.netmask) | to);
    if (ofSource) sourceDone = true;
    else destinationDone = true;
  }
  return sourceDone || destinationDone;
}

function replaceAddress(view: DataView, packet: InnerPacket, at: number, before: number, after: number): void {
  view.setInt32(at, after);
  adjust(view, packet.offset + IPV4_CHECKSUM, before, after);
  const { protocol, transport, transportLength } = packet;
  if (protocol === IpProtocol.tcp && transportLength >= TCP_HEADER_BYTES) {
    adjust(view, transport + TCP_CHECKSUM, before, after);
  } else if (protocol === IpProtocol.udp && transportLength >= UDP_HEADER_BYTES) {
    const checksum = transport + UDP_CHECKSUM;
    if (view.getUint16(checksum) === 0) return;
    adjust(view, checksum, before, after);
    // 0 would say that there is none.
    if (view.getUint16(checksum) === 0) view.setUint16(checksum, 0xffff);
  }
}

function adjust(view: DataView, at: number, before: number, after: number): void {
  const half = adjustChecksum(view.getUint16(at), before >>> 16, after >>> 16);
  view.setUint16(at, adjustChecksum(half, before & 0xffff, after & 0xffff));
}
