// What a provider of OpenSSL hands over and is handed: tables of functions and algorithms, parameters, texts. The layouts
// are those of OpenSSL 3's core.h on 64-bit machines:
//   OSSL_DISPATCH   id i32, pad, function u64                                       16 bytes, ends with id 0
//   OSSL_ALGORITHM  names u64, properties u64, functions u64, description u64       32 bytes, ends with names 0
//   OSSL_PARAM      key u64, type u32, pad, data u64, data bytes u64, return u64    40 bytes, ends with key 0

import { libc, type NativeBytes, native, nativeBytes, writeAddress } from './libc.ts';

export const ParameterType = { integer: 1, text: 4, bytes: 5 } as const;

export interface Parameter {
  readonly name: string;
  readonly type: number;
  /** Address of its value, and how many bytes it has. */
  readonly data: number;
  readonly length: number;
}

const DISPATCH_BYTES = 16;
const ALGORITHM_BYTES = 32;
const PARAMETER_BYTES = 40;
const UNMODIFIED = 0xffffffff;
/** More parameters are in no list of OpenSSL's. */
const MOST_PARAMETERS = 64;

/** Memory and callbacks of one thread's provider: all of it lives as long as the thread. */
export class ProviderMemory {
  readonly #held: unknown[] = [];
  readonly #scratch = nativeBytes(PARAMETER_BYTES);
  #callbacks = 0;
  readonly noParameters = this.#parameterList([]);
  readonly keyParameterNames = this.#parameterList(
    ['bits', 'security-bits', 'max-size'].map((name) => [name, ParameterType.integer]),
  );
  readonly settableNames = this.#parameterList(
    ['pad-mode', 'digest', 'saltlen', 'mgf1-digest'].map((name) => [name, ParameterType.text]),
  );
  /** A list with one parameter of this name. */
  readonly outside: number;

  constructor(outsideName: string) {
    this.outside = this.#parameterList([[outsideName, ParameterType.bytes]]);
  }

  /** A function that OpenSSL may call; what it throws becomes 0, which is failure everywhere here. */
  callback(result: string, parameters: string, run: (...values: number[]) => number): number {
    const { koffi } = native();
    const type = koffi.proto(`${result} sallyport_provider_${this.#callbacks++}(${parameters})`);
    const registered = koffi.register((...values: (number | bigint)[]) => {
      try {
        return run(...values.map(Number));
      } catch {
        return 0;
      }
    }, koffi.pointer(type));
    this.#held.push(registered);
    return Number(koffi.address(registered));
  }

  constant(result: string, parameters: string, value: number): number {
    return this.callback(result, parameters, () => value);
  }

  text(text: string): number {
    const bytes = new TextEncoder().encode(text);
    const held = this.#hold(bytes.length + 1);
    held.bytes.set(bytes);
    return held.address;
  }

  dispatch(functions: readonly (readonly [id: number, address: number])[]): number {
    const table = this.#hold((functions.length + 1) * DISPATCH_BYTES);
    for (const [index, [id, address]] of functions.entries()) {
      table.view.setInt32(index * DISPATCH_BYTES, id, true);
      writeAddress(table.view, index * DISPATCH_BYTES + 8, address);
    }
    return table.address;
  }

  algorithms(list: readonly (readonly [names: string, functions: number])[], properties: string): number {
    const table = this.#hold((list.length + 1) * ALGORITHM_BYTES);
    const same = this.text(properties);
    for (const [index, [names, functions]] of list.entries()) {
      const words = [this.text(names), same, functions, same];
      for (const [at, word] of words.entries()) writeAddress(table.view, index * ALGORITHM_BYTES + at * 8, word);
    }
    return table.address;
  }

  /** Those of a list at an address; none at 0. */
  parameters(address: number): readonly Parameter[] {
    const found: Parameter[] = [];
    for (let at = address; at !== 0 && found.length < MOST_PARAMETERS; at += PARAMETER_BYTES) {
      libc.memcpy(this.#scratch.address, at, PARAMETER_BYTES);
      const { view } = this.#scratch;
      const name = wordAt(view, 0);
      if (name === 0) break;
      found.push({
        name: this.textAt(name),
        type: view.getUint32(8, true),
        data: wordAt(view, 16),
        length: wordAt(view, 24),
      });
    }
    return found;
  }

  textAt(address: number): string {
    return native().koffi.decode(BigInt(address), 'char', -1) as string;
  }

  integerAt(address: number): number {
    libc.memcpy(this.#scratch.address, address, 4);
    return this.#scratch.view.getInt32(0, true);
  }

  /** A copy. */
  bytesAt(address: number, length: number): Uint8Array {
    const copy = nativeBytes(length);
    if (length > 0) libc.memcpy(copy.address, address, length);
    return copy.bytes;
  }

  write(address: number, bytes: Uint8Array): void {
    const copy = nativeBytes(bytes.length);
    copy.bytes.set(bytes);
    libc.memcpy(address, copy.address, bytes.length);
  }

  writeWord(address: number, value: number): void {
    writeAddress(this.#scratch.view, 0, value);
    libc.memcpy(address, this.#scratch.address, 8);
  }

  #parameterList(list: readonly (readonly [name: string, type: number])[]): number {
    const table = this.#hold((list.length + 1) * PARAMETER_BYTES);
    const value = this.#hold(8);
    for (const [index, [name, type]] of list.entries()) {
      const at = index * PARAMETER_BYTES;
      writeAddress(table.view, at, this.text(name));
      table.view.setUint32(at + 8, type, true);
      writeAddress(table.view, at + 16, value.address);
      writeAddress(table.view, at + 24, 8);
      table.view.setUint32(at + 32, UNMODIFIED, true);
      table.view.setUint32(at + 36, UNMODIFIED, true);
    }
    return table.address;
  }

  #hold(lengthBytes: number): NativeBytes {
    const held = nativeBytes(lengthBytes);
    this.#held.push(held);
    return held;
  }
}

const wordAt = (view: DataView, offset: number): number =>
  view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;
