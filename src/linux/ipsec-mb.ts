// AES-GCM for packets with Intel's Multi-Buffer library (libipsec-mb, 1.3 and later; it serves AMD's processors as well):
// one call for a packet, and assembly for what the processor has, up to AES on four blocks at once (VAES with AVX-512).
// The functions for one kind of processor are called directly; the library's job manager is not used.

import type { AeadKey } from '../crypto/provider.ts';
import { NativeSlots } from './arena.ts';
import { declareFunctions, type NativeBytes, systemLibrary } from './libc.ts';

/** The functions' names end with one of these: what the processor must have stands in packet-crypto.ts. */
export type IpsecMbVariant = 'vaes_avx512' | 'avx_gen4';

const NAMES = ['libIPSec_MB.so.2', 'libIPSec_MB.so.1'];
const TAG_BYTES = 16;
/** The expanded key and its powers of the hash key are 1,008 to 1,264 bytes in the versions up to 3.0; a packet's state is 80. */
const EXPANDED_BYTES = 4096;
const STATE_BYTES = 512;
const COMPUTED_TAG = EXPANDED_BYTES + STATE_BYTES;
/** Of a key: the expanded key, a packet's state and its computed tag, one behind the other. Wide registers want the first where slots begin. */
const slots = new NativeSlots(COMPUTED_TAG + TAG_BYTES);

interface Functions {
  /** Expands a key. */
  prepare(key: number, expanded: number): void;
  readonly encrypt: Crypt;
  readonly decrypt: Crypt;
}

type Crypt = (
  expanded: number,
  state: number,
  out: number,
  text: number,
  length: number,
  nonce: number,
  associated: number,
  associatedLength: number,
  tag: number,
  tagLength: number,
) => void;

type FunctionsByBits = ReadonlyMap<number, Functions>;

const loaded = new Map<IpsecMbVariant, FunctionsByBits | undefined>();

/** Whether the system has the library with all functions of this variant. Loads it. */
export function loadIpsecMb(variant: IpsecMbVariant): boolean {
  if (!loaded.has(variant)) loaded.set(variant, load(variant));
  return loaded.get(variant) !== undefined;
}

function load(variant: IpsecMbVariant): FunctionsByBits | undefined {
  for (const name of NAMES) {
    const library = systemLibrary(name);
    if (library === undefined) continue;
    const crypt =
      'uintptr_t, uintptr_t, uintptr_t, uintptr_t, uint64_t, uintptr_t, uintptr_t, uint64_t, uintptr_t, uint64_t';
    const declare = (bits: number) =>
      declareFunctions<Functions>(
        {
          prepare: `void aes_gcm_pre_${bits}_${variant}(uintptr_t, uintptr_t)`,
          encrypt: `void aes_gcm_enc_${bits}_${variant}(${crypt})`,
          decrypt: `void aes_gcm_dec_${bits}_${variant}(${crypt})`,
        },
        library,
      );
    const functions = new Map([128, 192, 256].map((bits) => [bits, declare(bits)]));
    try {
      // Declared now: a library without one of them is as good as none.
      const all = [...functions.values()].flatMap(({ prepare, encrypt, decrypt }) => [prepare, encrypt, decrypt]);
      if (all.length > 0) return functions;
    } catch {}
  }
  return undefined;
}

/** An AES-GCM key; the same expanded key seals and opens. */
export class IpsecMbAeadKey implements AeadKey {
  readonly #encrypt: Crypt;
  readonly #decrypt: Crypt;
  readonly #base: number;
  readonly #arena: DataView;
  readonly #memory: NativeBytes;
  readonly #expanded: number;
  readonly #state: number;
  readonly #computedTag: number;
  #closed = false;

  /** Throws when the key has another length than `cipher` needs. `arena`: where packets are; `base`: its native address. */
  constructor(variant: IpsecMbVariant, arena: DataView, base: number, cipher: string, key: Uint8Array) {
    const keyBits = Number(/^AES-(\d+)-GCM$/i.exec(cipher)?.[1]);
    const functions = loaded.get(variant)?.get(keyBits);
    if (functions === undefined) throw new Error(`libipsec-mb has no cipher ${cipher}`);
    if (key.length * 8 !== keyBits) {
      throw new Error(`${cipher}: a key of ${key.length} bytes was refused (${keyBits / 8} are needed)`);
    }
    this.#encrypt = functions.encrypt;
    this.#decrypt = functions.decrypt;
    this.#base = base;
    this.#arena = arena;
    this.#memory = slots.take();
    const { address, bytes } = this.#memory;
    this.#expanded = address;
    this.#state = address + EXPANDED_BYTES;
    this.#computedTag = address + COMPUTED_TAG;
    bytes.set(key, EXPANDED_BYTES);
    functions.prepare(this.#state, this.#expanded);
    bytes.fill(0, EXPANDED_BYTES, EXPANDED_BYTES + key.length);
  }

  // `encrypt` and `decrypt` are called where they are one function each, which V8 then calls without asking what it is.

  seal(nonce: number, associated: number, associatedLength: number, text: number, length: number, tag: number): void {
    this.#checkLive();
    const base = this.#base;
    const [at, iv, from] = [base + text, base + nonce, base + associated];
    this.#encrypt(this.#expanded, this.#state, at, at, length, iv, from, associatedLength, base + tag, TAG_BYTES);
  }

  open(
    nonce: number,
    associated: number,
    associatedLength: number,
    text: number,
    length: number,
    tag: number,
  ): boolean {
    this.#checkLive();
    this.#spoilComputed(tag);
    const base = this.#base;
    const [at, iv, from, computed] = [base + text, base + nonce, base + associated, this.#computedTag];
    this.#decrypt(this.#expanded, this.#state, at, at, length, iv, from, associatedLength, computed, TAG_BYTES);
    return this.#isComputed(tag);
  }

  /** Where a tag is to be computed, anything but the tag at `tag`: a function that did nothing would leave that. */
  #spoilComputed(tag: number): void {
    const { view } = this.#memory;
    for (let word = 0; word < TAG_BYTES; word += 4)
      view.setInt32(COMPUTED_TAG + word, ~this.#arena.getInt32(tag + word));
  }

  /** Whether the tag at `tag` in the arena is the one computed last: the same work wherever they differ. */
  #isComputed(tag: number): boolean {
    const arena = this.#arena;
    const { view } = this.#memory;
    let difference = 0;
    for (let word = 0; word < TAG_BYTES; word += 4)
      difference |= arena.getInt32(tag + word) ^ view.getInt32(COMPUTED_TAG + word);
    return difference === 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    slots.give(this.#memory);
  }

  #checkLive(): void {
    if (this.#closed) throw new Error('the AEAD key is closed');
  }
}
