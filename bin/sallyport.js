#!/usr/bin/env node
// The command. `--version` is answered before anything is loaded: NetworkManager asks it before every connection. Where a
// tunnel is likely to follow, the data worker starts first and loads on another core beside the command.

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const bundles = join(__dirname, '../dist/bin');
const args = process.argv.slice(2);
const [first] = args;

if (!existsSync(join(bundles, 'sallyport.js'))) {
  process.stderr.write('sallyport: this checkout is not built yet: run npm ci && npm run build\n');
  process.exitCode = 1;
} else if (first === '--version') {
  require(join(bundles, 'version.js')).printVersion();
} else {
  const own =
    'check pki server --help -h help import list show up down reconnect refresh status log delete export completion recover explain'.split(
      ' ',
    );
  // What prints something and ends.
  const tool = /^--(help|version|genkey|test-crypto|show-.*)$/;
  const connects = first !== undefined && !own.includes(first) && !args.some((word) => tool.test(word));
  const worker = connects ? startWorker() : undefined;
  const { loadCommand } = require('./load-command.js');
  loadCommand(join(bundles, 'sallyport.js')).command.main(args, worker);
}

function startWorker() {
  const { Worker } = require('node:worker_threads');
  const worker = new Worker(join(bundles, 'data-worker.js'), {
    name: 'sallyport-data',
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  worker.unref();
  return worker;
}
