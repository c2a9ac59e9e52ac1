import { BUFFER_BYTES, HEADROOM_BYTES, MAX_PACKET_BYTES } from '../data/arena.ts';
import { createNativeArena, type NativeArena } from './arena.ts';

// The arena of the data worker:
//   0    64  nothing: offset 0 means "no address" to the engine
//   64   64  packed source address of the packet that is being handled
//   128  64  the kernel's form of a source address; its length u32 at 256
//   192  64  the kernel's form of an address to send to
//   320      a buffer each for packets from devices, datagrams, packets out of streams, and for what a stream gives
//   …        the engine's scratch region

/** Places in the worker's arena that every device and link uses in turn: one packet of each kind is under way at a time. */
export interface PacketMemory {
  readonly arena: NativeArena;
  readonly sourceAddress: number;
  readonly sourceSockaddr: number;
  readonly sourceSockaddrLength: number;
  readonly targetSockaddr: number;
  /** Where a packet from a device is read to; the engine's head and tail room is around it. */
  readonly devicePacket: number;
  readonly datagram: number;
  readonly streamPacket: number;
  readonly stream: number;
  readonly streamBytes: number;
  readonly scratch: { readonly start: number; readonly length: number };
}

const FIRST_BUFFER = 320;

/** An arena with room for the engine's scratch region of the given size. */
export function createPacketMemory(scratchBytes: number): PacketMemory {
  const stream = FIRST_BUFFER + 3 * BUFFER_BYTES;
  const scratchStart = stream + BUFFER_BYTES;
  return {
    arena: createNativeArena(scratchStart + scratchBytes),
    sourceAddress: 64,
    sourceSockaddr: 128,
    targetSockaddr: 192,
    sourceSockaddrLength: 256,
    devicePacket: FIRST_BUFFER + HEADROOM_BYTES,
    datagram: FIRST_BUFFER + BUFFER_BYTES + HEADROOM_BYTES,
    streamPacket: FIRST_BUFFER + 2 * BUFFER_BYTES + HEADROOM_BYTES,
    stream,
    streamBytes: MAX_PACKET_BYTES,
    scratch: { start: scratchStart, length: scratchBytes },
  };
}
