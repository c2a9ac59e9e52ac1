// The main thread's side of devices in memory: each packet a message, bounded by what the other thread has not taken.

import { MAX_PACKET_BYTES } from '../data/arena.ts';
import { PlaneCounter } from '../data/counters.ts';
import { DeviceQueue } from '../data/device-queue.ts';
import type { DeviceId, MemoryDeviceEnd } from '../data/plane.ts';
import { ControlWord } from './worker-messages.ts';

/** Packets on their way to the worker at most. */
const ON_THEIR_WAY_MAX = 1024;

export class DeviceEnds {
  readonly #control: Int32Array;
  readonly #counters: Float64Array;
  readonly #send: (device: DeviceId, packet: Uint8Array) => void;
  readonly #queues = new Map<DeviceId, DeviceQueue>();
  #sent = 0;

  constructor(control: Int32Array, counters: Float64Array, send: (device: DeviceId, packet: Uint8Array) => void) {
    this.#control = control;
    this.#counters = counters;
    this.#send = send;
  }

  add(device: DeviceId): void {
    this.#queues.set(device, new DeviceQueue());
  }

  /** What nobody has read is nobody's any more. */
  remove(device: DeviceId): void {
    const queue = this.#queues.get(device);
    this.#queues.delete(device);
    while (queue?.read() !== undefined) this.#handleRead(1);
  }

  end(device: DeviceId): MemoryDeviceEnd {
    const queue = this.#queues.get(device);
    if (queue === undefined) throw new RangeError(`the plane has no device ${device} in memory`);
    return {
      write: (packet) => this.#write(device, packet),
      read: () => {
        const packet = queue.read();
        if (packet !== undefined && this.#queues.has(device)) this.#handleRead(1);
        return packet;
      },
      onReadable: (handle) => queue.onReadable(handle),
    };
  }

  /** Packets that the worker wrote. */
  handlePackets(device: DeviceId, packets: readonly Uint8Array[]): void {
    const queue = this.#queues.get(device);
    if (queue === undefined) this.#handleRead(packets.length);
    else {
      for (const packet of packets) if (!queue.push(packet)) this.#handleRead(1);
      queue.notify();
    }
  }

  #write(device: DeviceId, packet: Uint8Array): boolean {
    if (packet.length > MAX_PACKET_BYTES) throw new RangeError(`a packet of ${packet.length} bytes`);
    if (!this.#queues.has(device)) return false;
    if (((this.#sent - Atomics.load(this.#control, ControlWord.deviceTaken)) | 0) >= ON_THEIR_WAY_MAX) {
      this.#counters[PlaneCounter.deviceEndDrops]!++;
      return false;
    }
    this.#sent++;
    this.#send(device, packet);
    return true;
  }

  #handleRead(count: number): void {
    Atomics.add(this.#control, ControlWord.deviceRead, count);
  }
}

/** One end of a device in memory that several workers write to; the first one reads. */
export function joinDeviceEnds(ends: readonly MemoryDeviceEnd[]): MemoryDeviceEnd {
  const [first] = ends;
  if (first === undefined) throw new TypeError('a plane has a worker');
  if (ends.length === 1) return first;
  return {
    write: (packet) => first.write(packet),
    read() {
      for (const end of ends) {
        const packet = end.read();
        if (packet !== undefined) return packet;
      }
      return undefined;
    },
    onReadable(handle) {
      for (const end of ends) end.onReadable(handle);
    },
  };
}
