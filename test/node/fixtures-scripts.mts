// Runs a script that may be stopped, and ends without stopping it when its standard input does.

import { createNodeScripts } from '../../src/node/scripts.ts';

const { signal } = new AbortController();
void createNodeScripts().run(process.argv.slice(2), { PATH: '/usr/bin:/bin' }, { timeoutMs: 60_000, signal });
process.stdin.on('end', () => process.exit(0)).resume();
