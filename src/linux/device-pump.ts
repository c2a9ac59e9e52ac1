import { MAX_PACKET_BYTES } from '../data/arena.ts';
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

  #read(): void {
    const { core, memory } = this.#context;
    const offset = memory.devicePacket;
    const address = memory.arena.address + offset;
    for (let count = 0; count < READ_BUDGET; count++) {
      const length = libc.read(this.fd, address, MAX_PACKET_BYTES);
      if (length > 0) {
        this.#context.takeCalls();
        if (!this.#live) return;
        core.handleDevicePacket(this.#id, offset, length);
        continue;
      }
      const number = length === 0 ? Errno.ENODEV : errno();
      if (number === Errno.EINTR) continue;
      if (number !== Errno.EAGAIN) this.#stop(number);
      return;
    }
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
