// A second way to memory, by addresses below 2^31. V8 has numbers of that size at hand, where larger ones are objects that it
// makes anew for every call; and koffi takes half as long with them. Sealing a packet is a call with seven addresses.

import { Errno, hostError } from './errno.ts';
import { declareFunctions, errno, nativeBytes } from './libc.ts';
import { randomBytesAt } from './openssl.ts';

/** Where maps of 32 bits lie on x64: above the program and its heap. */
const FIRST = 0x4000_0000;
const END = 0x7fff_0000;
const ALIGNMENT = 0x1_0000;
const ATTEMPTS = 8;

const READ_WRITE = 1 | 2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
/** Anonymous, at this address unless something is there (a kernel before 4.17 takes it for a wish then). */
const NEW = 0x20 | 0x10_0000;
const MREMAP_MAYMOVE_FIXED = 1 | 2;

interface MemoryCalls {
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  mremap(from: number, fromLength: number, length: number, flags: number, to: number): number;
  munmap(address: number, length: number): number;
}

export const memoryCalls: MemoryCalls = declareFunctions<MemoryCalls>({
  mmap: 'intptr_t mmap(uintptr_t, size_t, int, int, int, long)',
  mremap: 'intptr_t mremap(uintptr_t, size_t, size_t, int, uintptr_t)',
  munmap: 'int munmap(uintptr_t, size_t)',
});

/** What this thread has mapped: addresses and lengths. */
const mapped: [number, number][] = [];

/**
 * Lets the memory at `address`, whole pages of zeros that belong to the caller, be reached by a low address as well, and
 * returns that; undefined where there is no room, or the system maps no such. Throws `HostError` if it took the memory away.
 */
export function mapLow(
  address: number,
  lengthBytes: number,
  { mremap }: Pick<MemoryCalls, 'mremap'> = memoryCalls,
): number | undefined {
  const low = mapShared(lengthBytes);
  if (low === undefined) return undefined;
  // Of shared memory a length of 0 is a request for the same pages once more.
  if (mremap(low, 0, lengthBytes, MREMAP_MAYMOVE_FIXED, address) !== address) {
    const number = errno();
    memoryCalls.munmap(low, lengthBytes);
    // What was there may be gone by now; where it is not, it stays.
    const found = memoryCalls.mmap(address, lengthBytes, READ_WRITE, MAP_PRIVATE | NEW, -1, 0);
    if (found === -1 && errno() !== Errno.EEXIST) throw hostError('Memory for packets was lost', number);
    if (found !== -1 && found !== address) memoryCalls.munmap(found, lengthBytes);
    return undefined;
  }
  mapped.push([low, lengthBytes]);
  return low;
}

/** Nothing that this thread has mapped is used any more. */
export function unmapLow(): void {
  for (const [address, lengthBytes] of mapped.splice(0)) memoryCalls.munmap(address, lengthBytes);
}

/** New memory at a random one of these addresses. */
function mapShared(lengthBytes: number): number | undefined {
  const places = Math.floor((END - FIRST - lengthBytes) / ALIGNMENT);
  if (places < 1) return undefined;
  const random = nativeBytes(8);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    randomBytesAt(random.address, 4);
    const wanted = FIRST + (random.view.getUint32(0, true) % places) * ALIGNMENT;
    const found = memoryCalls.mmap(wanted, lengthBytes, READ_WRITE, MAP_SHARED | NEW, -1, 0);
    if (found === wanted) return found;
    if (found !== -1) memoryCalls.munmap(found, lengthBytes);
  }
  return undefined;
}
