// What a tun device of ours takes and gives beyond single packets.

import { libc } from './libc.ts';

const TUNSETOFFLOAD = 0x400454d0;

/** From now on the kernel cuts super-packets up before it gives them. What it takes stays the same. */
export function giveSinglePackets(fd: number): boolean {
  return libc.ioctl(fd, TUNSETOFFLOAD, 0) >= 0;
}
