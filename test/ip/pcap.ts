// The pcap file format, version 2.4, for raw IP packets.

const MAGIC = 0xa1b2c3d4;
const LINKTYPE_RAW = 101;

export function pcapOf(packets: readonly Uint8Array[]): Uint8Array {
  const file = new Uint8Array(24 + packets.reduce((sum, { length }) => sum + 16 + length, 0));
  const view = new DataView(file.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(4, 2);
  view.setUint16(6, 4);
  view.setUint32(16, 0xffff);
  view.setUint32(20, LINKTYPE_RAW);
  let at = 24;
  for (const packet of packets) {
    view.setUint32(at + 8, packet.length);
    view.setUint32(at + 12, packet.length);
    file.set(packet, at + 16);
    at += 16 + packet.length;
  }
  return file;
}
