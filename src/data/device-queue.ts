// What a plane wrote into a device in memory and its owner has not read yet.

/** Packets that wait for the owner; more are dropped, as a full device queue drops them. */
export const DEVICE_QUEUE_PACKETS = 1024;

export class DeviceQueue {
  readonly #packets: Uint8Array[] = [];
  /** Whether the queue was empty when the owner last looked, and is not any more. */
  #isNews = false;
  #handleReadable: (() => void) | undefined;

  /** False when the queue is full. */
  push(packet: Uint8Array): boolean {
    if (this.#packets.length >= DEVICE_QUEUE_PACKETS) return false;
    this.#packets.push(packet);
    this.#isNews ||= this.#packets.length === 1;
    return true;
  }

  /** Tells the owner that there is something to read again; not to be called in the middle of a packet. */
  notify(): void {
    if (!this.#isNews) return;
    this.#isNews = false;
    this.#handleReadable?.();
  }

  read(): Uint8Array | undefined {
    return this.#packets.shift();
  }

  onReadable(handle: () => void): void {
    this.#handleReadable = handle;
    if (this.#packets.length > 0) handle();
  }
}
