// The data worker's entry: built as dist/bin/data-worker.js, started by worker-plane.ts.

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createPlaneCore } from '../data/plane-core.ts';
import { scratchByteLength } from '../data/plane-state.ts';
import { compileEarly, type DataWorkerData } from './compile-early.ts';
import { aesGcmLibrary, createPacketCrypto } from './packet-crypto.ts';
import { PacketLoop } from './packet-loop.ts';
import { createPacketMemory } from './packet-memory.ts';
import { timedChecksum, timedCrypto, timeSystemCalls } from './stopwatch.ts';
import { ControlWord, type WorkerCall, type WorkerStart } from './worker-messages.ts';

if (parentPort === null) throw new Error('the data worker runs as a worker thread only');
// The modules above are loaded while the main thread is still reading its configuration; what to do comes as the first
// message. From then on this thread blocks in poll and fetches its calls itself.
const port = parentPort;
port.once('message', (start: WorkerStart) => run(start, port));

/** Says when this thread is inside native code, and stays out of it once the process ends. */
function run(start: WorkerStart, port: MessagePort): void {
  const control = new Int32Array(start.control);
  Atomics.store(control, ControlWord.inside, 1);
  try {
    if (Atomics.load(control, ControlWord.exit) === 0) movePackets(start, control, port);
  } finally {
    Atomics.store(control, ControlWord.inside, 0);
    Atomics.notify(control, ControlWord.inside);
  }
}

function movePackets(start: WorkerStart, control: Int32Array<SharedArrayBuffer>, port: MessagePort): void {
  if ((workerData as DataWorkerData | null)?.compileEarly === true) compileEarly();
  const plain = createPacketMemory(scratchByteLength(start.peerSlots, start.linkSlots));
  const counters = new Float64Array(start.counters);
  const plainCrypto = createPacketCrypto(plain.arena, aesGcmLibrary());
  if (start.measure) timeSystemCalls(counters);
  const memory = start.measure ? { ...plain, checksum: timedChecksum(plain.checksum, counters) } : plain;
  const packetCrypto = start.measure ? timedCrypto(plainCrypto, counters) : plainCrypto;
  new PacketLoop({
    memory,
    createCore: (io, nowMs) =>
      createPlaneCore({
        packetCrypto,
        io,
        scratch: memory.scratch,
        counters,
        laneCapacity: start.laneCapacity,
        nowMs,
        engine: start.index,
      }),
    counters,
    control,
    wakeFd: start.wakeFd,
    others: start.others,
    nextCall: () => receiveMessageOnPort(port)?.message as WorkerCall | undefined,
    report: (report) => port.postMessage(report),
  }).run();
}
