// The Internet checksum over the arena: by WebAssembly SIMD where that is to be had, in plain TypeScript otherwise.

import { readFileSync } from 'node:fs';
import { type ChecksumEngine, createPlainChecksum } from '../ip/checksum.ts';
import type { NativeArena } from './arena.ts';
import { instantiate } from './web-assembly.ts';

/** The module that scripts/build-wasm.mjs compiles, beside this file or the bundle that it is in; undefined when it is not there. */
export function readChecksumModule(url: URL = new URL('./checksum.wasm', import.meta.url)): Uint8Array | undefined {
  try {
    return readFileSync(url);
  } catch {
    return undefined;
  }
}

/** The engine of a compiled module over an arena; undefined where the machine has no SIMD for it. */
export function createFastChecksum(module: Uint8Array, arena: NativeArena): ChecksumEngine | undefined {
  try {
    return instantiate(module, arena.memory) as ChecksumEngine;
  } catch {
    return undefined;
  }
}

export interface LoadedChecksum {
  readonly engine: ChecksumEngine;
  /** Whether it is the one in WebAssembly. */
  readonly fast: boolean;
}

/** The fastest engine there is, for the module that was read, if it was. */
export function loadChecksum(module: Uint8Array | undefined, arena: NativeArena): LoadedChecksum {
  const fast = module === undefined ? undefined : createFastChecksum(module, arena);
  return { engine: fast ?? createPlainChecksum(arena.bytes, arena.view), fast: fast !== undefined };
}
