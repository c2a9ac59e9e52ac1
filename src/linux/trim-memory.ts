// The start of a tunnel needs memory that is not needed afterwards: for reading, for certificates, for compiling. V8 and OpenSSL give
// it back to the C library, and that keeps it: some 12 MiB of a process.

import { libc } from './libc.ts';

/** Gives the system what the C library holds and nobody uses. Takes a millisecond or two. */
export function trimMemory(): void {
  try {
    libc.mallocTrim(0);
  } catch {
    // A C library that is not glibc has no such function, and keeps less.
  }
}
