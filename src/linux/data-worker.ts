// The data worker's entry: built as dist/bin/data-worker.js, started by worker-plane.ts.

import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { compileEarly } from './compile-early.ts';
import { unmapLow } from './low-memory.ts';
import { createWorkerLoop } from './worker-loops.ts';
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
  if (start.hasProcess) compileEarly();
  const nextCall = () => receiveMessageOnPort(port)?.message as WorkerCall | undefined;
  try {
    createWorkerLoop(start, control, { nextCall, report: (report) => port.postMessage(report) }).run();
  } finally {
    unmapLow();
  }
}
