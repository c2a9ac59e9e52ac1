import { libc, nativeBytes } from './libc.ts';

// What a service manager is told, as systemd's notify protocol has it: one datagram of `NAME=value` lines to the unix socket
// that NOTIFY_SOCKET names. Node has no datagrams on unix sockets.
//
// struct sockaddr_un: family u16 host order | path 108: bytes and a zero, or for an abstract name a zero and the name's bytes

export interface ServiceState {
  /** Up (READY), reading its configuration again (RELOADING), or on its way out (STOPPING). */
  readonly state?: 'ready' | 'reloading' | 'stopping';
  /** One sentence for `systemctl status`. */
  readonly status?: string;
  /** Monotonic time; belongs to `reloading`. */
  readonly monotonicUs?: number;
}

export interface ServiceNotifier {
  /** Tells the manager; false when it can't be told, which changes nothing else. Never throws, never waits. */
  notify(state: ServiceState): boolean;
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0x8_0002;
const MSG_DONTWAIT_NOSIGNAL = 0x4040;
const PATH_BYTES = 108;
const MAX_STATUS_CHARACTERS = 200;

/** The datagram's text. What could begin another line is no part of a status. */
export function notifyText({ state, status, monotonicUs }: ServiceState): string {
  const lines: string[] = [];
  if (state === 'ready') lines.push('READY=1');
  if (state === 'reloading') lines.push('RELOADING=1');
  if (state === 'stopping') lines.push('STOPPING=1');
  if (monotonicUs !== undefined) lines.push(`MONOTONIC_USEC=${Math.trunc(monotonicUs)}`);
  if (status !== undefined) {
    lines.push(`STATUS=${[...status.replace(/\p{Cc}+/gu, ' ')].slice(0, MAX_STATUS_CHARACTERS).join('')}`);
  }
  return lines.join('\n');
}

/** The address that NOTIFY_SOCKET names: an absolute path, or `@` and an abstract name; undefined for anything else. */
export function notifyAddress(name: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new TextEncoder().encode(name);
  const abstract = name.startsWith('@');
  if ((!abstract && !name.startsWith('/')) || name.includes('\0') || bytes.length < 2) return undefined;
  // A path needs room for its zero; an abstract name is as long as it is.
  if (bytes.length > (abstract ? PATH_BYTES : PATH_BYTES - 1)) return undefined;
  const address = new Uint8Array(2 + bytes.length + (abstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  if (abstract) address[2] = 0;
  return address;
}

/**
 * The manager that started this process; undefined when there is none or it can't be reached. Takes NOTIFY_SOCKET out of
 * `environment`: no program that is started later may speak for this one. The socket goes on after chroot and `user`.
 */
export function openNotifier(environment: Record<string, string | undefined>): ServiceNotifier | undefined {
  const name = environment.NOTIFY_SOCKET;
  delete environment.NOTIFY_SOCKET;
  const address = name === undefined ? undefined : notifyAddress(name);
  if (address === undefined) return undefined;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const memory = nativeBytes(1024);
  memory.bytes.set(address);
  if (libc.connect(fd, memory.address, address.length) < 0) {
    libc.close(fd);
    return undefined;
  }
  return {
    notify(state) {
      const { written } = new TextEncoder().encodeInto(notifyText(state), memory.bytes);
      return libc.send(fd, memory.address, written, MSG_DONTWAIT_NOSIGNAL) === written;
    },
  };
}
