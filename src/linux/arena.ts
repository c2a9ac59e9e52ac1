import type { Arena } from '../crypto/provider.ts';
import { addressOf } from './libc.ts';
import { createWasmMemory, type WasmMemory } from './web-assembly.ts';

/**
 * The one memory that packets live in, with its native address: the kernel, OpenSSL, TypeScript and WebAssembly see the
 * same bytes.
 */
export interface NativeArena extends Arena {
  /** Address of `bytes[0]`; offset plus this is what a system call takes. */
  readonly address: number;
  /** The same memory for WebAssembly, where an offset is an address. */
  readonly memory: WasmMemory;
}

const PAGE_BYTES = 65_536;

/** An arena of at least `lengthBytes`, whole WebAssembly pages. Initial is maximum, so that it can never grow and move. */
export function createNativeArena(lengthBytes: number): NativeArena {
  const memory = createWasmMemory(Math.ceil(lengthBytes / PAGE_BYTES));
  const bytes = new Uint8Array(memory.buffer);
  return { bytes, view: new DataView(memory.buffer), address: addressOf(bytes), memory };
}
