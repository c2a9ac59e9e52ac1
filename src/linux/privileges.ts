// Giving up privileges, in the order of the C program: chroot, then group, then user. Capabilities belong to threads:
// CAP_NET_ADMIN is kept on the calling (main) thread, where netlink is spoken; the data worker needs none for fds that
// are open. Everything that will be needed (modules, koffi, workers, sockets, log files) must be loaded or open before.

import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { checked, hostError } from './errno.ts';
import { libc, loadNative, nativeBytes } from './libc.ts';

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

// struct passwd: name, password: pointers | uid u32 at 16 | gid u32 at 20. struct group: name, password | gid u32 at 16.
const ID_OFFSET = 16;
const GID_OFFSET = 20;
const RECORD_BYTES = 64;
const TEXT_BYTES = 65_536;

/** A user by name, from whatever the system asks (files, LDAP …); undefined when there is none of that name. */
export function lookupUser(name: string): Account | undefined {
  const record = lookup(name, libc.getpwnamR, `Cannot look up user ${name}`);
  if (record === undefined) return undefined;
  return { name, uid: record.getUint32(ID_OFFSET, true), gid: record.getUint32(GID_OFFSET, true) };
}

/** A group's number by its name; undefined when there is none of that name. */
export function lookupGroup(name: string): number | undefined {
  return lookup(name, libc.getgrnamR, `Cannot look up group ${name}`)?.getUint32(ID_OFFSET, true);
}

function lookup(
  name: string,
  call: (name: string, record: number, text: number, textLength: number, found: number) => number,
  what: string,
): DataView | undefined {
  const record = nativeBytes(RECORD_BYTES);
  const text = nativeBytes(TEXT_BYTES);
  const found = nativeBytes(RECORD_BYTES);
  const number = call(name, record.address, text.address, text.bytes.length, found.address);
  text.bytes.fill(0); // may hold a password hash; and referenced until here
  if (found.view.getBigUint64(0, true) !== 0n) return record.view;
  // "Not found" is 0, or one of these, depending on the source that was asked (getpwnam_r(3)).
  const notFound = [0, 1, 2, 3, 9];
  if (!notFound.includes(number)) throw hostError(what, number);
  return undefined;
}

/** Makes the directory the root of the process and goes there. No program and no unloaded module can be reached then. */
export function enterChroot(directory: string): void {
  loadNative();
  checked(libc.chroot(directory), `chroot to '${directory}' failed`);
  process.chdir('/');
}

export interface PrivilegeDrop {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Keep CAP_NET_ADMIN (and nothing else) on this thread, so that routes and addresses can still be changed. */
  readonly keepNetAdmin: boolean;
}

const PR_SET_KEEPCAPS = 8;

/** Changes group, supplementary groups and user of all threads. Throws when anything of it is refused. */
export function dropPrivileges({ uid, gid, keepNetAdmin }: PrivilegeDrop): void {
  if (gid !== undefined) process.setgid!(gid);
  if (gid !== undefined || uid !== undefined) process.setgroups!([gid ?? process.getgid!()]);
  if (uid === undefined) return;
  const leavesRoot = uid !== 0 && process.getuid!() === 0;
  const keeps = keepNetAdmin && leavesRoot;
  if (keeps) checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 'Cannot keep capabilities');
  process.setuid!(uid);
  if (keeps) {
    setOnlyNetAdmin();
    checked(libc.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), 'Cannot keep capabilities');
  }
}

/** Whether this thread may change addresses and routes. */
export function hasNetAdmin(): boolean {
  const { header, data } = capabilityMemory();
  checked(libc.capget(header.address, data.address), 'Cannot read capabilities');
  const effective = data.view.getUint32(0, true);
  header.bytes.fill(0);
  return (effective & CAP_NET_ADMIN) !== 0;
}

// header: version u32 | pid i32 (0: this thread). data, twice for 64 bits: effective, permitted, inheritable u32 each.
const CAPABILITY_VERSION_3 = 0x20080522;
const CAP_NET_ADMIN = 1 << 12;

function setOnlyNetAdmin(): void {
  const { header, data } = capabilityMemory();
  data.view.setUint32(0, CAP_NET_ADMIN, true);
  data.view.setUint32(4, CAP_NET_ADMIN, true);
  checked(libc.capset(header.address, data.address), 'Cannot keep CAP_NET_ADMIN');
  header.bytes.fill(0);
  data.bytes.fill(0);
}

function capabilityMemory() {
  const header = nativeBytes(64);
  header.view.setUint32(0, CAPABILITY_VERSION_3, true);
  return { header, data: nativeBytes(64) };
}

/**
 * Sets the scheduling priority of the process (`--nice`). Throws when it is refused. On Linux the priority belongs to a
 * thread and is handed down to the threads that it starts, so each thread that is there is set.
 */
export function setNice(value: number): void {
  for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), value);
}

// There is no mlockall here, on purpose: V8 gives pages back with madvise(MADV_DONTNEED), which the kernel refuses for
// locked memory, and V8 then aborts the process (seen with Node 20, at the latest when its heap is torn down).
