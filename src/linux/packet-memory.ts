import { type ArenaRegion, ArenaSlots, BUFFER_BYTES, HEADROOM_BYTES, MAX_PACKET_BYTES } from '../data/arena.ts';
import type { ChecksumEngine } from '../ip/checksum.ts';
import { COALESCER_BYTES } from '../ip/coalesce.ts';
import { createNativeArena, type NativeArena } from './arena.ts';
import { loadChecksum, readChecksumModule } from './checksum.ts';

// The arena of the data worker:
//   0    64  nothing: offset 0 means "no address" to the engine
//   64   64  packed source address of the packet that is being handled
//   128  64  the kernel's form of the address of a stream that was accepted; its length u32 at 192
//   256      what one read of a device gives: packets one behind the other, with the engine's head and tail room around each
//   …        what one super-packet of a device is split into, with the same room around each; and as much for the next
//   …        slots for datagrams, each for one or for many that the kernel has joined
//   …        what a stream gives, and one packet that came out of it in two pieces
//   …        one packet of a program at the other end of a device
//   …        copies of packets on their way out
//   …        packets on their way into a device, which are joined there
//   …        the scratch region of the engine, and of a rehearsal's behind it

/** Places in the worker's arena that every device and link uses in turn: what one of them has read is under way at a time. */
export interface PacketMemory {
  readonly arena: NativeArena;
  readonly sourceAddress: number;
  readonly sourceSockaddr: number;
  readonly sourceSockaddrLength: number;
  readonly devicePackets: ArenaRegion;
  /** What one packet of a device with offload is split into, in turns: some of one may still be there with the next. */
  readonly segments: readonly [ArenaRegion, ArenaRegion];
  /** The first of DATAGRAM_SLOTS. */
  readonly datagrams: number;
  readonly streamPacket: number;
  readonly stream: number;
  readonly streamBytes: number;
  readonly programPacket: number;
  readonly outbox: ArenaRegion;
  /** Room for joining, for so many devices with offload as can be. */
  readonly joining: ArenaSlots;
  readonly checksum: ChecksumEngine;
  /** Whether it is the one in WebAssembly. */
  readonly fastChecksum: boolean;
  readonly scratch: ArenaRegion;
}

/** Datagrams, or messages of joined ones, that one call reads at most; a slot holds the longest of either. */
export const DATAGRAM_SLOTS = 16;
export const DATAGRAM_SLOT_BYTES = 65_536;

/** The longest packet, and many short ones. */
const DEVICE_PACKETS_BYTES = 3 * BUFFER_BYTES;
const SEGMENTS_BYTES = 2 * BUFFER_BYTES;
const OUTBOX_BYTES = 4 * BUFFER_BYTES;
/** One, the one after it, and that of a rehearsal. */
const JOINING_DEVICES = 3;
const FIRST_BUFFER = 256;

/** An arena with room for the engine's scratch region of the given size. */
export function createPacketMemory(scratchBytes: number): PacketMemory {
  const segments = FIRST_BUFFER + DEVICE_PACKETS_BYTES;
  const datagrams = segments + 2 * SEGMENTS_BYTES;
  const stream = datagrams + DATAGRAM_SLOTS * DATAGRAM_SLOT_BYTES;
  const streamPacket = stream + BUFFER_BYTES;
  const programPacket = streamPacket + BUFFER_BYTES + HEADROOM_BYTES;
  const outbox = streamPacket + 2 * BUFFER_BYTES;
  const joining = outbox + OUTBOX_BYTES;
  const joiningBytes = JOINING_DEVICES * COALESCER_BYTES;
  const scratch = joining + joiningBytes;
  const arena = createNativeArena(scratch + scratchBytes);
  const { engine: checksum, fast: fastChecksum } = loadChecksum(readChecksumModule(), arena);
  return {
    arena,
    sourceAddress: 64,
    sourceSockaddr: 128,
    sourceSockaddrLength: 192,
    devicePackets: { start: FIRST_BUFFER, length: DEVICE_PACKETS_BYTES },
    segments: [
      { start: segments, length: SEGMENTS_BYTES },
      { start: segments + SEGMENTS_BYTES, length: SEGMENTS_BYTES },
    ],
    datagrams,
    streamPacket,
    stream,
    streamBytes: MAX_PACKET_BYTES,
    programPacket,
    outbox: { start: outbox, length: OUTBOX_BYTES },
    joining: new ArenaSlots({ start: joining, length: joiningBytes }, COALESCER_BYTES),
    checksum,
    fastChecksum,
    scratch: { start: scratch, length: scratchBytes },
  };
}
