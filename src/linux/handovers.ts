// One worker's way to the others and from them: packets that are another's business (data/handover.ts), over rings in
// shared memory. Who has handed something over wakes the other worker where it sleeps, once for all that went together.

import { HEADROOM_BYTES, TAILROOM_BYTES } from '../data/arena.ts';
import type { HandOver, Handover } from '../data/handover.ts';
import type { PlaneCore } from '../data/plane-core.ts';
import { dropCode, PASS } from '../data/verdict.ts';
import { RingReader, RingWriter } from './handover-ring.ts';
import { READ_BUDGET } from './link-io.ts';
import type { Holder, Outbox } from './outbox.ts';
import type { PacketMemory } from './packet-memory.ts';
import { wakeSleeper } from './wake.ts';
import type { WorkerStart } from './worker-messages.ts';

const WORKER_FULL = dropCode('worker-full');

export class Handovers {
  readonly #memory: PacketMemory;
  readonly #outbox: Outbox;
  readonly #others: readonly (OtherWorker | undefined)[];
  readonly #readers: readonly RingReader[];

  constructor({ others }: Pick<WorkerStart, 'others'>, memory: PacketMemory, outbox: Outbox) {
    this.#memory = memory;
    this.#outbox = outbox;
    this.#others = others.map((other) => other && new OtherWorker(other));
    this.#readers = others.flatMap((other) => (other === undefined ? [] : [new RingReader(other.from)]));
  }

  readonly handOver: HandOver = (engine, what, id, about, source, offset, length) => {
    const other = this.#others[engine];
    if (other === undefined || !other.ring.push(what, id, about, this.#memory.arena, source, offset, length)) {
      return WORKER_FULL;
    }
    if (!other.isHeld) {
      other.isHeld = true;
      this.#outbox.add(other);
    }
    return PASS;
  };

  /** Whether another worker has handed something over. */
  get hasNews(): boolean {
    for (let index = 0; index < this.#readers.length; index++) if (!this.#readers[index]!.isEmpty) return true;
    return false;
  }

  /**
   * The look comes before the calls of the main thread are taken, and `takeAll` after: who handed a packet over had heard
   * of its peer, so this worker has, too, when it takes the packet.
   */
  look(): void {
    for (let index = 0; index < this.#readers.length; index++) this.#readers[index]!.look();
  }

  /** Takes what the others had handed over at the last look, as much of each as of a device. What is left is news again. */
  takeAll(core: PlaneCore): void {
    for (let index = 0; index < this.#readers.length; index++) this.#takeFrom(this.#readers[index]!, core);
  }

  #takeFrom(reader: RingReader, core: PlaneCore): void {
    const { arena, sourceAddress, devicePackets } = this.#memory;
    const first = devicePackets.start + HEADROOM_BYTES;
    const end = devicePackets.start + devicePackets.length - TAILROOM_BYTES;
    let offset = first;
    for (let count = 0; count < READ_BUDGET && reader.next(); count++) {
      const { what, id, about, length } = reader;
      if (offset + length > end) {
        this.#outbox.flushPlaces();
        offset = first;
      }
      reader.take(arena, sourceAddress, offset);
      core.handleHandover(what as Handover, id, about, sourceAddress, offset, length);
      offset = (offset + length + TAILROOM_BYTES + HEADROOM_BYTES + 63) & ~63;
    }
    this.#outbox.flush();
  }
}

/** Another worker, as one that hands packets over to it knows it. */
class OtherWorker implements Holder {
  readonly holdsCopies = false;
  readonly ring: RingWriter;
  isHeld = false;
  readonly #control: Int32Array;
  readonly #wakeFd: number;

  constructor({ to, control, wakeFd }: NonNullable<WorkerStart['others'][number]>) {
    this.ring = new RingWriter(to);
    this.#control = new Int32Array(control);
    this.#wakeFd = wakeFd;
  }

  flush(): void {
    this.isHeld = false;
    this.ring.publish();
    wakeSleeper(this.#control, this.#wakeFd);
  }
}
