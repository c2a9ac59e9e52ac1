import { HEADROOM_BYTES, MAX_PACKET_BYTES, TAILROOM_BYTES } from '../data/arena.ts';
import { PlaneCounter } from '../data/counters.ts';
import type { DeviceId, DeviceOffload } from '../data/plane.ts';
import { PASS, type Verdict } from '../data/verdict.ts';
import { Coalescer, type CoalescerSink } from '../ip/coalesce.ts';
import type { InnerPacket } from '../ip/packet.ts';
import { Segmenter } from '../ip/segment.ts';
import { VIRTIO_HEADER_BYTES, writePlainHeader } from '../ip/virtio-header.ts';
import { giveSinglePackets } from './device-offload.ts';
import { Errno } from './errno.ts';
import { errno, libc } from './libc.ts';
import { DEVICE_ERROR, ErrorReporter, type PacketPump, type PumpContext, READ_BUDGET } from './link-io.ts';
import type { Holder } from './outbox.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from './poll-set.ts';
import { ReadersTurn } from './readers-turn.ts';

/**
 * A tun or tap device. Without offload it is one packet for each read and write; with it, what is read may be split into
 * many packets, and what is written is joined as long as nothing else is to be done. An fd of -1 (`dev null`) gives nothing
 * and takes everything.
 */
export class DevicePump implements PacketPump, Holder, CoalescerSink {
  readonly fd: number;
  readonly holdsCopies = true;
  pollEvents: number;
  #live = true;
  readonly #id: DeviceId;
  readonly #offload: DeviceOffload;
  readonly #context: PumpContext;
  readonly #errors: ErrorReporter;
  readonly #segmenter: Segmenter | undefined;
  readonly #joining: number | undefined;
  readonly #coalescer: Coalescer | undefined;
  readonly #readersTurn = new ReadersTurn();
  #waits = false;
  #hasWritten = false;
  #lastPacketMs = Number.NEGATIVE_INFINITY;
  #single = false;
  /** Which of the two regions the next super-packet is split to. */
  #half = 0;
  /** When it wants to be read again (`--shaper`); Infinity while it is read. */
  resumeAtMs = Number.POSITIVE_INFINITY;

  /** `reads`: false where another worker does, and this one writes only. */
  constructor(id: DeviceId, fd: number, offload: DeviceOffload, context: PumpContext, reads: boolean) {
    this.fd = fd;
    this.pollEvents = fd < 0 || !reads ? 0 : POLLIN;
    this.#id = id;
    this.#offload = offload;
    this.#context = context;
    this.#errors = new ErrorReporter((code, text) => {
      context.core.report({ type: 'device-error', device: id, code, text });
    });
    if (offload === 'none') return;
    const { arena, checksum, joining } = context.memory;
    const { view } = arena;
    this.#segmenter = new Segmenter(view, checksum);
    this.#joining = joining.tryTake();
    if (this.#joining === undefined) return;
    this.#coalescer = new Coalescer({
      view,
      checksum,
      buffer: this.#joining,
      joinUdp: offload === 'tcp-udp',
      sink: this,
    });
  }

  get path(): string {
    if (this.#segmenter === undefined) return 'a packet for each read of the device';
    const checksums = this.#context.memory.fastChecksum ? '' : ', checksums without WebAssembly';
    return `device with ${this.#offload === 'tcp-udp' ? 'TSO and USO' : 'TSO'}${checksums}`;
  }

  letGo(): void {
    this.flush();
    this.#live = false;
    this.pollEvents = 0;
    this.resumeAtMs = Number.POSITIVE_INFINITY;
    if (this.#joining !== undefined) this.#context.memory.joining.give(this.#joining);
  }

  /**
   * The host answers a ping, or a segment of TCP, within the write: after a pause, that answer is read without another
   * poll(2). Where many come, they go out together.
   */
  readAnswers(): void {
    if (!this.#hasWritten) return;
    this.#hasWritten = false;
    if ((this.pollEvents & POLLIN) !== 0 && this.#isPause()) this.handleReady(POLLIN);
  }

  /** A method, for V8 reads private accessors by a call out of its code. */
  #isPause(): boolean {
    return this.#context.nowMs() - this.#lastPacketMs > this.#context.pauseMs;
  }

  /** Reads packets one behind the other, so that they can go out together. In one piece: V8 leaves a small function in front of it slow. */
  handleReady(events: number): void {
    if ((events & POLLIN) === 0) {
      // A device that was removed reports nothing but errors from then on: asking again would be a busy loop.
      if ((events & (POLLERR | POLLHUP | POLLNVAL)) !== 0) this.#stop(Errno.ENODEV);
      return;
    }
    const { core, memory, outbox } = this.#context;
    const { start, length: regionBytes } = memory.devicePackets;
    const headerBytes = this.#segmenter === undefined ? 0 : VIRTIO_HEADER_BYTES;
    const last = start + regionBytes - MAX_PACKET_BYTES - TAILROOM_BYTES;
    let offset = start + HEADROOM_BYTES;
    // After a pause there is most likely one packet, which goes out at once; poll(2) looks for another.
    const isLone = this.#isPause();
    for (let count = 0; count < READ_BUDGET && offset <= last; count++) {
      const length = libc.read(this.fd, memory.arena.address + offset - headerBytes, headerBytes + MAX_PACKET_BYTES);
      if (length > 0) {
        this.#context.counters[PlaneCounter.deviceReadCalls]!++;
        this.#lastPacketMs = this.#context.nowMs();
        this.#context.takeCalls();
        if (!this.#live) break;
        if (this.#segmenter === undefined) core.handleDevicePacket(this.#id, offset, length);
        else if (this.#split(this.#segmenter, offset - headerBytes, length)) {
          offset = start + HEADROOM_BYTES;
          if (core.paces && this.#rests()) break;
          continue;
        }
        if ((core.paces && this.#rests()) || isLone) break;
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

  /** Goes on reading once it has rested for long enough. */
  resume(nowMs: number): void {
    if (nowMs < this.resumeAtMs) return;
    this.resumeAtMs = Number.POSITIVE_INFINITY;
    this.pollEvents = POLLIN;
    this.#context.polls.changed(this);
  }

  /** Whether it is not to be read for a while. From then on it gives single packets, so that each has its own time. */
  #rests(): boolean {
    const restMs = this.#context.core.deviceRestMs(this.#id);
    if (restMs === 0) return false;
    if (this.#offload !== 'none' && !this.#single) giveSinglePackets(this.fd);
    this.#single = true;
    this.resumeAtMs = restMs;
    this.pollEvents = 0;
    this.#context.polls.changed(this);
    return true;
  }

  /** Hands on what a packet behind a virtio header stands for. True when that was many: none of them lies where it was read to. */
  #split(segmenter: Segmenter, offset: number, length: number): boolean {
    const { core, memory, outbox } = this.#context;
    const count = segmenter.begin(offset, length);
    if (count < 1) {
      core.countDrop('bad-inner-packet');
      return false;
    }
    if (segmenter.whole) {
      core.handleDevicePacket(this.#id, segmenter.packetOffset, segmenter.packetLength);
      return false;
    }
    const region = memory.segments[this.#half]!;
    this.#half = 1 - this.#half;
    const { start, length: regionBytes } = region;
    const last = start + regionBytes - segmenter.segmentLength - TAILROOM_BYTES;
    let out = start + HEADROOM_BYTES;
    for (let index = 0; index < count; index++) {
      if (out > last) {
        outbox.flushPlaces();
        out = start + HEADROOM_BYTES;
      }
      const segmentBytes = segmenter.next(out);
      core.handleDevicePacket(this.#id, out, segmentBytes);
      out = align(out + segmentBytes + TAILROOM_BYTES + HEADROOM_BYTES);
    }
    // The last few may go out with those of the next one, which come to the other half.
    outbox.flushPlacesButLast(region);
    return true;
  }

  /** Writes one packet. With offload it is joined with others until the next flush; `inner` is its header. */
  write(offset: number, length: number, inner: InnerPacket | undefined): Verdict {
    if (this.fd < 0) return PASS;
    const verdict = this.#accept(offset, length, inner);
    if (inner !== undefined && this.#readersTurn.isAfter(inner.protocol)) {
      this.#coalescer?.flush();
      libc.schedYield();
    }
    return verdict;
  }

  #accept(offset: number, length: number, inner: InnerPacket | undefined): Verdict {
    if (this.#segmenter === undefined) return this.#writeNow(offset, length);
    if (this.#coalescer === undefined || inner === undefined) {
      const start = offset - VIRTIO_HEADER_BYTES;
      writePlainHeader(this.#context.memory.arena.view, start);
      return this.#writeNow(start, VIRTIO_HEADER_BYTES + length);
    }
    if (!this.#waits) {
      this.#waits = true;
      this.#context.outbox.add(this);
    }
    this.#coalescer.accept(inner, length);
    return PASS;
  }

  /** Writes what was joined. */
  flush(): void {
    this.#waits = false;
    this.#coalescer?.flush();
  }

  writeJoined(offset: number, length: number, packets: number): void {
    if (this.#writeNow(offset, length) === PASS) return;
    for (let count = 0; count < packets; count++) this.#context.core.countDrop('device-error');
  }

  #writeNow(offset: number, length: number): Verdict {
    this.#context.counters[PlaneCounter.deviceWriteCalls]!++;
    this.#hasWritten = true;
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
