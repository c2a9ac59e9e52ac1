// A system log of the test's own: a datagram socket, and a command prefix that makes it /dev/log for one process.

import { chmodSync } from 'node:fs';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const ADDRESS_BYTES = 110;

const libc = koffi.load(null);
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, void *, unsigned int)');
const recv = libc.func('intptr_t recv(int, _Out_ void *, size_t, int)');
const close = libc.func('int close(int)');

export interface SystemLog extends Disposable {
  /** Before a command: it sees this log as /dev/log, and nobody else does. */
  readonly prefix: readonly string[];
  /** Every message so far, `<priority>date name[pid]: text`. */
  lines(): readonly string[];
}

/** Listens at a path. */
export function openSystemLog(path: string): SystemLog {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_UNIX, 0);
  if (address.write(path, 2) >= ADDRESS_BYTES - 2) throw new Error(`too long for a socket: ${path}`);
  const fd = socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0) as number;
  if (bind(fd, address, ADDRESS_BYTES) !== 0) throw new Error(`no socket at ${path}`);
  // As the machine's own: users without rights write to it, too.
  chmodSync(path, 0o666);
  const lines: string[] = [];
  const message = Buffer.alloc(16_384);
  const drain = () => {
    for (;;) {
      const length = recv(fd, message, message.length, 0) as number;
      if (length < 0) return;
      lines.push(message.toString('utf8', 0, length));
    }
  };
  // Who writes to a full socket waits.
  const timer = setInterval(drain, 10);
  return {
    prefix: ['unshare', '--mount', 'sh', '-c', ownDevices, 'sh', path],
    lines() {
      drain();
      return lines;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      close(fd);
    },
  };
}

// A /dev of its own with the devices that are needed; becomes the command.
const ownDevices = `set -e
log=$1
shift
old=$(dirname "$log")/dev
mkdir "$old"
mount --rbind /dev "$old"
mount -t tmpfs tmpfs /dev
mkdir /dev/net
for device in null zero full random urandom tty net/tun; do
  touch "/dev/$device"
  mount --bind "$old/$device" "/dev/$device"
done
ln -s "$log" /dev/log
exec "$@"
`;
