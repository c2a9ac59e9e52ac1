import { HostError } from '../tunnel/ports.ts';
import { errno, errnoTable, libc } from './libc.ts';

let names: ReadonlyMap<number, string> | undefined;

/** `ECONNREFUSED` for 111; `E111` for a number that this system has no name for. */
export function errnoName(number: number): string {
  if (names === undefined) {
    // Two names of one number (EAGAIN and EWOULDBLOCK, ENOTSUP and EOPNOTSUPP): the first is the usual one.
    const found = new Map<number, string>();
    for (const [name, value] of Object.entries(errnoTable())) if (!found.has(value)) found.set(value, name);
    names = found;
  }
  return names.get(number) ?? `E${number}`;
}

/** `Connection refused` for 111. */
export function errnoText(number: number): string {
  return libc.strerror(number);
}

/** The failed call as a HostError: `what: Operation not permitted (errno=1)`, the form of the C program's log. */
export function hostError(what: string, number: number): HostError {
  return new HostError(errnoName(number), `${what}: ${errnoText(number)} (errno=${number})`);
}

/** The result of a call, or HostError with the thread's errno when it is -1. */
export function checked(result: number, what: string): number {
  if (result < 0) throw hostError(what, errno());
  return result;
}

/** The numbers that the room's own decisions depend on; equal on x64 and arm64. */
export const Errno = {
  EPERM: 1,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSYS: 38,
  EPROTO: 71,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;
