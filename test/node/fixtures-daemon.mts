// A daemon for daemon.test.ts: says what it was given in the file named by its first argument.
import { writeFileSync } from 'node:fs';
import { receiveDaemon } from '../../src/node/daemon.ts';

const child = receiveDaemon();
const [report, wanted] = process.argv.slice(2);
if (report === undefined) throw new Error('no report file');
if (wanted === 'fail') process.exit(7);
const marked = Object.keys(process.env).filter((name) => name.startsWith('SALLYPORT'));
child?.ready({ keepDirectory: wanted === 'keep' });
writeFileSync(
  report,
  JSON.stringify({
    secrets: child?.secrets,
    argv: process.argv.slice(2),
    marked,
    cwd: process.cwd(),
    pid: process.pid,
  }),
);
