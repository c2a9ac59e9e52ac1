// A tunnel device that is no interface of the host: the program around reads and writes the packets. It lasts as long as
// the client or server; the plane's device behind it comes and goes with restarts.

import type { MemoryDeviceEnd } from './data/plane.ts';

/** IP packets of a tunnel whose device is in memory. Bounded both ways: what nobody takes in time is dropped. */
export class PacketDevice {
  #end: MemoryDeviceEnd | undefined;
  #handle: ((packet: Uint8Array) => void) | undefined;

  /** Puts a packet into the tunnel. False when it was dropped: no tunnel yet, or no room. */
  write(packet: Uint8Array): boolean {
    return this.#end?.write(packet) ?? false;
  }

  /** Calls back for each packet that comes out of the tunnel; replaces the function before. */
  onPacket(handle: (packet: Uint8Array) => void): void {
    this.#handle = handle;
    this.#drain();
  }

  /** For the composition: the plane's device that packets cross from now on. */
  attach(end: MemoryDeviceEnd): void {
    this.#end = end;
    end.onReadable(() => this.#drain());
    this.#drain();
  }

  #drain(): void {
    const end = this.#end;
    while (end !== undefined && this.#handle !== undefined) {
      const packet = end.read();
      if (packet === undefined) return;
      this.#handle(packet);
    }
  }
}
