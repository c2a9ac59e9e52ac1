// Who is at the other end of a unix socket, as the kernel noted it when the connection was made: SO_PEERCRED, unix(7).

import { libc, nativeBytes } from './libc.ts';

/** SOL_SOCKET and SO_PEERCRED of asm-generic/socket.h. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid i32 | uid u32 | gid u32. */
const UCRED_BYTES = 12;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Undefined where the kernel does not say: no unix socket, or closed by now. */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  const record = nativeBytes(UCRED_BYTES);
  const length = nativeBytes(4);
  length.view.setUint32(0, UCRED_BYTES, true);
  const failed = libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, record.address, length.address) < 0;
  if (failed || length.view.getUint32(0, true) !== UCRED_BYTES) return undefined;
  const { view } = record;
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}
