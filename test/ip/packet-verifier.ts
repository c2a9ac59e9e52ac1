// A second opinion on packets: says what is wrong with one, and shares no code with src/ip.

/** What is wrong with an IPv4 or IPv6 packet of TCP or UDP; undefined when nothing is. */
export function packetFault(packet: Uint8Array): string | undefined {
  const u16 = (at: number) => packet[at]! * 256 + packet[at + 1]!;
  const version = Math.floor(packet[0]! / 16);
  let pseudo = 0;
  let protocol = 0;
  let transport = 0;
  if (version === 4) {
    transport = (packet[0]! % 16) * 4;
    if (transport < 20 || u16(2) !== packet.length) return 'IPv4 lengths';
    if (!sumsToNothing(packet.subarray(0, transport), 0)) return 'IPv4 checksum';
    protocol = packet[9]!;
    pseudo = wordSum(packet.subarray(12, 20));
  } else if (version === 6) {
    if (40 + u16(4) !== packet.length) return 'IPv6 length';
    protocol = packet[6]!;
    transport = 40;
    while ([0, 43, 60].includes(protocol)) {
      protocol = packet[transport]!;
      transport += (packet[transport + 1]! + 1) * 8;
    }
    pseudo = wordSum(packet.subarray(8, 40));
  } else return 'version';
  const segment = packet.subarray(transport);
  if (protocol === 6) {
    if (segment.length < 20 || segment[12]! < 0x50 || (segment[12]! >> 4) * 4 > segment.length) return 'TCP header';
  } else if (protocol === 17) {
    if (segment.length < 8 || u16(transport + 4) !== segment.length) return 'UDP length';
    if (u16(transport + 6) === 0) return version === 6 ? 'UDP checksum missing' : undefined;
  } else return 'protocol';
  return sumsToNothing(segment, pseudo + protocol + segment.length) ? undefined : 'transport checksum';
}

/** The plain sum of the 16-bit words, not folded. */
export function wordSum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte, index) => sum + (index % 2 === 0 ? byte * 256 : byte), 0);
}

/** Words that add up to a multiple of 2^16 - 1, and are not all zero: what one's complement arithmetic calls -0. */
function sumsToNothing(bytes: Uint8Array, more: number): boolean {
  const sum = wordSum(bytes) + more;
  return sum > 0 && sum % 0xffff === 0;
}
