import type { Arena } from '../crypto/provider.ts';
import { addressOf } from './libc.ts';

/** The one memory that packets live in, with its native address: the kernel, OpenSSL and TypeScript see the same bytes. */
export interface NativeArena extends Arena {
  /** Address of `bytes[0]`; offset plus this is what a system call takes. */
  readonly address: number;
}

// TypeScript declares WebAssembly with the DOM only.
declare const WebAssembly: {
  readonly Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const PAGE_BYTES = 65_536;

/** An arena of at least `lengthBytes`, whole WebAssembly pages. Initial is maximum, so that it can never grow and move. */
export function createNativeArena(lengthBytes: number): NativeArena {
  const pages = Math.ceil(lengthBytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer);
  return { bytes, view: new DataView(memory.buffer), address: addressOf(bytes) };
}
