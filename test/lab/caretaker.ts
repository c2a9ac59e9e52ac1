// Nothing of a test run may stay on the machine, however the run ends. A small shell process holds the end of a pipe:
// when the pipe closes, because the lab closes it or because the test process is gone, it clears everything away.

import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { eventually } from './process.ts';

const script = `
trap '' HUP INT TERM
read -r _
dir=$1
shift
for name in "$@"; do
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    pids=$(ip netns pids "$name" 2>/dev/null)
    [ -z "$pids" ] && break
    kill -KILL $pids 2>/dev/null
    sleep 0.1
  done
  ip netns del "$name" 2>/dev/null
  rm -rf "/etc/netns/$name"
done
rm -rf "$dir"
`;

/** Clears away now; resolves when it is done. */
export type ClearAway = () => Promise<void>;

/** Starts one for the namespaces (they need not exist yet) and the directory. */
export function startCaretaker(namespaces: readonly string[], directory: string): ClearAway {
  const child = spawn('sh', ['-c', script, 'sallyport-caretaker', directory, ...namespaces], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Its own session: what a terminal sends to the test run does not reach it.
    detached: true,
  });
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.unref();
  (child.stdin as Socket).on('error', () => {}).unref();
  return async () => {
    child.stdin.end();
    await eventually('the lab is cleared away', () => ended, 60_000);
  };
}
