import { TCP_LENGTH_BYTES } from '../data/tcp-framing.ts';
import { type NativeBytes, nativeBytes } from './libc.ts';

/** What waits for a slow stream at most, whatever its options say; more would only be delay. */
const QUEUE_BYTES = 262_144;
/** What a queue keeps when it is empty. */
const KEPT_BYTES = 16_384;

/** Packets that wait for a stream: whole ones, but for the first, which may have begun. Memory grows with the need. */
export class SendQueue {
  readonly #packetsMax: number;
  #memory: NativeBytes | undefined;
  #start = 0;
  #end = 0;
  #packets = 0;
  /** Bytes of the first packet that still wait. */
  #firstBytes = 0;

  constructor(packetsMax: number) {
    this.#packetsMax = packetsMax;
  }

  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** The native address of the first waiting byte. */
  get address(): number {
    return this.#memory === undefined ? 0 : this.#memory.address + this.#start;
  }

  /** All of the packet (or what is left of it) or nothing. */
  append(source: Uint8Array, start: number, end: number): boolean {
    const size = end - start;
    const wanted = this.length + size;
    // A packet that has begun always fits: the queue is empty then.
    if (!this.isEmpty && (this.#packets >= this.#packetsMax || wanted > QUEUE_BYTES)) return false;
    if (this.#memory === undefined || wanted > this.#memory.bytes.length) this.#grow(wanted);
    const { bytes } = this.#memory!;
    if (this.#end + size > bytes.length) this.#moveUp(bytes);
    bytes.set(source.subarray(start, end), this.#end);
    if (this.#packets === 0) this.#firstBytes = size;
    this.#end += size;
    this.#packets++;
    return true;
  }

  /** So many bytes were sent. */
  drop(length: number): void {
    let left = length;
    while (left > 0) {
      const taken = Math.min(left, this.#firstBytes);
      this.#start += taken;
      this.#firstBytes -= taken;
      left -= taken;
      if (this.#firstBytes > 0) return;
      this.#packets--;
      if (this.isEmpty) this.clear();
      else this.#firstBytes = TCP_LENGTH_BYTES + this.#memory!.view.getUint16(this.#start);
      if (this.isEmpty) return;
    }
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
    this.#packets = 0;
    this.#firstBytes = 0;
    if ((this.#memory?.bytes.length ?? 0) > KEPT_BYTES) this.#memory = undefined;
  }

  #grow(wanted: number): void {
    const before = this.#memory;
    const memory = nativeBytes(Math.max(KEPT_BYTES, 2 ** Math.ceil(Math.log2(wanted))));
    if (before !== undefined) {
      memory.bytes.set(before.bytes.subarray(this.#start, this.#end));
      this.#end -= this.#start;
      this.#start = 0;
    }
    this.#memory = memory;
  }

  #moveUp(bytes: Uint8Array): void {
    bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}
