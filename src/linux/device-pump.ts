import { HEADROOM_BYTES, MAX_PACKET_BYTES, TAILROOM_BYTES } from '../data/arena.ts';
import type { DeviceId } from '../data/plane.ts';
import { PASS, type Verdict } from '../data/verdict.ts';
import { Errno } from './errno.ts';
import { errno, libc } from './libc.ts';
import { DEVICE_ERROR, ErrorReporter, type Pump, type PumpContext, READ_BUDGET } from './link-io.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from './poll-set.ts';

/** A tun or tap device: one packet for each read and write. An fd of -1 (`dev null`) gives nothing and takes everything. */
export class DevicePump implements Pump {
  readonly fd: number;
  pollEvents: number;
  #live = true;
  readonly #id: DeviceId;
  readonly #context: PumpContext;
  readonly #errors: ErrorReporter;

  constructor(id: DeviceId, fd: number, context: PumpContext) {
    this.fd = fd;
    this.pollEvents = fd < 0 ? 0 : POLLIN;
    this.#id = id;
    this.#context = context;
    this.#errors = new ErrorReporter((code, text) => {
      context.core.report({ type: 'device-error', device: id, code, text });
    });
  }

  letGo(): void {
    this.#live = false;
    this.pollEvents = 0;
  }

  handleReady(events: number): void {
    if ((events & POLLIN) !== 0) this.#read();
    // A device that was removed reports nothing but errors from then on: asking again would be a busy loop.
    else if ((events & (POLLERR | POLLHUP | POLLNVAL)) !== 0) this.#stop(Errno.ENODEV);
  }

  /** Packets one behind the other, so that they can go out together. */
  #read(): void {
    const { core, memory, outbox } = this.#context;
    const { start, length: regionBytes } = memory.devicePackets;
    const last = start + regionBytes - MAX_PACKET_BYTES - TAILROOM_BYTES;
    let offset = start + HEADROOM_BYTES;
    for (let count = 0; count < READ_BUDGET && offset <= last; count++) {
      const length = libc.read(this.fd, memory.arena.address + offset, MAX_PACKET_BYTES);
      if (length > 0) {
        this.#context.takeCalls();
        if (!this.#live) break;
        core.handleDevicePacket(this.#id, offset, length);
        offset = align(offset + length + TAILROOM_BYTES + HEADROOM_BYTES);
        continue;
      }
      const number = length === 0 ? Errno.ENODEV : errno();
      if (number === Errno.EINTR) continue;
      if (number !== Errno.EAGAIN) this.#stop(number);
      break;
    }
    outbox.flush();
  }

  write(offset: number, length: number): Verdict {
    if (this.fd < 0) return PASS;
    if (libc.write(this.fd, this.#context.memory.arena.address + offset, length) >= 0) return PASS;
    const number = errno();
    // EINVAL is the packet's fault (no IP inside), which is counted but is no failure of the device.
    if (number !== Errno.EAGAIN && number !== Errno.EINVAL) this.#errors.handleError(number, this.#context.nowMs());
    return DEVICE_ERROR;
  }

  #stop(number: number): void {
    this.pollEvents = 0;
    this.#context.polls.changed(this);
    this.#errors.handleError(number, this.#context.nowMs());
  }
}

function align(offset: number): number {
  return (offset + 63) & ~63;
}
