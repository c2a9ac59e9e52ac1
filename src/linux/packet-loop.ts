// The data worker's loop: poll(2) over the eventfd, the devices and the links; packets straight through the arena into
// the engine (data/plane-core.ts) and out again. An idle tunnel causes no wake-ups: the only timeout is the engine's
// next deadline. Nothing here returns to Node's event loop until the end, so messages are fetched by hand.

import { clearPeerCounters } from '../data/counters.ts';
import { DEVICE_QUEUE_PACKETS } from '../data/device-queue.ts';
import type { HandOver } from '../data/handover.ts';
import { IdMap } from '../data/id-map.ts';
import type { DeviceId, DeviceOptions, LinkId, LinkOptions, PeerSettings, PlaneEvent } from '../data/plane.ts';
import type { PlaneCore, PlaneIo } from '../data/plane-core.ts';
import type { Verdict } from '../data/verdict.ts';
import type { InnerPacket } from '../ip/packet.ts';
import { BusyWatch } from './busy-watch.ts';
import { bootMs } from './clock.ts';
import { Credit } from './credit.ts';
import { DevicePump } from './device-pump.ts';
import { Errno, hostError } from './errno.ts';
import { Handovers } from './handovers.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import { DEVICE_ERROR, LINK_ERROR, type Pump, type PumpContext } from './link-io.ts';
import { MemoryDevice } from './memory-device.ts';
import type { Outbox } from './outbox.ts';
import type { PacketMemory } from './packet-memory.ts';
import { POLLIN, type Pollable, PollSet } from './poll-set.ts';
import type { Rehearsal } from './rehearsal.ts';
import { TcpLink } from './tcp-link.ts';
import { ACCEPTED_STREAMS_MAX, TcpListener } from './tcp-listener.ts';
import { UdpLink } from './udp-link.ts';
import {
  ControlWord,
  type LinkPart,
  type WorkerCall,
  type WorkerCalls,
  type WorkerReport,
  type WorkerStart,
} from './worker-messages.ts';

export interface PacketLoopOptions {
  readonly memory: PacketMemory;
  /** Of all loops on this memory. */
  readonly outbox: Outbox;
  readonly createCore: (io: PlaneIo, nowMs: number) => PlaneCore;
  readonly control: Int32Array;
  readonly counters: Float64Array;
  readonly wakeFd: number;
  readonly others: WorkerStart['others'];
  /** The next call of the main thread, or undefined when there is none now. */
  readonly nextCall: () => WorkerCall | undefined;
  readonly report: (report: WorkerReport) => void;
  /** What this thread does with its time at the start, while nothing else is to be done. */
  readonly rehearsal?: Rehearsal | undefined;
}

/** Without a packet for so long, the next is taken for one alone. */
export const PAUSE_MS = 2;
/** No turn takes so long. A machine that slept in a wait does: that time is missed until the clock is read again, before the next wait (`PollSet`). */
const SLEPT_MS = 1_000;

/**
 * The loop is the surroundings of its devices and links (`PumpContext`) and the engine's way out to them (`PlaneIo`), by
 * methods and not by closures: the code that V8 makes of a packet's path then fits every loop of the thread.
 */
export class PacketLoop implements PumpContext, PlaneIo {
  readonly core: PlaneCore;
  readonly memory: PacketMemory;
  readonly polls = new PollSet();
  readonly outbox: Outbox;
  readonly counters: Float64Array;
  readonly handOver: HandOver;
  pauseMs = PAUSE_MS;
  readonly #options: PacketLoopOptions;
  readonly #devices = new IdMap<DevicePump | MemoryDevice>();
  /** Those with an fd. */
  readonly #pumps: DevicePump[] = [];
  readonly #memoryDevices = new Map<DeviceId, MemoryDevice>();
  readonly #links = new IdMap<UdpLink | TcpLink>();
  readonly #listeners = new IdMap<TcpListener>();
  readonly #accepted = new Credit(ACCEPTED_STREAMS_MAX);
  /** What lies between the worker and the readers of all its devices in memory. */
  readonly #unread = new Credit(DEVICE_QUEUE_PACKETS);
  readonly #handovers: Handovers;
  readonly #calls: WorkerCalls;
  #nowMs = bootMs();
  #callsTaken = 0;
  /** Whether there is, or may be, more to do than moving packets. */
  #mustAttend = true;
  #pathTold: string | undefined;
  /** Links whose reading another worker could take, and what watches while there are any. */
  readonly #shareable = new Set<LinkId>();
  #busy: BusyWatch | undefined;
  /** Links that another worker is to read from the next turn on, and which one. */
  readonly #toGive = new Map<LinkId, number>();
  readonly #counted = { taken: 0, takenAccepted: 0, deviceRead: 0 };

  constructor(options: PacketLoopOptions) {
    this.#options = options;
    this.memory = options.memory;
    this.counters = options.counters;
    this.outbox = options.outbox;
    this.#handovers = new Handovers(options, options.memory, this.outbox);
    this.handOver = this.#handovers.handOver;
    this.core = options.createCore(this, this.#nowMs);
    this.#calls = this.#answerCalls(this.core);
    this.polls.add(this.#wakeUp());
  }

  sendLink(link: LinkId, address: number, offset: number, length: number, trafficClass: number): Verdict {
    const found = this.#links.get(link);
    if (found === undefined) return LINK_ERROR;
    return found instanceof UdpLink
      ? found.send(address, offset, length, trafficClass)
      : found.send(offset, length, trafficClass);
  }

  writeDevice(device: DeviceId, offset: number, length: number, inner: InnerPacket | undefined): Verdict {
    return this.#devices.get(device)?.write(offset, length, inner) ?? DEVICE_ERROR;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Runs until the exit flag is set, and wipes the keys. */
  run(): void {
    const { control } = this.#options;
    this.#options.report({ type: 'ready' });
    // The end is news, too: to be looked for where there is any.
    while (Atomics.load(control, ControlWord.exit) === 0) this.turn(Infinity);
    this.close();
  }

  /** Does what there is to do, then moves packets: what a wait of at most so long brings, or until there is more to do. */
  turn(longestMs: number): void {
    if (this.#mustAttend) this.#attend();
    do this.#movePackets(longestMs);
    while (!this.#mustAttend && longestMs === Infinity);
  }

  /** Everything but packets: what others want of this worker, what is due, what the main thread is to hear. */
  #attend(): void {
    this.#takeCredits();
    this.#handovers.look();
    this.takeCalls();
    if (this.#toGive.size > 0) this.#giveOpenings();
    this.#handovers.takeAll(this.core);
    if (this.core.nextDeadlineMs() <= this.#nowMs) this.core.handleTick(this.#nowMs);
    for (const listener of this.#listeners.values()) listener.resume(this.#nowMs);
    for (const pump of this.#pumps) pump.resume(this.#nowMs);
    this.outbox.flush();
    this.#reportEvents();
  }

  /** Leaves devices and links alone from now on, and wipes the keys. Their fds stay open. */
  close(): void {
    this.#options.rehearsal?.close();
    this.outbox.flush();
    for (const members of [this.#devices, this.#links, this.#listeners])
      for (const member of members.values()) member.letGo();
    this.#closeAccepted();
    this.core.close();
  }

  /** Streams that nobody will hear of. */
  #closeAccepted(): void {
    for (let event = this.core.pollEvent(); event !== undefined; event = this.core.pollEvent()) {
      if (event.type === 'accepted') libc.close(event.fd);
    }
  }

  #deadlineMs(): number {
    let deadlineMs = this.core.nextDeadlineMs();
    for (const { resumeAtMs } of this.#listeners.values()) deadlineMs = Math.min(deadlineMs, resumeAtMs);
    for (const { resumeAtMs } of this.#pumps) deadlineMs = Math.min(deadlineMs, resumeAtMs);
    return deadlineMs;
  }

  /**
   * Waits for packets and moves them. The answer to a packet alone is waited for at once, still asleep in the eyes of others
   * and without a look for news.
   */
  #movePackets(longestMs: number): void {
    const { control, rehearsal } = this.#options;
    const rehearses = rehearsal?.isDue === true;
    const deadlineMs = this.#deadlineMs();
    let ready = this.#wait(deadlineMs, rehearses ? 0 : longestMs);
    for (let waits = 1; ; waits++) {
      if (ready < 0) {
        const number = errno();
        if (number !== Errno.EINTR) throw hostError('The data plane cannot poll', number);
      }
      const { waitedMs } = this.polls;
      const isLone = ready > 0 && waits === 1 && waitedMs >= this.pauseMs;
      // Not by Atomics, which are calls: who still finds it asleep wakes it once too often.
      if (!isLone) control[ControlWord.asleep] = 0;
      this.#nowMs += waitedMs;
      this.core.setNow(this.#nowMs);
      // Time for a rehearsal is time for anything.
      const countedMs = rehearses ? Number.POSITIVE_INFINITY : waitedMs;
      if (this.#busy?.handleWait(this.#nowMs, countedMs) === true) this.#options.report({ type: 'busy' });
      this.#takeCredits();
      if (ready > 0) {
        this.polls.dispatch(ready);
        for (const pump of this.#pumps) pump.readAnswers();
      } else {
        if (rehearses && !this.#mustAttend) rehearsal.step();
        this.#mustAttend = true;
      }
      if (this.core.hasEvents || this.#memoryDevices.size > 0) this.#mustAttend = true;
      if (this.#mustAttend || !isLone || this.#deadlineMs() < deadlineMs) return;
      this.#readClock();
      ready = this.polls.waitOn();
    }
  }

  /** Waits until what is due next, at most so long, or not at all if there is something to do. As `PollSet.wait`. */
  #wait(deadlineMs: number, longestMs: number): number {
    // First asleep, then the look for news: news that this look misses finds the worker asleep and wakes it.
    Atomics.store(this.#options.control, ControlWord.asleep, 1);
    const hasNews = this.#hasNews();
    this.#readClock();
    const leftMs = Math.max(0, Math.ceil(deadlineMs - this.#nowMs));
    this.#mustAttend = hasNews || leftMs === 0;
    return this.polls.wait(hasNews ? 0 : Math.min(leftMs, longestMs));
  }

  /** Before each wait, so that what the wait ends with is handled at once. */
  #readClock(): void {
    const nowMs = bootMs();
    if (nowMs - this.#nowMs > SLEPT_MS) this.core.handleSlept(this.#nowMs, nowMs);
    this.#nowMs = nowMs;
  }

  /**
   * Whether the main thread has said anything, by a call or by a credit, or another worker, that was not taken yet. The first look
   * is by Atomics, a call: it is not before what this worker has told, and no other look is before it.
   */
  #hasNews(): boolean {
    const { control } = this.#options;
    return (
      Atomics.load(control, ControlWord.exit) !== 0 ||
      control[ControlWord.calls] !== this.#callsTaken ||
      control[ControlWord.taken] !== this.#counted.taken ||
      control[ControlWord.takenAccepted] !== this.#counted.takenAccepted ||
      control[ControlWord.deviceRead] !== this.#counted.deviceRead ||
      this.#handovers.hasNews
    );
  }

  #wakeUp(): Pollable {
    const counter = nativeBytes(64);
    const fd = this.#options.wakeFd;
    return {
      fd,
      pollEvents: POLLIN,
      handleReady: () => {
        libc.read(fd, counter.address, 8);
        this.#mustAttend = true;
        this.takeCalls();
      },
    };
  }

  takeCalls(): void {
    const made = this.#options.control[ControlWord.calls]!; // as for credits
    if (made === this.#callsTaken) return;
    this.#callsTaken = made;
    this.#mustAttend = true;
    for (let call = this.#options.nextCall(); call !== undefined; call = this.#options.nextCall()) {
      this.#options.rehearsal?.handleCall(call);
      const [name, ...values] = call;
      // The tuple type pairs each name with its own arguments; the compiler cannot follow that through a look-up.
      (this.#calls[name] as (...values: unknown[]) => void)(...values);
    }
  }

  /** What the main thread has worked off since the last look gives lanes, listeners and devices that much room again. */
  #takeCredits(): void {
    const { control } = this.#options;
    const { taken, takenAccepted, deviceRead } = this.#counted;
    // Not by Atomics, which are calls: what this look misses is seen before the worker sleeps (`#hasNews`).
    const hasTaken = control[ControlWord.taken] !== taken || control[ControlWord.takenAccepted] !== takenAccepted;
    if (!hasTaken && control[ControlWord.deviceRead] === deviceRead) return;
    this.#mustAttend = true;
    this.core.handleTaken(this.#credits('taken'));
    this.#accepted.handleTaken(this.#credits('takenAccepted'));
    this.#unread.handleTaken(this.#credits('deviceRead'));
  }

  /** Tells of the path if it is another than was told of. */
  tellPath(): void {
    const paths = new Set([...this.#links.values(), ...this.#devices.values()].map(({ path }) => path));
    const text = [...paths].join(', ');
    if (text === this.#pathTold) return;
    this.#pathTold = text;
    this.core.report({ type: 'data-path', text });
  }

  #credits(word: 'taken' | 'takenAccepted' | 'deviceRead'): number {
    const count = this.#options.control[ControlWord[word]]!;
    const more = (count - this.#counted[word]) | 0;
    this.#counted[word] = count;
    return more;
  }

  #reportEvents(): void {
    for (const [device, member] of this.#memoryDevices) {
      const packets = member.takeWritten();
      if (packets.length > 0) this.#options.report({ type: 'device-packets', device, packets });
    }
    const first = this.core.pollEvent();
    if (first === undefined) return;
    const events: PlaneEvent[] = [];
    for (let event: PlaneEvent | undefined = first; event !== undefined; event = this.core.pollEvent())
      events.push(event);
    this.#options.report({ type: 'events', events });
  }

  #answerCalls(core: PlaneCore): WorkerCalls {
    return {
      addDevice: (id, options, reads) => this.#addDevice(id, options, reads),
      setDevice: (id, change) => core.setDevice(id, change),
      removeDevice: (id, ticket) => {
        core.removeDevice(id);
        this.#memoryDevices.delete(id);
        this.#letGo(this.#devices, id, ticket);
      },
      writeDevice: (id, packet) => {
        Atomics.add(this.#options.control, ControlWord.deviceTaken, 1);
        this.#memoryDevices.get(id)?.handlePacket(packet);
      },
      addLink: (id, options, part) => this.#addLink(id, options, part),
      addListener: (id, fd) => {
        const listener = new TcpListener(id, fd, this, this.#accepted);
        this.#listeners.set(id, listener);
        this.polls.add(listener);
      },
      removeLink: (id, ticket) => {
        if (this.#listeners.get(id) !== undefined) this.#letGo(this.#listeners, id, ticket);
        else {
          core.removeLink(id);
          this.#forgetShareable(id);
          this.#letGo(this.#links, id, ticket);
        }
      },
      sendControl: (link, address, bytes) => core.sendControl(link, address, bytes),
      addPeer: (id, slot, options, owners) => core.addPeer(id, slot, { ...options, ...literals(options) }, owners),
      setPeer: (id, change) => core.setPeer(id, { ...change, ...literals(change) }),
      removePeer: (id, slot, ticket) => {
        core.removePeer(id);
        clearPeerCounters(this.#options.counters, slot);
        this.#options.report({ type: 'let-go', ticket });
      },
      addKey: (peer, id, options, usage) => {
        core.addKey(peer, id, options, usage);
        for (const direction of [options.material.seal, options.material.open]) {
          direction.cipher.fill(0);
          direction.hmac.fill(0);
        }
      },
      useKey: (peer, id) => {
        core.useKey(peer, id);
        if (this.#pathTold === undefined) this.tellPath();
      },
      removeKey: (peer, id) => core.removeKey(peer, id),
      // Not here: a call is taken in the middle of a read, too, whose packets are still this worker's.
      giveOpening: (link, to) => void this.#toGive.set(link, to),
      takeOpening: (link, openings) => {
        core.takeOpening(link, openings);
        this.#setPart(link, 'reads');
      },
      sendInBand: (peer, bytes) => core.sendInBand(peer, bytes),
      answerFloat: (peer, address, accept) => core.answerFloat(peer, address, accept),
      answerAddress: (peer, address, accept) => core.answerAddress(peer, address, accept),
      forgetIdleAddresses: (device, idleMs) => core.forgetIdleAddresses(device, idleMs),
    };
  }

  #addDevice(id: DeviceId, options: DeviceOptions, reads: boolean): void {
    this.core.addDevice(id, { ...options, layer: literal(options.layer) });
    const { endpoint } = options;
    if (endpoint.kind === 'memory') {
      const device = new MemoryDevice(id, this, this.#unread);
      this.#devices.set(id, device);
      this.#memoryDevices.set(id, device);
      return;
    }
    const pump = new DevicePump(id, endpoint.fd, endpoint.offload ?? 'none', this, reads);
    this.#devices.set(id, pump);
    this.#pumps.push(pump);
    this.polls.add(pump);
  }

  #addLink(id: LinkId, options: LinkOptions, part: LinkPart): void {
    this.core.addLink(id, options);
    if (part === 'none') return;
    const fd = options.endpoint.kind === 'fd' ? options.endpoint.fd : -1; // the main thread lets no other kind through
    const link =
      options.framing === 'tcp' ? new TcpLink(id, fd, options, this) : new UdpLink(id, fd, options, this, part);
    this.#links.set(id, link);
    this.polls.add(link);
    if (part === 'both-for-now') {
      this.#shareable.add(id);
      this.#busy ??= new BusyWatch(this.#nowMs);
    }
    if (link instanceof TcpLink && options.readAhead !== undefined) link.handleReadAhead(options.readAhead);
  }

  #giveOpenings(): void {
    for (const [link, to] of this.#toGive) {
      const openings = this.core.giveOpening(link, to);
      this.#setPart(link, 'sends');
      this.#forgetShareable(link);
      this.#options.report({ type: 'opening-given', link, openings });
    }
    this.#toGive.clear();
  }

  #forgetShareable(link: LinkId): void {
    this.#shareable.delete(link);
    if (this.#shareable.size === 0) this.#busy = undefined;
  }

  #setPart(id: LinkId, part: LinkPart): void {
    const link = this.#links.get(id);
    if (!(link instanceof UdpLink)) return;
    link.setPart(part);
    this.polls.changed(link);
  }

  #letGo(members: IdMap<Pump>, id: number, ticket: number): void {
    const member = members.get(id);
    members.delete(id);
    if (member !== undefined) {
      member.letGo();
      this.polls.remove(member);
      if (member instanceof DevicePump) this.#pumps.splice(this.#pumps.indexOf(member), 1);
    }
    this.#options.report({ type: 'let-go', ticket });
  }
}

/** A word that has come from the other thread, as the one that this thread's code compares it with: V8 then compares addresses. */
function literal<T extends string>(word: T): T {
  return Object.keys({ [word]: 0 })[0] as T;
}

/** The words among a peer's settings. */
function literals({ compression, decompress }: Partial<PeerSettings>): Partial<PeerSettings> {
  return {
    ...(compression === undefined ? {} : { compression: literal(compression) }),
    ...(decompress === undefined ? {} : { decompress: literal(decompress) }),
  };
}
