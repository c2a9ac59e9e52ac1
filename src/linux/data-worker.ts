// The data worker's entry: built as dist/bin/data-worker.js, started by worker-plane.ts.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createPlaneCore } from '../data/plane-core.ts';
import { scratchByteLength } from '../data/plane-state.ts';
import { createOpenSslPacketCrypto } from './openssl.ts';
import { PacketLoop } from './packet-loop.ts';
import { createPacketMemory } from './packet-memory.ts';
import type { WorkerCall, WorkerStart } from './worker-messages.ts';

if (parentPort === null) throw new Error('the data worker runs as a worker thread only');
const port = parentPort;
const start = workerData as WorkerStart;
const memory = createPacketMemory(scratchByteLength(start.peerSlots, start.linkSlots));
const counters = new Float64Array(start.counters);
const packetCrypto = createOpenSslPacketCrypto(memory.arena);

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
    }),
  counters,
  control: new Int32Array(start.control),
  wakeFd: start.wakeFd,
  nextCall: () => receiveMessageOnPort(port)?.message as WorkerCall | undefined,
  report: (report) => port.postMessage(report),
}).run();
