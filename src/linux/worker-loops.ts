// What a data worker's loop is put together from: one memory and one packet cryptography, for the worker's own loop and for
// that of its rehearsal, each with an engine, counters and scratch of its own.

import type { ArenaRegion } from '../data/arena.ts';
import { countersByteLength } from '../data/counters.ts';
import { createPlaneCore, type PlaneCoreOptions } from '../data/plane-core.ts';
import { scratchByteLength } from '../data/plane-state.ts';
import { Outbox } from './outbox.ts';
import { aesGcmLibrary, createPacketCrypto } from './packet-crypto.ts';
import { PacketLoop, type PacketLoopOptions } from './packet-loop.ts';
import { createPacketMemory, type PacketMemory } from './packet-memory.ts';
import { Rehearsal } from './rehearsal.ts';
import type { CreateStageLoop } from './rehearsal-stage.ts';
import { timedChecksum, timedCrypto, timeSystemCalls } from './stopwatch.ts';
import { CONTROL_WORDS_BYTES, ControlWord, type WorkerStart } from './worker-messages.ts';

/** Scratch of an engine with one peer and one link. */
export const STAGE_SCRATCH_BYTES = scratchByteLength(1, 1);
/** After so many all of the path is V8's best code. Fewer leave parts of it out; more cost time alone (docs/PERFORMANCE.md). */
const REHEARSAL_ROUNDS = 700;

/** What the loops of one thread share. */
export interface LoopParts extends Pick<PlaneCoreOptions, 'packetCrypto' | 'laneCapacity'> {
  readonly memory: PacketMemory;
  readonly outbox: Outbox;
}

/** The loop of a worker that was started so. */
export function createWorkerLoop(
  start: WorkerStart,
  control: Int32Array<SharedArrayBuffer>,
  { nextCall, report }: Pick<PacketLoopOptions, 'nextCall' | 'report'>,
): PacketLoop {
  const { measure, hasProcess, laneCapacity, wakeFd, others, index } = start;
  const scratchBytes = scratchByteLength(start.peerSlots, start.linkSlots);
  const counters = new Float64Array(start.counters);
  const plain = createPacketMemory(scratchBytes + STAGE_SCRATCH_BYTES);
  const plainCrypto = createPacketCrypto(plain.arena, aesGcmLibrary());
  if (measure) timeSystemCalls(counters);
  const memory = measure ? { ...plain, checksum: timedChecksum(plain.checksum, counters) } : plain;
  const packetCrypto = measure ? timedCrypto(plainCrypto, counters) : plainCrypto;
  const parts = { memory, packetCrypto, laneCapacity, outbox: new Outbox(memory) };
  const scratch = { start: memory.scratch.start, length: scratchBytes };
  const stageScratch = { start: scratch.start + scratchBytes, length: STAGE_SCRATCH_BYTES };
  // What is measured are packets of the tunnel.
  const rehearsal =
    hasProcess && !measure ? new Rehearsal(REHEARSAL_ROUNDS, createStageLoops(parts, stageScratch)) : undefined;
  return createLoop(parts, scratch, index, { control, counters, wakeFd, others, nextCall, report, rehearsal });
}

/** Loops that end at a stage (rehearsal-stage.ts): nobody calls or wakes them, or hears of them. */
export function createStageLoops(parts: LoopParts, scratch: ArenaRegion): CreateStageLoop {
  return (nextCall) => {
    const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS_BYTES));
    control[ControlWord.calls] = 1;
    const counters = new Float64Array(new SharedArrayBuffer(countersByteLength(1)));
    return createLoop(parts, scratch, 0, { control, counters, wakeFd: -1, others: [], nextCall, report: () => {} });
  };
}

function createLoop(
  { memory, outbox, packetCrypto, laneCapacity }: LoopParts,
  scratch: ArenaRegion,
  engine: number,
  options: Omit<PacketLoopOptions, 'memory' | 'outbox' | 'createCore'>,
): PacketLoop {
  const { counters } = options;
  return new PacketLoop({
    ...options,
    memory,
    outbox,
    createCore: (io, nowMs) => createPlaneCore({ packetCrypto, io, scratch, counters, laneCapacity, nowMs, engine }),
  });
}
