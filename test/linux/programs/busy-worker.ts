// Stands where a data worker stands, and never has time left: it says so whenever it is told of a peer's settings, and tells
// what the main thread asks of it as the text of a link error.

import { parentPort } from 'node:worker_threads';
import {
  ControlWord,
  type WorkerCall,
  type WorkerReport,
  type WorkerStart,
} from '../../../src/linux/worker-messages.ts';

const port = parentPort!;
const report = (message: WorkerReport): void => port.postMessage(message);

port.once('message', ({ control, index }: WorkerStart) => {
  const words = new Int32Array(control);
  const ending = setInterval(() => {
    if (Atomics.load(words, ControlWord.exit) === 0) return;
    clearInterval(ending);
    port.close();
  }, 10);
  port.on('message', (call: WorkerCall) => {
    const text = `${index} ${call[0]}`;
    report({ type: 'events', events: [{ type: 'link-error', link: 0, code: text, text, errno: 0 }] });
    if (call[0] === 'setPeer') report({ type: 'busy' });
    if (call[0] === 'giveOpening') report({ type: 'opening-given', link: call[1], openings: [] });
  });
  report({ type: 'ready' });
});
