import type { DeviceId } from '../data/plane.ts';
import { dropCode, PASS, type Verdict } from '../data/verdict.ts';
import type { Credit } from './credit.ts';
import type { PacketPump, PumpContext } from './link-io.ts';

const DEVICE_FULL = dropCode('device-full');

/** A device whose other end is a program on the main thread: packets cross as messages, a turn's packets in one. */
export class MemoryDevice implements PacketPump {
  readonly fd = -1;
  readonly pollEvents = 0;
  readonly path = 'packets of the program';
  readonly #id: DeviceId;
  readonly #context: PumpContext;
  readonly #unread: Credit;
  #written: Uint8Array[] = [];
  #live = true;

  constructor(id: DeviceId, context: PumpContext, unread: Credit) {
    this.#id = id;
    this.#context = context;
    this.#unread = unread;
  }

  letGo(): void {
    this.#live = false;
  }

  handleReady(): void {
    // poll(2) never watches it
  }

  /** A packet of the program. */
  handlePacket(packet: Uint8Array): void {
    if (!this.#live) return;
    const { core, memory, outbox } = this.#context;
    memory.arena.bytes.set(packet, memory.programPacket);
    core.handleDevicePacket(this.#id, memory.programPacket, packet.length);
    outbox.flush();
  }

  write(offset: number, length: number): Verdict {
    if (!this.#unread.hasRoom) return DEVICE_FULL;
    this.#unread.handleSent();
    this.#written.push(this.#context.memory.arena.bytes.slice(offset, offset + length));
    return PASS;
  }

  /** What was written since the last call. */
  takeWritten(): readonly Uint8Array[] {
    if (this.#written.length === 0) return this.#written;
    const written = this.#written;
    this.#written = [];
    return written;
  }
}
