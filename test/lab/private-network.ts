// A network namespace of the test's own: the calling thread leaves the machine's network for an empty one, and what it
// opens or starts from then on (sockets, programs, worker threads) is in there.

import { closeSync, openSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
const CURRENT = '/proc/thread-self/ns/net';

const libc = koffi.load(null);
const unshare = libc.func('int unshare(int)');
const setns = libc.func('int setns(int, int)');

/** Why there can be no private network here; undefined when there can. */
export function privateNetworkRefusal(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces need Linux, this is ${process.platform}`;
  try {
    enterPrivateNetwork().leave();
    closeSync(openSync('/dev/net/tun', 'r+'));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Enters an empty network; `leave` goes back, and the kernel removes the namespace when nothing is open in it. */
export function enterPrivateNetwork(): { leave(): void } {
  const before = readlinkSync(CURRENT);
  const home = openSync(CURRENT, 'r');
  if (unshare(CLONE_NEWNET) !== 0) {
    closeSync(home);
    throw new Error('a network namespace of its own needs root (CAP_SYS_ADMIN)');
  }
  if (readlinkSync(CURRENT) === before) throw new Error('unshare did not change the network namespace');
  return {
    leave() {
      const result = setns(home, CLONE_NEWNET) as number;
      closeSync(home);
      if (result !== 0) throw new Error('could not go back to the network namespace of the machine');
    },
  };
}
