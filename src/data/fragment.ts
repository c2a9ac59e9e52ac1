// `--fragment`: packets that do not fit into one datagram go in parts. The header stands before the payload, inside
// the encryption, on every packet while the option is on:
//
//   31        29 28          15 14      10 9        2 1    0
//   | unused   | size/4 (14)   | index (5) | seq (8)  | type |     type 0 whole, 1 part, 2 last part, 3 test (unused)
//
// All parts but the last are `size` long, a multiple of 4; the last names it. A packet has at most 32 parts.

import type { PacketSpan } from './arena.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Bytes of the header. */
export const FRAGMENT_HEADER_BYTES = 4;
/** Parts of one packet at most: the index has 5 bits. */
export const MAX_FRAGMENTS = 32;

const WHOLE = 0;
const PART = 1;
const LAST_PART = 2;
/** Packets in reassembly at once, and how long one may take; the C program's figures. */
const REASSEMBLY_PACKETS = 25;
const REASSEMBLY_LIFE_MS = 10_000;

const BAD_FRAGMENT = dropCode('bad-fragment');

/** What `Reassembly.accept` answers while parts are missing. It is no drop code. */
export const INCOMPLETE: Verdict = -1;

/** Puts the header of a whole packet before the payload. */
export function writeWholeHeader(view: DataView, span: PacketSpan): void {
  span.offset -= FRAGMENT_HEADER_BYTES;
  span.length += FRAGMENT_HEADER_BYTES;
  view.setUint32(span.offset, WHOLE);
}

/** The length of all parts but the last when `length` bytes go in parts of at most `maxBytes`; 0 when they can not. */
export function fragmentSize(length: number, maxBytes: number): number {
  const largest = maxBytes & ~3;
  if (largest <= 0) return 0;
  const parts = Math.ceil(length / largest);
  if (parts > MAX_FRAGMENTS) return 0;
  // The smallest size that needs no more parts, so that the last part is not a crumb.
  return (Math.ceil(length / parts) + 3) & ~3;
}

/** Writes the header of part `index` at `at`. */
export function writePartHeader(
  view: DataView,
  at: number,
  sequence: number,
  index: number,
  size: number,
  last: boolean,
): void {
  const type = last ? LAST_PART : PART;
  const sizeField = last ? (size >> 2) << 15 : 0;
  view.setUint32(at, type | ((sequence & 0xff) << 2) | (index << 10) | sizeField);
}

/** A packet of which some parts have come. */
interface Assembly {
  /** -1 for a free place. */
  sequence: number;
  size: number;
  /** One bit for each index that came. */
  parts: number;
  /** Index of the last part, -1 until it has come. */
  lastIndex: number;
  length: number;
  touchedMs: number;
  memory: Uint8Array | undefined;
}

/** One peer's packets in reassembly: at most 25, each no longer than `maxPacketBytes`, for at most 10 seconds. */
export class Reassembly {
  readonly #maxPacketBytes: number;
  readonly #assemblies: Assembly[] = [];
  #newest = 0;

  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
    for (let index = 0; index < REASSEMBLY_PACKETS; index++) {
      const assembly = { sequence: -1, size: 0, parts: 0, lastIndex: -1, length: 0, touchedMs: 0, memory: undefined };
      this.#assemblies.push(assembly);
    }
  }

  /** Takes a payload with its header. PASS: `span` is a whole packet, in place or at `out`. INCOMPLETE: it was kept. */
  accept(bytes: Uint8Array, view: DataView, span: PacketSpan, out: number, nowMs: number): Verdict {
    if (span.length < FRAGMENT_HEADER_BYTES) return BAD_FRAGMENT;
    const header = view.getUint32(span.offset);
    span.offset += FRAGMENT_HEADER_BYTES;
    span.length -= FRAGMENT_HEADER_BYTES;
    const type = header & 3;
    if (type === WHOLE) return (header & 0x7ffc) === 0 ? PASS : BAD_FRAGMENT;
    if (type !== PART && type !== LAST_PART) return BAD_FRAGMENT;

    const index = (header >> 10) & 0x1f;
    const size = type === LAST_PART ? ((header >> 15) & 0x3fff) * 4 : span.length;
    const assembly = this.#assemblyOf((header >> 2) & 0xff, size, nowMs);
    if (!this.#fits(assembly, type, index, size, span.length)) {
      assembly.sequence = -1;
      return BAD_FRAGMENT;
    }
    const bit = 1 << index;
    if ((assembly.parts & bit) !== 0) return BAD_FRAGMENT;
    this.#store(assembly, bytes, span, index * size);
    assembly.parts |= bit;
    assembly.touchedMs = nowMs;
    if (type === LAST_PART) assembly.lastIndex = index;
    if (!isComplete(assembly)) return INCOMPLETE;

    const memory = assembly.memory!;
    for (let at = 0; at < assembly.length; at++) bytes[out + at] = memory[at]!;
    span.offset = out;
    span.length = assembly.length;
    assembly.sequence = -1;
    return PASS;
  }

  /** The assembly of a sequence number, begun anew when there is none or its parts have another size. */
  #assemblyOf(sequence: number, size: number, nowMs: number): Assembly {
    this.#moveTo(sequence);
    let chosen = this.#assemblies[0]!;
    for (let index = 0; index < this.#assemblies.length; index++) {
      const assembly = this.#assemblies[index]!;
      if (assembly.sequence === sequence) {
        const live = assembly.size === size && nowMs - assembly.touchedMs < REASSEMBLY_LIFE_MS;
        return live ? assembly : begin(assembly, sequence, size);
      }
      if (assembly.sequence === -1) chosen = assembly;
    }
    return begin(chosen, sequence, size);
  }

  /** Sequence numbers come round after 256 packets; parts of long ago must not meet those of a new packet. */
  #moveTo(sequence: number): void {
    if (((this.#newest - sequence) & 0xff) < REASSEMBLY_PACKETS) return;
    this.#newest = sequence;
    for (let index = 0; index < this.#assemblies.length; index++) {
      const assembly = this.#assemblies[index]!;
      if (((sequence - assembly.sequence) & 0xff) >= REASSEMBLY_PACKETS) assembly.sequence = -1;
    }
  }

  #fits(assembly: Assembly, type: number, index: number, size: number, length: number): boolean {
    if (size === 0 || (size & 3) !== 0 || length === 0 || length > size) return false;
    if (index * size + length > this.#maxPacketBytes) return false;
    const known = assembly.lastIndex;
    if (known !== -1 && index > known) return false;
    // A last part below a part that came already.
    return type !== LAST_PART || assembly.parts >>> index === 0 || index === known;
  }

  #store(assembly: Assembly, bytes: Uint8Array, span: PacketSpan, at: number): void {
    assembly.memory ??= new Uint8Array(this.#maxPacketBytes);
    for (let index = 0; index < span.length; index++) assembly.memory[at + index] = bytes[span.offset + index]!;
    if (at + span.length > assembly.length) assembly.length = at + span.length;
  }
}

function begin(assembly: Assembly, sequence: number, size: number): Assembly {
  assembly.sequence = sequence;
  assembly.size = size;
  assembly.parts = 0;
  assembly.lastIndex = -1;
  assembly.length = 0;
  return assembly;
}

function isComplete(assembly: Assembly): boolean {
  if (assembly.lastIndex === -1) return false;
  // Both sides are signed 32 bit numbers, and 1 << 31 is negative: the ones are shifted out instead of made by a minus 1.
  return assembly.parts === ((-1 >>> (MAX_FRAGMENTS - 1 - assembly.lastIndex)) | 0);
}
