// TypeScript declares WebAssembly with the DOM only; these are the parts of it that the arena and the checksum use.

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

declare const WebAssembly: {
  readonly Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ) => { readonly exports: unknown };
};

/** Memory of so many pages of 64 KiB that can never grow, and so never moves. */
export function createWasmMemory(pages: number): WasmMemory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/** The functions of a module over the memory that it imports. Throws what is wrong with it, or not known to this machine. */
export function instantiate(bytes: Uint8Array, memory: WasmMemory): unknown {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports;
}
