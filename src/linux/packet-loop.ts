// The data worker's loop: poll(2) over the eventfd, the devices and the links; packets straight through the arena into
// the engine (data/plane-core.ts) and out again. An idle tunnel causes no wake-ups: the only timeout is the engine's
// next deadline. Nothing here returns to Node's event loop until the end, so messages are fetched by hand.

import { clearPeerCounters } from '../data/counters.ts';
import { DEVICE_QUEUE_PACKETS } from '../data/device-queue.ts';
import type { DeviceId, DeviceOptions, LinkId, LinkOptions, PeerSettings, PlaneEvent } from '../data/plane.ts';
import type { PlaneCore, PlaneIo } from '../data/plane-core.ts';
import { bootMs } from './clock.ts';
import { Credit } from './credit.ts';
import { DevicePump } from './device-pump.ts';
import { Errno, hostError } from './errno.ts';
import { Handovers } from './handovers.ts';
import { errno, libc, nativeBytes } from './libc.ts';
import { DEVICE_ERROR, LINK_ERROR, type Pump, type PumpContext } from './link-io.ts';
import { MemoryDevice } from './memory-device.ts';
import { Outbox } from './outbox.ts';
import type { PacketMemory } from './packet-memory.ts';
import { POLLIN, type Pollable, PollSet } from './poll-set.ts';
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
  readonly createCore: (io: PlaneIo, nowMs: number) => PlaneCore;
  readonly control: Int32Array;
  readonly counters: Float64Array;
  readonly wakeFd: number;
  readonly others: WorkerStart['others'];
  /** The next call of the main thread, or undefined when there is none now. */
  readonly nextCall: () => WorkerCall | undefined;
  readonly report: (report: WorkerReport) => void;
}

const LONGEST_POLL_MS = 0x7fffffff;

export class PacketLoop {
  readonly #options: PacketLoopOptions;
  readonly #core: PlaneCore;
  readonly #polls = new PollSet();
  readonly #devices = new Map<DeviceId, DevicePump | MemoryDevice>();
  readonly #memoryDevices = new Map<DeviceId, MemoryDevice>();
  readonly #links = new Map<LinkId, UdpLink | TcpLink>();
  readonly #listeners = new Map<LinkId, TcpListener>();
  readonly #accepted = new Credit(ACCEPTED_STREAMS_MAX);
  /** What lies between the worker and the readers of all its devices in memory. */
  readonly #unread = new Credit(DEVICE_QUEUE_PACKETS);
  readonly #outbox: Outbox;
  readonly #handovers: Handovers;
  readonly #context: PumpContext;
  readonly #calls: WorkerCalls;
  #nowMs = bootMs();
  #callsTaken = 0;
  #pathTold: string | undefined;
  readonly #counted = { taken: 0, takenAccepted: 0, deviceRead: 0 };

  constructor(options: PacketLoopOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.memory);
    this.#handovers = new Handovers(options, options.memory, this.#outbox);
    const io: PlaneIo = {
      sendLink: (link, address, offset, length, trafficClass) => {
        const found = this.#links.get(link);
        if (found === undefined) return LINK_ERROR;
        return found instanceof UdpLink
          ? found.send(address, offset, length, trafficClass)
          : found.send(offset, length, trafficClass);
      },
      writeDevice: (device, offset, length, inner) =>
        this.#devices.get(device)?.write(offset, length, inner) ?? DEVICE_ERROR,
      handOver: this.#handovers.handOver,
    };
    const core = options.createCore(io, this.#nowMs);
    this.#core = core;
    this.#context = {
      core,
      memory: options.memory,
      outbox: this.#outbox,
      polls: this.#polls,
      nowMs: () => this.#nowMs,
      counters: options.counters,
      takeCalls: () => this.#takeCalls(),
      tellPath: () => this.#tellPath(),
    };
    this.#calls = this.#answerCalls(core);
    this.#polls.add(this.#wakeUp());
  }

  /** Runs until the exit flag is set, and wipes the keys. */
  run(): void {
    const { control } = this.#options;
    this.#options.report({ type: 'ready' });
    while (Atomics.load(control, ControlWord.exit) === 0) {
      this.#takeCredits();
      this.#handovers.look();
      this.#takeCalls();
      this.#handovers.takeAll(this.#core);
      if (this.#core.nextDeadlineMs() <= this.#nowMs) this.#core.handleTick(this.#nowMs);
      for (const listener of this.#listeners.values()) listener.resume(this.#nowMs);
      for (const device of this.#devices.values()) if (device instanceof DevicePump) device.resume(this.#nowMs);
      this.#outbox.flush();
      this.#reportEvents();
      this.#wait();
    }
    this.#outbox.flush();
    this.#closeAccepted();
    this.#core.close();
  }

  /** Streams that nobody will hear of. */
  #closeAccepted(): void {
    for (let event = this.#core.pollEvent(); event !== undefined; event = this.#core.pollEvent()) {
      if (event.type === 'accepted') libc.close(event.fd);
    }
  }

  #deadlineMs(): number {
    let deadlineMs = this.#core.nextDeadlineMs();
    for (const { resumeAtMs } of this.#listeners.values()) deadlineMs = Math.min(deadlineMs, resumeAtMs);
    for (const device of this.#devices.values()) {
      if (device instanceof DevicePump) deadlineMs = Math.min(deadlineMs, device.resumeAtMs);
    }
    return deadlineMs;
  }

  #wait(): void {
    const { address, count } = this.#polls;
    const { control } = this.#options;
    const deadlineMs = this.#deadlineMs();
    // First asleep, then the look for news: news that this look misses finds the worker asleep and wakes it.
    Atomics.store(control, ControlWord.asleep, 1);
    // This turn's time will do: a turn is short.
    const leftMs =
      deadlineMs === Infinity ? -1 : Math.min(Math.max(0, Math.ceil(deadlineMs - this.#nowMs)), LONGEST_POLL_MS);
    const ready = libc.poll(address, count, this.#hasNews() ? 0 : leftMs);
    Atomics.store(control, ControlWord.asleep, 0);
    if (ready < 0) {
      const number = errno();
      if (number !== Errno.EINTR) throw hostError('The data plane cannot poll', number);
    }
    this.#nowMs = bootMs();
    this.#core.setNow(this.#nowMs);
    this.#takeCredits();
    if (ready > 0) this.#polls.dispatch(ready);
  }

  /** Whether the main thread has said anything, by a call or by a credit, or another worker, that was not taken yet. */
  #hasNews(): boolean {
    const { control } = this.#options;
    return (
      Atomics.load(control, ControlWord.exit) !== 0 ||
      Atomics.load(control, ControlWord.calls) !== this.#callsTaken ||
      Atomics.load(control, ControlWord.taken) !== this.#counted.taken ||
      Atomics.load(control, ControlWord.takenAccepted) !== this.#counted.takenAccepted ||
      Atomics.load(control, ControlWord.deviceRead) !== this.#counted.deviceRead ||
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
        this.#takeCalls();
      },
    };
  }

  #takeCalls(): void {
    const made = Atomics.load(this.#options.control, ControlWord.calls);
    if (made === this.#callsTaken) return;
    this.#callsTaken = made;
    for (let call = this.#options.nextCall(); call !== undefined; call = this.#options.nextCall()) {
      const [name, ...values] = call;
      // The tuple type pairs each name with its own arguments; the compiler cannot follow that through a look-up.
      (this.#calls[name] as (...values: unknown[]) => void)(...values);
    }
  }

  /** What the main thread has worked off since the last look gives lanes, listeners and devices that much room again. */
  #takeCredits(): void {
    this.#core.handleTaken(this.#credits('taken'));
    this.#accepted.handleTaken(this.#credits('takenAccepted'));
    this.#unread.handleTaken(this.#credits('deviceRead'));
  }

  /** Tells of the path if it is another than was told of. */
  #tellPath(): void {
    const paths = new Set([...this.#links.values(), ...this.#devices.values()].map(({ path }) => path));
    const text = [...paths].join(', ');
    if (text === this.#pathTold) return;
    this.#pathTold = text;
    this.#core.report({ type: 'data-path', text });
  }

  #credits(word: 'taken' | 'takenAccepted' | 'deviceRead'): number {
    const count = Atomics.load(this.#options.control, ControlWord[word]);
    const more = (count - this.#counted[word]) | 0;
    this.#counted[word] = count;
    return more;
  }

  #reportEvents(): void {
    for (const [device, member] of this.#memoryDevices) {
      const packets = member.takeWritten();
      if (packets.length > 0) this.#options.report({ type: 'device-packets', device, packets });
    }
    const first = this.#core.pollEvent();
    if (first === undefined) return;
    const events: PlaneEvent[] = [];
    for (let event: PlaneEvent | undefined = first; event !== undefined; event = this.#core.pollEvent())
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
        const listener = new TcpListener(id, fd, this.#context, this.#accepted);
        this.#listeners.set(id, listener);
        this.#polls.add(listener);
      },
      removeLink: (id, ticket) => {
        if (this.#listeners.has(id)) this.#letGo(this.#listeners, id, ticket);
        else {
          core.removeLink(id);
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
        if (this.#pathTold === undefined) this.#tellPath();
      },
      removeKey: (peer, id) => core.removeKey(peer, id),
      sendInBand: (peer, bytes) => core.sendInBand(peer, bytes),
      answerFloat: (peer, address, accept) => core.answerFloat(peer, address, accept),
      answerAddress: (peer, address, accept) => core.answerAddress(peer, address, accept),
      forgetIdleAddresses: (device, idleMs) => core.forgetIdleAddresses(device, idleMs),
    };
  }

  #addDevice(id: DeviceId, options: DeviceOptions, reads: boolean): void {
    this.#core.addDevice(id, { ...options, layer: literal(options.layer) });
    const { endpoint } = options;
    if (endpoint.kind === 'memory') {
      const device = new MemoryDevice(id, this.#context, this.#unread);
      this.#devices.set(id, device);
      this.#memoryDevices.set(id, device);
      return;
    }
    const pump = new DevicePump(id, endpoint.fd, endpoint.offload ?? 'none', this.#context, reads);
    this.#devices.set(id, pump);
    this.#polls.add(pump);
  }

  #addLink(id: LinkId, options: LinkOptions, part: LinkPart): void {
    this.#core.addLink(id, options);
    if (part === 'none') return;
    const fd = options.endpoint.kind === 'fd' ? options.endpoint.fd : -1; // the main thread lets no other kind through
    const link =
      options.framing === 'tcp'
        ? new TcpLink(id, fd, options, this.#context)
        : new UdpLink(id, fd, options, this.#context, part);
    this.#links.set(id, link);
    this.#polls.add(link);
    if (link instanceof TcpLink && options.readAhead !== undefined) link.handleReadAhead(options.readAhead);
  }

  #letGo(members: Map<number, Pump>, id: number, ticket: number): void {
    const member = members.get(id);
    members.delete(id);
    if (member !== undefined) {
      member.letGo();
      this.#polls.remove(member);
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
