// The main thread's side of the worker plane: it chooses ids, says which worker owns what, sends calls, hands reports to the
// listener, reads the counters in shared memory, and above all ends the workers (worker-thread.ts).
//
// Several workers. Each knows all devices, links and peers; each direction of a peer has one that owns it (data/handover.ts,
// worker-places.ts). A call goes to all that need it, to whoever opens before whoever seals: what a peer answers to a packet
// under a new key is read by a worker that has been told of the key.
//
// Dividing. A second thread costs more than it saves where it takes a processor from the programs that the packets are for. So
// one worker moves both directions of a client until it says that it has no time left, and a processor has: then
// another one goes on opening where it stopped. What comes meanwhile waits in the socket, as long as that has room.
//
// Being alive. A plane with a link, a device or an unfinished call keeps the process running, like an open socket; an
// empty plane does not. A plane must be made on the process's main thread: worker.terminate() runs no 'exit' hook.

import type { Worker } from 'node:worker_threads';
import {
  CounterSlots,
  readPeerStatistics,
  readPlaneStatistics,
  sumPeerStatistics,
  sumPlaneStatistics,
} from '../data/counters.ts';
import { type LaneCapacity, takesRoom } from '../data/event-lanes.ts';
import type { Opening } from '../data/opening.ts';
import type {
  DataPlane,
  DeviceChange,
  DeviceId,
  DeviceOptions,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  ListenerOptions,
  MemoryDeviceEnd,
  PeerHandle,
  PeerOptions,
  PeerSettings,
  PeerStatistics,
  PlaneCapabilities,
  PlaneEvent,
  PlaneListener,
  PlaneStatistics,
} from '../data/plane.ts';
import { SHARED_USAGE_BYTES } from '../data/usage-limits.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { DeviceEnds, joinDeviceEnds } from './device-ends.ts';
import { createRingMemory } from './handover-ring.ts';
import { libc } from './libc.ts';
import { movableMaterial, requireAlgorithms } from './moved-key.ts';
import { openSpareProcessors, type SpareProcessors } from './spare-processors.ts';
import { Tickets } from './tickets.ts';
import { workerCapabilities } from './worker-capabilities.ts';
import { ControlWord, type WorkerCall, type WorkerReport, type WorkerStart } from './worker-messages.ts';
import { WorkerNews } from './worker-news.ts';
import { WorkerPlaces } from './worker-places.ts';
import { WorkerThread } from './worker-thread.ts';

export interface WorkerPlaneOptions {
  /** The built data-worker.js. */
  readonly workerUrl: URL;
  /** That worker, started ahead so that it loads while the main thread is busy; used once. */
  readonly worker?: Worker | undefined;
  readonly listener: PlaneListener;
  /** Control packets on their way to the listener at most, in each lane; a full lane drops and counts. By `peerSlots` when absent. */
  readonly laneCapacity?: LaneCapacity;
  /** How many peers can live at once. */
  readonly peerSlots?: number;
  /** How many threads move packets, WORKERS_MAX at most; 1 when absent. */
  readonly workers?: number;
  /** Count where the workers' time goes, which costs some of it; false when absent. */
  readonly measure?: boolean;
  /** Whether the process is the tunnel's alone, whose V8 the workers may set up for themselves; false when absent. */
  readonly hasProcess?: boolean | undefined;
  /** What nobody uses of this machine's processors; looked at when absent. */
  readonly spareProcessors?: SpareProcessors | undefined;
  /** Node options of the worker, for tests that run it from source. */
  readonly execArgv?: readonly string[];
}

/** The data plane on threads of its own. Calls made before they are ready are carried out in order when they are. */
export interface WorkerPlane extends DataPlane {
  /** The workers run. Rejects when one could not start; `plane-failed` tells the same. */
  readonly ready: Promise<void>;
  /** Has another worker open what comes over this link, where one could (`data-path` tells); by itself the plane waits for the need. */
  divide(link: LinkId): void;
}

/** Every two workers share two rings. */
const WORKERS_MAX = 16;
const DEFAULT_PEER_SLOTS = 64;
/** Links that have no peer yet, or no longer. */
const SPARE_LINKS = 64;
/** Of one peer, at the same time. */
const MAX_KEYS = 4;
/** Fewer idle processors leave a second worker none of its own, with what it costs the kernel. */
const SPARE_PROCESSORS = 0.5;

/** Starts the workers at once. Throws HostError when the machine gives no eventfd. */
export function createWorkerPlane(options: WorkerPlaneOptions): WorkerPlane {
  return new WorkerDataPlane(options);
}

/** Room for one packet of each peer where all move at once; a packet is some hundred bytes, 4 KiB at most. */
function lanesFor(peerSlots: number): LaneCapacity {
  const within = (least: number, most: number) => Math.min(Math.max(peerSlots, least), most);
  return { known: within(256, 4096), unknown: within(64, 1024), perPeer: 64 };
}

interface PlanePeer {
  readonly slot: number;
  readonly keys: Set<number>;
  /** Who needs its keys, and who of them seals. */
  readonly holders: readonly WorkerThread[];
  readonly seals: WorkerThread;
}

class WorkerDataPlane implements WorkerPlane {
  readonly ready: Promise<void>;
  readonly #listener: PlaneListener;
  readonly #slots: CounterSlots;
  readonly #linkSlots: number;
  readonly #threads: readonly WorkerThread[];
  readonly #places: WorkerPlaces;
  readonly #ended: Promise<void>;
  /** What lives: devices and links by id, peers with their place in the counters and their keys. */
  readonly #devices = new Set<number>();
  readonly #links = new Set<number>();
  readonly #peers = new Map<PeerHandle, PlanePeer>();
  readonly #tickets = new Tickets();
  readonly #news = new WorkerNews();
  readonly #listeners = new Set<number>();
  /** Of each worker. */
  readonly #deviceEnds: readonly DeviceEnds[];
  /** Opened when a link is the first that could be divided. */
  #spareProcessors: SpareProcessors | undefined;
  #path: Extract<PlaneEvent, { type: 'data-path' }> | undefined;
  #capabilities: PlaneCapabilities | undefined;
  #nextId = 1;
  #state: 'starting' | 'running' | 'closing' | 'ended' = 'starting';

  constructor(options: WorkerPlaneOptions) {
    const { peerSlots = DEFAULT_PEER_SLOTS, workers = 1 } = options;
    if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX) {
      throw new RangeError(`a plane has 1 to ${WORKERS_MAX} workers, not ${workers}`);
    }
    this.#linkSlots = peerSlots + SPARE_LINKS;
    this.#spareProcessors = options.spareProcessors;
    this.#listener = options.listener;
    this.#slots = new CounterSlots(peerSlots);
    this.#places = new WorkerPlaces(workers);
    let notReady = workers;
    let handleReady: () => void;
    let handleFailure: (error: Error) => void;
    this.ready = new Promise((resolve, reject) => {
      handleReady = resolve;
      handleFailure = reject;
    });
    this.ready.catch(() => undefined); // whoever does not wait for it hears of it by plane-failed
    this.#threads = Array.from({ length: workers }, (_, index) => {
      const thread: WorkerThread = new WorkerThread({
        workerUrl: options.workerUrl,
        worker: index === 0 ? options.worker : undefined,
        execArgv: options.execArgv,
        peerSlots,
        handleReport: (report) => {
          if (report.type === 'ready' && --notReady === 0) {
            if (this.#state === 'starting') this.#state = 'running';
            handleReady();
          }
          this.#handleReport(thread, index, report);
        },
        handleEnd: (text) => {
          handleFailure(new Error(text));
          this.#handleEnd(text);
        },
      });
      return thread;
    });
    this.#ended = Promise.all(this.#threads.map(({ ended }) => ended)).then(() => {
      this.#state = 'ended';
      for (const thread of this.#threads) thread.release();
      this.#spareProcessors?.close();
      this.#tickets.returnAll();
    });
    this.#deviceEnds = this.#threads.map(
      (thread) =>
        new DeviceEnds(thread.control, thread.counters, (device, packet) =>
          this.#call(thread, ['writeDevice', device, packet]),
        ),
    );
    const { laneCapacity = lanesFor(peerSlots), measure = false, hasProcess = false } = options;
    this.#startThreads({ laneCapacity, peerSlots, measure, hasProcess });
  }

  #startThreads(settings: Pick<WorkerStart, 'laneCapacity' | 'peerSlots' | 'measure' | 'hasProcess'>): void {
    const threads = this.#threads;
    const rings = threads.map((_, from) => threads.map((_, to) => (from === to ? undefined : createRingMemory())));
    for (const [index, { control, counters, wakeFd }] of threads.entries()) {
      threads[index]!.start({
        control: control.buffer,
        counters: counters.buffer,
        ...settings,
        linkSlots: this.#linkSlots,
        wakeFd,
        index,
        others: threads.map((other, place) => {
          const [to, from] = [rings[index]?.[place], rings[place]?.[index]];
          return to && from && { control: other.control.buffer, wakeFd: other.wakeFd, to, from };
        }),
      });
    }
  }

  get capabilities(): PlaneCapabilities {
    this.#capabilities ??= workerCapabilities();
    return this.#capabilities;
  }

  addDevice(options: DeviceOptions): DeviceId {
    const id = this.#nextId++;
    const { endpoint } = options;
    this.#devices.add(id);
    if (endpoint.kind === 'memory') for (const ends of this.#deviceEnds) ends.add(id);
    const parts = this.#places.addDevice(id, options);
    for (const [index, thread] of this.#threads.entries()) {
      const { fd, reads } = parts[index]!;
      const own = endpoint.kind === 'memory' ? endpoint : { kind: 'fd' as const, fd, offload: endpoint.offload };
      this.#call(thread, ['addDevice', id, { ...options, endpoint: own }, reads]);
    }
    return id;
  }

  setDevice(device: DeviceId, change: DeviceChange): void {
    requireLive(this.#devices.has(device), 'device', device);
    this.#callAll(['setDevice', device, change]);
  }

  removeDevice(device: DeviceId): Promise<void> {
    requireLive(this.#devices.delete(device), 'device', device);
    this.#places.removeDevice(device);
    for (const ends of this.#deviceEnds) ends.remove(device);
    return this.#callAndWait(this.#threads, (ticket) => ['removeDevice', device, ticket]);
  }

  deviceEnd(device: DeviceId): MemoryDeviceEnd {
    return joinDeviceEnds(this.#deviceEnds.map((ends) => ends.end(device)));
  }

  addListener({ endpoint }: ListenerOptions): LinkId {
    if (endpoint.kind !== 'fd') throw new TypeError('a listener of the worker plane is an fd');
    const id = this.#nextId++;
    this.#listeners.add(id);
    this.#call(this.#first, ['addListener', id, endpoint.fd]);
    return id;
  }

  addLink(options: LinkOptions): LinkId {
    const { endpoint } = options;
    if (endpoint.kind !== 'fd') throw new TypeError('a link of the worker plane is an fd');
    if (this.#links.size >= this.#linkSlots) throw new RangeError('the plane holds no more links');
    const id = this.#nextId++;
    this.#links.add(id);
    const parts = this.#places.addLink(id, options, endpoint);
    for (const [index, thread] of this.#threads.entries()) {
      const { fd, part } = parts[index]!;
      const own = { ...options, endpoint: { kind: 'fd' as const, fd } };
      this.#call(thread, ['addLink', id, part === 'none' ? { ...own, readAhead: undefined } : own, part]);
    }
    if (this.#places.divisible().length > 0) this.#spareProcessors ??= openSpareProcessors();
    return id;
  }

  divide(link: LinkId): void {
    requireLive(this.#links.has(link), 'link', link);
    if (!this.#places.divisible().includes(link)) return;
    const { gives, takes } = this.#places.divide(link);
    this.#call(this.#threads[gives]!, ['giveOpening', link, takes]);
  }

  removeLink(link: LinkId): Promise<void> {
    if (this.#listeners.delete(link)) return this.#callAndWait([this.#first], (ticket) => ['removeLink', link, ticket]);
    requireLive(this.#links.delete(link), 'link', link);
    this.#places.removeLink(link);
    return this.#callAndWait(this.#threads, (ticket) => ['removeLink', link, ticket]);
  }

  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void {
    requireLive(this.#links.has(link), 'link', link);
    this.#call(this.#threads[this.#places.controlWorker(link)]!, ['sendControl', link, address, bytes]);
  }

  addPeer(options: PeerOptions): PeerHandle {
    requireLive(this.#devices.has(options.device), 'device', options.device);
    requireLive(this.#links.has(options.link), 'link', options.link);
    const slot = this.#slots.take();
    const id = this.#nextId++;
    const owners = this.#places.ownersOf(options);
    const holders = this.#places.keyHolders(owners, options.link).map((worker) => this.#threads[worker]!);
    this.#peers.set(id, { slot, keys: new Set(), holders, seals: this.#threads[owners.seals]! });
    this.#callAll(['addPeer', id, slot, options, owners]);
    return id;
  }

  setPeer(peer: PeerHandle, change: Partial<PeerSettings>): void {
    this.#peer(peer);
    this.#callAll(['setPeer', peer, change]);
  }

  removePeer(peer: PeerHandle): void {
    const { slot, keys } = this.#peer(peer);
    this.#peers.delete(peer);
    for (const key of keys) this.#news.forgetKey(key);
    void this.#callAndWait(this.#threads, (ticket) => ['removePeer', peer, slot, ticket]).then(() =>
      this.#slots.give(slot),
    );
  }

  addKey(peer: PeerHandle, options: KeyOptions): KeyHandle {
    const { keys, holders } = this.#peer(peer);
    requireAlgorithms(options);
    if (keys.size >= MAX_KEYS) throw new RangeError(`peer ${peer} has ${MAX_KEYS} keys already`);
    const id = this.#nextId++;
    keys.add(id);
    const counts = holders.length > 1 ? new Float64Array(new SharedArrayBuffer(SHARED_USAGE_BYTES)) : undefined;
    for (const [place, thread] of holders.entries()) {
      const { material, buffers } = movableMaterial(options.material);
      const usage = counts && { counts, place: place === 0 ? (0 as const) : (1 as const) };
      this.#call(thread, ['addKey', peer, id, { ...options, material }, usage], buffers);
    }
    return id;
  }

  useKey(peer: PeerHandle, key: KeyHandle): void {
    const { keys, seals } = this.#peer(peer);
    requireLive(keys.has(key), 'key', key);
    this.#call(seals, ['useKey', peer, key]);
    // On a new link the packets may go another way than on the one before.
    queueMicrotask(() => this.#tellPath());
  }

  removeKey(peer: PeerHandle, key: KeyHandle): void {
    const { keys, holders } = this.#peer(peer);
    requireLive(keys.delete(key), 'key', key);
    this.#news.forgetKey(key);
    for (const thread of holders) this.#call(thread, ['removeKey', peer, key]);
  }

  sendInBand(peer: PeerHandle, bytes: Uint8Array): void {
    this.#call(this.#peer(peer).seals, ['sendInBand', peer, bytes]);
  }

  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void {
    this.#peer(peer);
    this.#callAll(['answerFloat', peer, address, accept]);
  }

  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void {
    this.#peer(peer);
    this.#call(this.#first, ['answerAddress', peer, address, accept]);
  }

  forgetIdleAddresses(device: DeviceId, idleMs: number): void {
    requireLive(this.#devices.has(device), 'device', device);
    this.#call(this.#first, ['forgetIdleAddresses', device, idleMs]);
  }

  peerStatistics(peer: PeerHandle): PeerStatistics {
    const { slot } = this.#peer(peer);
    return sumPeerStatistics(this.#threads.map(({ counters }) => readPeerStatistics(counters, slot)));
  }

  statistics(): PlaneStatistics {
    return sumPlaneStatistics(this.#threads.map(({ counters }) => readPlaneStatistics(counters)));
  }

  close(): Promise<void> {
    if (this.#state !== 'ended') {
      this.#state = 'closing';
      for (const thread of this.#threads) {
        thread.holdProcess(true);
        thread.end();
      }
    }
    return this.#ended;
  }

  /** Nothing is asked of the workers any more, and nobody hears of them. */
  get #isOver(): boolean {
    return this.#state === 'closing' || this.#state === 'ended';
  }

  get #first(): WorkerThread {
    return this.#threads[0]!;
  }

  #peer(peer: PeerHandle): PlanePeer {
    const found = this.#peers.get(peer);
    if (found === undefined) throw new RangeError(`the plane has no peer ${peer}`);
    return found;
  }

  #call(thread: WorkerThread, call: WorkerCall, moved: readonly ArrayBuffer[] = []): void {
    if (this.#isOver) return;
    thread.call(call, moved);
    this.#holdProcess();
  }

  #callAll(call: WorkerCall): void {
    if (this.#isOver) return;
    for (const thread of this.#threads) thread.call(call);
    this.#holdProcess();
  }

  #callAndWait(threads: readonly WorkerThread[], callWith: (ticket: number) => WorkerCall): Promise<void> {
    if (this.#isOver) return this.#ended;
    const ticket = this.#nextId++;
    const returned = this.#tickets.issue(ticket, threads.length);
    for (const thread of threads) this.#call(thread, callWith(ticket));
    return returned;
  }

  #holdProcess(): void {
    const busy = [this.#devices, this.#links, this.#listeners, this.#tickets].some(({ size }) => size > 0);
    const holds = busy || this.#state === 'starting' || this.#state === 'closing';
    for (const thread of this.#threads) thread.holdProcess(holds);
  }

  #handleReport(thread: WorkerThread, index: number, report: WorkerReport): void {
    switch (report.type) {
      case 'ready':
        break;
      case 'let-go':
        this.#tickets.handleReturned(report.ticket);
        break;
      case 'events':
        for (const event of report.events) this.#handleEvent(thread, event);
        // The engine gives out a few packets at a time and waits for room.
        thread.wakeSleeper();
        return;
      case 'device-packets':
        this.#deviceEnds[index]!.handlePackets(report.device, report.packets);
        return;
      case 'busy':
        this.#handleBusy();
        return;
      case 'opening-given':
        this.#handleGiven(report.link, report.openings);
        return;
      default:
        report satisfies never;
    }
    this.#holdProcess();
  }

  #handleBusy(): void {
    const spare = this.#spareProcessors === undefined ? 1 : this.#spareProcessors.look(performance.now());
    if (spare === undefined || spare < SPARE_PROCESSORS) return;
    for (const link of this.#places.divisible()) this.divide(link);
  }

  #handleGiven(link: LinkId, openings: readonly Opening[]): void {
    const takes = this.#places.handleGiven(link);
    if (takes === undefined) return;
    this.#call(this.#threads[takes]!, ['takeOpening', link, openings]);
    this.#tellPath();
  }

  #tellPath(): void {
    if (this.#path !== undefined && !this.#isOver) this.#tell(this.#path);
  }

  #handleEvent({ control }: WorkerThread, event: PlaneEvent): void {
    if (event.type === 'accepted') {
      Atomics.add(control, ControlWord.takenAccepted, 1);
      // Nobody waits for it any more: the listener was removed meanwhile, or the plane is about to end.
      if (this.#state !== 'running' || !this.#listeners.has(event.listener)) {
        libc.close(event.fd);
        return;
      }
    }
    if (!this.#isOver) this.#tell(event);
    if (takesRoom(event)) Atomics.add(control, ControlWord.taken, 1);
  }

  #tell(event: PlaneEvent): void {
    if (event.type === 'data-path') {
      this.#path = event;
      const text = [event.text, ...this.#places.words()].join(', ');
      if (this.#news.isNewPath(text)) this.#listener({ type: 'data-path', text });
    } else if (this.#threads.length === 1 || this.#isNews(event)) this.#listener(event);
  }

  #isNews(event: PlaneEvent): boolean {
    const lives = event.type !== 'key-used-up' || this.#peers.get(event.peer)?.keys.has(event.key) === true;
    return lives && this.#news.isNews(event, performance.now());
  }

  /** A worker has ended. One that was not told to takes the plane with it. */
  #handleEnd(failure: string): void {
    if (this.#isOver) return;
    this.#state = 'ended';
    for (const thread of this.#threads) thread.end();
    this.#listener({ type: 'plane-failed', text: failure });
  }
}

function requireLive(alive: boolean, what: string, id: number): void {
  if (!alive) throw new RangeError(`the plane has no ${what} ${id}`);
}
