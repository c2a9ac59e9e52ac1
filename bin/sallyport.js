#!/usr/bin/env node
// The command. `--version` is answered before anything is loaded: NetworkManager asks it before every connection. Where a
// tunnel is likely to follow, the data worker starts first and loads on another core beside the command.

import { Worker } from 'node:worker_threads';

const args = process.argv.slice(2);
const [first] = args;

if (first === '--version') {
  const { printVersion } = await import('../dist/bin/version.js');
  printVersion();
} else {
  const connects = first !== undefined && first !== 'check' && !['--help', '-h', 'help'].includes(first);
  const worker = connects ? new Worker(new URL('../dist/bin/data-worker.js', import.meta.url)) : undefined;
  worker?.unref();
  const { main } = await import('../dist/bin/sallyport.js');
  await main(args, worker);
}
