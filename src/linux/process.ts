import { libc, nativeBytes } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const PATH_BYTES = 108;

let notifySocket: number | undefined;

/**
 * Tells the service manager (`READY=1`, `STATUS=…`, lines joined by newlines); false when there is none or it does not
 * listen. The socket stays open, so that it goes on after chroot.
 */
export function sdNotify(text: string): boolean {
  notifySocket ??= openNotifySocket(process.env.NOTIFY_SOCKET ?? '');
  if (notifySocket < 0) return false;
  const bytes = Buffer.from(text, 'utf8');
  const message = nativeBytes(bytes.length + 64);
  message.bytes.set(bytes);
  const sent = libc.send(notifySocket, message.address, bytes.length, MSG_NOSIGNAL);
  message.bytes.fill(0); // referenced until here
  return sent === bytes.length;
}

/** struct sockaddr_un: family u16 | path. A leading @ stands for a zero byte: a name that is no file. */
function openNotifySocket(name: string): number {
  const path = Buffer.from(name.startsWith('@') ? `\0${name.slice(1)}` : name, 'utf8');
  if (path.length === 0 || path.length > PATH_BYTES) return -1;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return -1;
  const address = nativeBytes(2 + PATH_BYTES);
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(path, 2);
  const connected = libc.connect(fd, address.address, 2 + path.length) === 0;
  address.bytes.fill(0); // referenced until here
  if (connected) return fd;
  libc.close(fd);
  return -1;
}

/** Whether the fd is a terminal. */
export function isTerminal(fd: number): boolean {
  return libc.isatty(fd) === 1;
}
