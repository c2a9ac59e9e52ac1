// setsockopt(2) and getsockopt(2) for options that are one number. A failure leaves `errno()` as the call left it.

import { errno, libc, type NativeBytes, nativeBytes } from './libc.ts';

export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_TOS = 1;
export const IPV6_TCLASS = 67;
const SO_ERROR = 4;

const VALUE = 0;
const LENGTH = 8;

/** Whether the kernel took the number. */
export function setSocketOption(fd: number, level: number, name: number, value: number): boolean {
  const { address, view } = optionMemory();
  view.setInt32(VALUE, value, true);
  return libc.setsockopt(fd, level, name, address + VALUE, 4) === 0;
}

/** An option's number; undefined when the kernel has none. */
export function socketOption(fd: number, level: number, name: number): number | undefined {
  const { address, view } = optionMemory();
  view.setUint32(LENGTH, 4, true);
  return libc.getsockopt(fd, level, name, address + VALUE, address + LENGTH) === 0
    ? view.getInt32(VALUE, true)
    : undefined;
}

/** The TOS byte of what a socket sends over IPv4, and the traffic class over IPv6; it may be a socket for both. */
export function setTrafficClass(fd: number, trafficClass: number): void {
  setSocketOption(fd, IPPROTO_IP, IP_TOS, trafficClass);
  setSocketOption(fd, IPPROTO_IPV6, IPV6_TCLASS, trafficClass);
}

/** Takes the error that a socket holds; 0 for none. A socket that does not tell is an error, too. */
export function takeSocketError(fd: number): number {
  return socketOption(fd, SOL_SOCKET, SO_ERROR) ?? errno();
}

let sharedMemory: NativeBytes | undefined;

function optionMemory(): NativeBytes {
  sharedMemory ??= nativeBytes(64);
  return sharedMemory;
}
