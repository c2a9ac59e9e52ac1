// The flood's own process: options as JSON in its one argument, the report as JSON on standard output.

import { type FloodOptions, sendFlood } from './flood.ts';

const report = sendFlood(JSON.parse(process.argv[2] ?? '{}') as FloodOptions);
process.stdout.write(`${JSON.stringify(report)}\n`);
