// A process with a worker plane that reads a device and a link, ending in the way its second argument names; the third is
// the number of workers.
// Prints READY when the worker is blocked in poll(2), as far as that can be known: its first report has come.

import { createLinkPort } from '../../../src/linux/links.ts';
import { createWorkerPlane, type WorkerPlane } from '../../../src/linux/worker-plane.ts';
import { clientPeer, linkRequest } from '../plane-rig.ts';

const [workerUrl, ending, workers] = process.argv.slice(2) as [string, string, string];
const links = createLinkPort();
const remote = { family: 4, address: Uint8Array.of(127, 0, 0, 1), port: 9, scopeId: 0 } as const;

function addLink(plane: WorkerPlane): number {
  const link = links.open(linkRequest({ remote }));
  return plane.addLink({
    endpoint: { kind: 'fd', fd: link.fd },
    framing: 'udp',
    connecting: false,
    remote,
    connected: true,
    readAhead: undefined,
  });
}

const plane = createWorkerPlane({
  workerUrl: new URL(workerUrl),
  workers: Number(workers),
  listener: (event) => console.log(JSON.stringify(event)),
});

if (ending === 'exit-at-once') process.exit(6);
const link = addLink(plane);
if (ending !== 'signal') process.on('SIGTERM', () => process.exit(5));
await plane.ready;
console.log('READY');

switch (ending) {
  case 'exit':
    process.exit(3);
    break;
  case 'throw':
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
    break;
  case 'reject':
    void Promise.reject(new Error('nobody catches this'));
    break;
  case 'empty':
    // Nothing left to do and nothing in the plane: the natural end.
    await plane.removeLink(link);
    process.exitCode = 4;
    break;
  case 'close':
    await plane.close();
    console.log('CLOSED');
    break;
  case 'crash':
    addImpossibleKey(plane, link);
    break;
  case 'busy':
    setInterval(() => undefined, 1_000);
    setImmediate(() => process.exit(8));
    for (let count = 0; count < 10_000; count++) plane.sendControl(link, undefined, Uint8Array.of(0x38, 1, 2, 3));
    break;
  default:
    // `signal` and `handler` wait for SIGTERM, `held` shows that a link keeps the process running.
    break;
}

/** A key of the wrong length, which only the engine in the worker finds out. */
function addImpossibleKey(plane: WorkerPlane, link: number): void {
  const device = plane.addDevice({ endpoint: { kind: 'fd', fd: -1 }, layer: 'null', mtuBytes: 1500, blockIpv6: false });
  const half = { cipher: new Uint8Array(3), hmac: new Uint8Array(8) };
  plane.addKey(plane.addPeer(clientPeer(device, link, remote)), {
    keyId: 0,
    cipher: 'AES-256-GCM',
    digest: 'none',
    material: { seal: half, open: half },
    limitBytes: 0,
    limitPackets: 0,
  });
}
