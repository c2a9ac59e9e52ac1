// Who is at the other end of a Unix socket, as the kernel noted it when the connection was made (SO_PEERCRED).
//
//   struct ucred: pid i32 | uid u32 | gid u32

import { libc, nativeBytes } from './libc.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;

/** The user id of the process that connected; undefined where the kernel does not say. */
export function peerUid(fd: number): number | undefined {
  const memory = nativeBytes(UCRED_BYTES + 4);
  memory.view.setUint32(UCRED_BYTES, UCRED_BYTES, true);
  const result = libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, memory.address, memory.address + UCRED_BYTES);
  if (result !== 0 || memory.view.getUint32(UCRED_BYTES, true) !== UCRED_BYTES) return undefined;
  return memory.view.getUint32(4, true);
}
