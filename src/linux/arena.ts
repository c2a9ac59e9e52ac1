import type { Arena } from '../crypto/provider.ts';
import { addressOf, type NativeBytes, nativeBytes } from './libc.ts';
import { mapLow } from './low-memory.ts';
import { createWasmMemory, type WasmMemory } from './web-assembly.ts';

/**
 * The one memory that packets live in, with its native address: the kernel, OpenSSL, TypeScript and WebAssembly see the
 * same bytes.
 */
export interface NativeArena extends Arena {
  /** Address of `bytes[0]`, a low one where there is one (low-memory.ts); offset plus this is what a system call takes. */
  readonly address: number;
  /** The same memory for WebAssembly, where an offset is an address. */
  readonly memory: WasmMemory;
}

const PAGE_BYTES = 65_536;

/** An arena of at least `lengthBytes`, whole WebAssembly pages. Initial is maximum, so that it can never grow and move. */
export function createNativeArena(lengthBytes: number): NativeArena {
  const memory = createWasmMemory(Math.ceil(lengthBytes / PAGE_BYTES));
  const bytes = new Uint8Array(memory.buffer);
  const address = addressOf(bytes);
  return { bytes, view: new DataView(memory.buffer), address: mapLow(address, bytes.length) ?? address, memory };
}

const FIRST_SLOTS = 64;

/** Places of one size in arenas of their own, as many as are asked for. Each begins at a multiple of 64. */
export class NativeSlots {
  readonly #slotBytes: number;
  readonly #free: NativeBytes[] = [];
  #count = 0;

  constructor(slotBytes: number) {
    this.#slotBytes = Math.ceil(slotBytes / 64) * 64;
  }

  /** Zeroed. */
  take(): NativeBytes {
    if (this.#free.length === 0) this.#grow();
    return this.#free.pop()!;
  }

  give(slot: NativeBytes): void {
    slot.bytes.fill(0);
    this.#free.push(slot);
  }

  /** By as many as there are: each arena takes much room among addresses. Where there is none, by one. */
  #grow(): void {
    const count = Math.max(FIRST_SLOTS, this.#count);
    let arena: Pick<NativeArena, 'bytes' | 'address'>;
    try {
      arena = createNativeArena(count * this.#slotBytes);
    } catch {
      arena = nativeBytes(this.#slotBytes + 64);
    }
    const { bytes, address } = arena;
    const first = -address & 63;
    for (let at = first; at + this.#slotBytes <= bytes.length; at += this.#slotBytes) {
      const slot = bytes.subarray(at, at + this.#slotBytes) as Uint8Array<ArrayBuffer>;
      const view = new DataView(slot.buffer, slot.byteOffset, slot.length);
      this.#free.push({ bytes: slot, view, address: address + at });
      this.#count++;
    }
  }
}
