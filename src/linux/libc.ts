// linux/ is the only room that knows koffi, and this file is the only one that loads it. Everything of the kernel and of
// the cryptographic libraries that the project uses is declared here, in openssl.ts, gnutls.ts or ipsec-mb.ts, once, with the types
// of its arguments: a wrong size in FFI is a crash, not an exception.
//
// The path through the room: libc.ts (system calls) and errno.ts (their failures) carry tun.ts (devices), links.ts
// (sockets), netlink.ts (addresses and routes), privileges.ts, syslog.ts, clock.ts; arena.ts and packet-crypto.ts carry the
// packet cryptography; worker-plane.ts starts data-worker.ts, the thread that moves packets.
//
// Addresses are Numbers declared as uintptr_t: the fastest way through koffi (0.03 to 0.07 µs a call). Functions are
// declared at first use, and koffi itself is loaded at first use, because a start pays for every one of them.

import { createRequire } from 'node:module';

type Koffi = typeof import('koffi');

type Library = ReturnType<Koffi['load']>;

export interface NativeLibrary {
  readonly koffi: Koffi;
  readonly library: Library;
}

let loaded: NativeLibrary | undefined;

/** koffi itself, and this process's own functions through it. */
export function native(): NativeLibrary {
  if (loaded === undefined) {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    loaded = { koffi, library: koffi.load(null) };
  }
  return loaded;
}

/** Another library, by its soname; throws when there is none. */
export const loadLibrary = (soname: string): NativeLibrary['library'] => native().koffi.load(soname);

/** Loads koffi now. Needed before chroot only; everything else loads it by using it. */
export function loadNative(): void {
  native();
}

/** A shared library of the system by its soname; undefined when it is not there. */
export function systemLibrary(soname: string): Library | undefined {
  try {
    return native().koffi.load(soname);
  } catch {
    return undefined;
  }
}

/**
 * An object whose functions are declared at first use and are plain properties from then on: those of the Node binary and
 * of what it is linked with, or those of `library`.
 */
export function declareFunctions<T extends object>(
  prototypes: { readonly [K in keyof T]: string },
  library?: Library,
): T {
  const target = {} as T;
  for (const name of Object.keys(prototypes) as (keyof T & string)[]) {
    Object.defineProperty(target, name, {
      configurable: true,
      enumerable: true,
      get() {
        const value: unknown = (library ?? native().library).func(prototypes[name]);
        Object.defineProperty(target, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return target;
}

/** System calls and libc functions; a result of -1 means: ask `errno()` before anything else is called. */
export interface Libc {
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  fcntl(fd: number, command: number, value: number): number;
  read(fd: number, address: number, length: number): number;
  write(fd: number, address: number, length: number): number;
  ioctl(fd: number, request: number, address: number): number;
  poll(address: number, count: number, timeoutMs: number): number;
  /** A system call by its number, for what the C library does not give as it is. */
  syscall(number: number, a: number, b: number, c: number, d: number, e: number): number;
  eventfd(initial: number, flags: number): number;
  socket(domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number, fds: number): number;
  bind(fd: number, address: number, length: number): number;
  connect(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: number, lengthAddress: number, flags: number): number;
  getpeername(fd: number, address: number, lengthAddress: number): number;
  getsockname(fd: number, address: number, lengthAddress: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, lengthAddress: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  send(fd: number, address: number, length: number, flags: number): number;
  sendto(fd: number, address: number, length: number, flags: number, name: number, nameLength: number): number;
  recv(fd: number, address: number, length: number, flags: number): number;
  recvmsg(fd: number, header: number, flags: number): number;
  sendmsg(fd: number, header: number, flags: number): number;
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: number): number;
  sendmmsg(fd: number, headers: number, count: number, flags: number): number;
  memcpy(to: number, from: number, length: number): number;
  clockGettime(clock: number, address: number): number;
  chroot(path: string): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  capget(header: number, data: number): number;
  capset(header: number, data: number): number;
  isatty(fd: number): number;
  flock(fd: number, operation: number): number;
  getpwnamR(name: string, record: number, text: number, textLength: number, found: number): number;
  getgrnamR(name: string, record: number, text: number, textLength: number, found: number): number;
  strerror(number: number): string;
  openlog(identity: number, options: number, facility: number): void;
  syslog(priority: number, format: '%s', type: 'str', text: string): void;
  closelog(): void;
  schedYield(): number;
  mallocTrim(keepBytes: number): number;
}

// ioctl, fcntl, prctl, open and syscall are variadic in C. With integer arguments a fixed prototype passes the same registers on
// x64 and on arm64 Linux; syslog keeps its dots because a text goes through them.
export const libc: Libc = declareFunctions<Libc>({
  open: 'int open(const char *, int, unsigned int)',
  close: 'int close(int)',
  fcntl: 'int fcntl(int, int, int)',
  read: 'intptr_t read(int, uintptr_t, size_t)',
  write: 'intptr_t write(int, uintptr_t, size_t)',
  ioctl: 'int ioctl(int, unsigned long, uintptr_t)',
  poll: 'int poll(uintptr_t, unsigned long, int)',
  syscall: 'long syscall(long, uintptr_t, unsigned long, uintptr_t, uintptr_t, size_t)',
  eventfd: 'int eventfd(unsigned int, int)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, uintptr_t)',
  bind: 'int bind(int, uintptr_t, unsigned int)',
  connect: 'int connect(int, uintptr_t, unsigned int)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, uintptr_t, uintptr_t, int)',
  getpeername: 'int getpeername(int, uintptr_t, uintptr_t)',
  getsockname: 'int getsockname(int, uintptr_t, uintptr_t)',
  getsockopt: 'int getsockopt(int, int, int, uintptr_t, uintptr_t)',
  setsockopt: 'int setsockopt(int, int, int, uintptr_t, unsigned int)',
  send: 'intptr_t send(int, uintptr_t, size_t, int)',
  sendto: 'intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, unsigned int)',
  recv: 'intptr_t recv(int, uintptr_t, size_t, int)',
  recvmsg: 'intptr_t recvmsg(int, uintptr_t, int)',
  sendmsg: 'intptr_t sendmsg(int, uintptr_t, int)',
  recvmmsg: 'int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)',
  sendmmsg: 'int sendmmsg(int, uintptr_t, unsigned int, int)',
  memcpy: 'uintptr_t memcpy(uintptr_t, uintptr_t, size_t)',
  clockGettime: 'int clock_gettime(int, uintptr_t)',
  chroot: 'int chroot(const char *)',
  prctl: 'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
  capget: 'int capget(uintptr_t, uintptr_t)',
  capset: 'int capset(uintptr_t, uintptr_t)',
  isatty: 'int isatty(int)',
  flock: 'int flock(int, int)',
  getpwnamR: 'int getpwnam_r(const char *, uintptr_t, uintptr_t, size_t, uintptr_t)',
  getgrnamR: 'int getgrnam_r(const char *, uintptr_t, uintptr_t, size_t, uintptr_t)',
  strerror: 'const char *strerror(int)',
  openlog: 'void openlog(uintptr_t, int, int)',
  syslog: 'void syslog(int, const char *, ...)',
  closelog: 'void closelog()',
  schedYield: 'int sched_yield()',
  mallocTrim: 'int malloc_trim(size_t)',
});

/** The calling thread's errno; meaningful directly after a failed call only. */
export function errno(): number {
  return native().koffi.errno();
}

/** Errno names to numbers (EPERM: 1 …), as this system has them. */
export function errnoTable(): Readonly<Record<string, number>> {
  return native().koffi.os.errno as unknown as Readonly<Record<string, number>>;
}

/** Bytes whose native address is read once. They stay where they are for as long as a reference to them is held. */
export interface NativeBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly address: number;
}

/** Zeroed memory for arguments and results of system calls; hold it in a long-lived place. */
export function nativeBytes(lengthBytes: number): NativeBytes {
  const bytes = new Uint8Array(lengthBytes);
  return { bytes, view: new DataView(bytes.buffer), address: addressOf(bytes) };
}

/** The native address of bytes that do not move: any ArrayBuffer or WebAssembly.Memory, for as long as it is referenced. */
export function addressOf(bytes: Uint8Array): number {
  return Number(native().koffi.address(bytes));
}

/** Writes a native address as the u64 of a struct, without a bigint. */
export function writeAddress(view: DataView, offset: number, address: number): void {
  const high = Math.floor(address / WORD);
  view.setUint32(offset, address - high * WORD, true);
  view.setUint32(offset + 4, high, true);
}

const WORD = 0x1_0000_0000;
