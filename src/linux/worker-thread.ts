// One data worker as the main thread has it: its memory, its messages, its waking and its end.
//
// The ending. A worker blocked in poll(2) cannot be terminated: process.exit(), an uncaught exception and the natural end
// of the program would all wait for it for ever. So each of them runs the one 'exit' hook of this file, which sets the
// exit flag in shared memory and wakes the worker by its eventfd; the worker looks at the flag when it was woken.

import { Worker } from 'node:worker_threads';
import { countersByteLength } from '../data/counters.ts';
import { messageOf } from '../error.ts';
import { checked } from './errno.ts';
import { libc } from './libc.ts';
import { wake, wakeSleeper } from './wake.ts';
import {
  CONTROL_WORDS_BYTES,
  ControlWord,
  type WorkerCall,
  type WorkerReport,
  type WorkerStart,
} from './worker-messages.ts';

export interface WorkerThreadOptions {
  readonly workerUrl: URL;
  /** That worker, started ahead; used once. */
  readonly worker: Worker | undefined;
  readonly execArgv: readonly string[] | undefined;
  readonly peerSlots: number;
  readonly handleReport: (report: WorkerReport) => void;
  /** It has ended; the text says why, as far as that is known. */
  readonly handleEnd: (text: string) => void;
}

/** How long the end of the process waits for the worker; it takes one turn of its loop. */
const LONGEST_LEAVING_MS = 1000;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;

/** Starts the worker at once; what it is to do comes by `start`. Throws HostError when the machine gives no eventfd. */
export class WorkerThread {
  readonly control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS_BYTES));
  readonly counters: Float64Array<SharedArrayBuffer>;
  readonly wakeFd: number;
  /** When it has ended, with its reason. */
  readonly ended: Promise<string>;
  readonly #worker: Worker;
  #isOver = false;
  /** The process may go only once the worker has left native code: ended inside, it would abort the process. */
  readonly #endByExit = {
    end: (): void => this.end(),
    wait: (): void => void Atomics.wait(this.control, ControlWord.inside, 1, LONGEST_LEAVING_MS),
  };

  constructor(options: WorkerThreadOptions) {
    this.counters = new Float64Array(new SharedArrayBuffer(countersByteLength(options.peerSlots)));
    this.wakeFd = checked(libc.eventfd(0, EFD_NONBLOCK_CLOEXEC), 'Cannot make an eventfd');
    this.#worker = options.worker ?? startWorker(options);
    this.#worker.ref();
    holdExitHook(this.#endByExit);
    let failure = 'the data worker ended by itself';
    this.#worker.on('error', (error) => {
      failure = `the data worker failed: ${messageOf(error)}`;
    });
    this.#worker.on('message', options.handleReport);
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#isOver = true;
        dropExitHook(this.#endByExit);
        options.handleEnd(failure);
        resolve(failure);
      });
    });
  }

  start(start: WorkerStart): void {
    this.#worker.postMessage(start);
  }

  call(call: WorkerCall, moved: readonly ArrayBuffer[] = []): void {
    if (this.#isOver) return;
    this.#worker.postMessage(call, [...moved]);
    Atomics.add(this.control, ControlWord.calls, 1);
    this.wakeSleeper();
  }

  wakeSleeper(): void {
    if (!this.#isOver) wakeSleeper(this.control, this.wakeFd);
  }

  /** Once no other worker can wake it any more. */
  release(): void {
    libc.close(this.wakeFd);
  }

  /** Sets the exit flag and wakes the worker; all that an 'exit' hook may do. */
  end(): void {
    if (this.#isOver) return;
    Atomics.store(this.control, ControlWord.exit, 1);
    wake(this.wakeFd);
  }

  /** Whether it keeps the process running. */
  holdProcess(holds: boolean): void {
    if (holds) this.#worker.ref();
    else this.#worker.unref();
  }
}

function startWorker({ workerUrl, execArgv }: WorkerThreadOptions): Worker {
  // As bin/sallyport.js has it: moving packets allocates nothing, so the young objects of a worker need little room.
  return new Worker(workerUrl, {
    name: 'sallyport-data',
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
}

interface Ending {
  end(): void;
  wait(): void;
}

/** The workers of all planes that live when the process ends. */
const endAtExit = new Set<Ending>();

function handleProcessExit(): void {
  for (const { end } of endAtExit) end();
  for (const { wait } of endAtExit) wait();
}

function holdExitHook(ending: Ending): void {
  if (endAtExit.size === 0) process.on('exit', handleProcessExit);
  endAtExit.add(ending);
}

function dropExitHook(ending: Ending): void {
  endAtExit.delete(ending);
  if (endAtExit.size === 0) process.off('exit', handleProcessExit);
}
