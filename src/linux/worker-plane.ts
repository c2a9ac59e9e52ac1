// The main thread's side of the worker plane: it chooses ids, sends calls, hands reports to the listener, reads the
// counters in shared memory, and above all ends the worker.
//
// The ending. A worker blocked in poll(2) cannot be terminated: process.exit(), an uncaught exception and the natural end
// of the program would all wait for it for ever. So each of them runs the one 'exit' hook of this file, which sets the
// exit flag in shared memory and wakes the worker by its eventfd; the worker tests the flag after every poll.
//
// Being alive. A plane with a link, a device or an unfinished call keeps the process running, like an open socket; an
// empty plane does not. A plane must be made on the process's main thread: worker.terminate() runs no 'exit' hook.

import { Worker } from 'node:worker_threads';
import type { DataKeyMaterial, DirectionKey } from '../crypto/data-keys.ts';
import { CounterSlots, countersByteLength, readPeerStatistics, readPlaneStatistics } from '../data/counters.ts';
import { isAeadCipher } from '../data/data-key.ts';
import { type LaneCapacity, takesRoom } from '../data/event-lanes.ts';
import type {
  DataPlane,
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
import { messageOf } from '../error.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { DeviceEnds } from './device-ends.ts';
import { checked } from './errno.ts';
import { libc, nativeBytes } from './libc.ts';
import { availableCiphers, availableDigests } from './openssl.ts';
import { workerCapabilities } from './worker-capabilities.ts';
import {
  CONTROL_WORDS_BYTES,
  ControlWord,
  type WorkerCall,
  type WorkerReport,
  type WorkerStart,
} from './worker-messages.ts';

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
  /** Node options of the worker, for tests that run it from source. */
  readonly execArgv?: readonly string[];
}

/** The data plane on a thread of its own. Calls made before it is ready are carried out in order when it is. */
export interface WorkerPlane extends DataPlane {
  /** The worker runs. Rejects when it could not start; `plane-failed` tells the same. */
  readonly ready: Promise<void>;
}

const DEFAULT_PEER_SLOTS = 64;
/** Links that have no peer yet, or no longer. */
const SPARE_LINKS = 64;
/** How long the end of the process waits for the worker; it takes one turn of its loop. */
const LONGEST_LEAVING_MS = 1000;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;

/** Starts the worker at once. Throws HostError when the machine gives no eventfd. */
export function createWorkerPlane(options: WorkerPlaneOptions): WorkerPlane {
  return new WorkerDataPlane(options);
}

/** Room for one packet of each peer where all move at once; a packet is some hundred bytes, 4 KiB at most. */
function lanesFor(peerSlots: number): LaneCapacity {
  const within = (least: number, most: number) => Math.min(Math.max(peerSlots, least), most);
  return { known: within(256, 4096), unknown: within(64, 1024), perPeer: 64 };
}

function startWorker({ workerUrl, execArgv }: WorkerPlaneOptions): Worker {
  return new Worker(workerUrl, {
    name: 'sallyport-data',
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
}

class WorkerDataPlane implements WorkerPlane {
  readonly ready: Promise<void>;
  readonly #listener: PlaneListener;
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS_BYTES));
  readonly #counters: Float64Array;
  readonly #slots: CounterSlots;
  readonly #linkSlots: number;
  readonly #wakeFd: number;
  readonly #one = nativeBytes(64);
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  /** The process may go only once the worker has left native code: ended inside, it would abort the process. */
  readonly #endByExit = (): void => {
    this.#end();
    Atomics.wait(this.#control, ControlWord.inside, 1, LONGEST_LEAVING_MS);
  };
  /** What lives: devices and links by id, peers with their place in the counters and their keys. */
  readonly #devices = new Set<number>();
  readonly #links = new Set<number>();
  readonly #peers = new Map<PeerHandle, { slot: number; keys: Set<number> }>();
  readonly #tickets = new Map<number, () => void>();
  readonly #listeners = new Set<number>();
  readonly #deviceEnds: DeviceEnds;
  #capabilities: PlaneCapabilities | undefined;
  #nextId = 1;
  #state: 'starting' | 'running' | 'closing' | 'ended' = 'starting';

  constructor(options: WorkerPlaneOptions) {
    const peerSlots = options.peerSlots ?? DEFAULT_PEER_SLOTS;
    this.#linkSlots = peerSlots + SPARE_LINKS;
    this.#listener = options.listener;
    this.#slots = new CounterSlots(peerSlots);
    this.#counters = new Float64Array(new SharedArrayBuffer(countersByteLength(peerSlots)));
    this.#deviceEnds = new DeviceEnds(this.#control, this.#counters, (device, packet) =>
      this.#call(['writeDevice', device, packet]),
    );
    this.#one.view.setUint32(0, 1, true);
    this.#wakeFd = checked(libc.eventfd(0, EFD_NONBLOCK_CLOEXEC), 'Cannot make an eventfd');
    const start: WorkerStart = {
      control: this.#control.buffer as SharedArrayBuffer,
      counters: this.#counters.buffer as SharedArrayBuffer,
      peerSlots,
      linkSlots: this.#linkSlots,
      laneCapacity: options.laneCapacity ?? lanesFor(peerSlots),
      wakeFd: this.#wakeFd,
    };
    this.#worker = options.worker ?? startWorker(options);
    this.#worker.ref();
    this.#worker.postMessage(start);
    holdExitHook(this.#endByExit);
    let failure = 'the data worker ended by itself';
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#handleEnd(failure);
        resolve();
      });
    });
    this.#worker.on('error', (error) => {
      failure = `the data worker failed: ${messageOf(error)}`;
    });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (report: WorkerReport) => {
        if (report.type === 'ready') resolve();
        this.#handleReport(report);
      });
      void this.#ended.then(() => reject(new Error(failure)));
    });
    this.ready.catch(() => undefined); // whoever does not wait for it hears of it by plane-failed
  }

  get capabilities(): PlaneCapabilities {
    this.#capabilities ??= workerCapabilities();
    return this.#capabilities;
  }

  addDevice(options: DeviceOptions): DeviceId {
    const id = this.#nextId++;
    this.#devices.add(id);
    if (options.endpoint.kind === 'memory') this.#deviceEnds.add(id);
    this.#call(['addDevice', id, options]);
    return id;
  }

  setDevice(device: DeviceId, change: { mtuBytes?: number; blockIpv6?: boolean }): void {
    requireLive(this.#devices.has(device), 'device', device);
    this.#call(['setDevice', device, change]);
  }

  removeDevice(device: DeviceId): Promise<void> {
    requireLive(this.#devices.delete(device), 'device', device);
    this.#deviceEnds.remove(device);
    return this.#callAndWait((ticket) => ['removeDevice', device, ticket]);
  }

  deviceEnd(device: DeviceId): MemoryDeviceEnd {
    return this.#deviceEnds.end(device);
  }

  addListener({ endpoint }: ListenerOptions): LinkId {
    if (endpoint.kind !== 'fd') throw new TypeError('a listener of the worker plane is an fd');
    const id = this.#nextId++;
    this.#listeners.add(id);
    this.#call(['addListener', id, endpoint.fd]);
    return id;
  }

  addLink(options: LinkOptions): LinkId {
    if (options.endpoint.kind !== 'fd') throw new TypeError('a link of the worker plane is an fd');
    if (this.#links.size >= this.#linkSlots) throw new RangeError('the plane holds no more links');
    const id = this.#nextId++;
    this.#links.add(id);
    this.#call(['addLink', id, options]);
    return id;
  }

  removeLink(link: LinkId): Promise<void> {
    requireLive(this.#links.delete(link) || this.#listeners.delete(link), 'link', link);
    return this.#callAndWait((ticket) => ['removeLink', link, ticket]);
  }

  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void {
    requireLive(this.#links.has(link), 'link', link);
    this.#call(['sendControl', link, address, bytes]);
  }

  addPeer(options: PeerOptions): PeerHandle {
    requireLive(this.#devices.has(options.device), 'device', options.device);
    requireLive(this.#links.has(options.link), 'link', options.link);
    const slot = this.#slots.take();
    const id = this.#nextId++;
    this.#peers.set(id, { slot, keys: new Set() });
    this.#call(['addPeer', id, slot, options]);
    return id;
  }

  setPeer(peer: PeerHandle, change: Partial<PeerSettings>): void {
    this.#peer(peer);
    this.#call(['setPeer', peer, change]);
  }

  removePeer(peer: PeerHandle): void {
    const { slot } = this.#peer(peer);
    this.#peers.delete(peer);
    void this.#callAndWait((ticket) => ['removePeer', peer, slot, ticket]).then(() => this.#slots.give(slot));
  }

  addKey(peer: PeerHandle, options: KeyOptions): KeyHandle {
    const { keys } = this.#peer(peer);
    requireAlgorithms(options);
    if (keys.size >= MAX_KEYS) throw new RangeError(`peer ${peer} has ${MAX_KEYS} keys already`);
    const id = this.#nextId++;
    keys.add(id);
    // The copy is moved to the worker, which wipes it; no further copy stays behind in a message.
    const material = copyMaterial(options.material);
    const { seal, open } = material;
    const buffers = [seal.cipher.buffer, seal.hmac.buffer, open.cipher.buffer, open.hmac.buffer];
    this.#call(['addKey', peer, id, { ...options, material }], buffers);
    return id;
  }

  useKey(peer: PeerHandle, key: KeyHandle): void {
    requireLive(this.#peer(peer).keys.has(key), 'key', key);
    this.#call(['useKey', peer, key]);
  }

  removeKey(peer: PeerHandle, key: KeyHandle): void {
    requireLive(this.#peer(peer).keys.delete(key), 'key', key);
    this.#call(['removeKey', peer, key]);
  }

  sendInBand(peer: PeerHandle, bytes: Uint8Array): void {
    this.#peer(peer);
    this.#call(['sendInBand', peer, bytes]);
  }

  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void {
    this.#peer(peer);
    this.#call(['answerFloat', peer, address, accept]);
  }

  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void {
    this.#peer(peer);
    this.#call(['answerAddress', peer, address, accept]);
  }

  forgetIdleAddresses(device: DeviceId, idleMs: number): void {
    requireLive(this.#devices.has(device), 'device', device);
    this.#call(['forgetIdleAddresses', device, idleMs]);
  }

  peerStatistics(peer: PeerHandle): PeerStatistics {
    return readPeerStatistics(this.#counters, this.#peer(peer).slot);
  }

  statistics(): PlaneStatistics {
    return readPlaneStatistics(this.#counters);
  }

  close(): Promise<void> {
    if (this.#state !== 'ended') {
      this.#state = 'closing';
      this.#worker.ref();
      this.#end();
    }
    return this.#ended;
  }

  #peer(peer: PeerHandle): { slot: number; keys: Set<number> } {
    const found = this.#peers.get(peer);
    if (found === undefined) throw new RangeError(`the plane has no peer ${peer}`);
    return found;
  }

  /** Sets the exit flag and wakes the worker; all that an 'exit' hook may do. */
  #end(): void {
    if (this.#state === 'ended') return;
    Atomics.store(this.#control, ControlWord.exit, 1);
    this.#wake();
  }

  /** Wakes the worker if it sleeps; one that is awake, or was woken, looks by itself before it sleeps again. */
  #wakeSleeper(): void {
    if (Atomics.exchange(this.#control, ControlWord.asleep, 0) === 1) this.#wake();
  }

  #wake(): void {
    if (this.#state !== 'ended') libc.write(this.#wakeFd, this.#one.address, 8);
  }

  #call(call: WorkerCall, moved: readonly ArrayBuffer[] = []): void {
    if (this.#state === 'closing' || this.#state === 'ended') return;
    this.#worker.postMessage(call, [...moved]);
    Atomics.add(this.#control, ControlWord.calls, 1);
    this.#wakeSleeper();
    this.#holdProcess();
  }

  #callAndWait(callWith: (ticket: number) => WorkerCall): Promise<void> {
    if (this.#state === 'closing' || this.#state === 'ended') return this.#ended;
    const ticket = this.#nextId++;
    return new Promise((resolve) => {
      this.#tickets.set(ticket, resolve);
      this.#call(callWith(ticket));
    });
  }

  #holdProcess(): void {
    const busy = [this.#devices, this.#links, this.#listeners, this.#tickets].some(({ size }) => size > 0);
    if (busy || this.#state === 'starting' || this.#state === 'closing') this.#worker.ref();
    else this.#worker.unref();
  }

  #handleReport(report: WorkerReport): void {
    switch (report.type) {
      case 'ready':
        if (this.#state === 'starting') this.#state = 'running';
        break;
      case 'let-go':
        this.#tickets.get(report.ticket)?.();
        this.#tickets.delete(report.ticket);
        break;
      case 'events':
        for (const event of report.events) this.#handleEvent(event);
        // The engine gives out a few packets at a time and waits for room.
        this.#wakeSleeper();
        return;
      case 'device-packets':
        this.#deviceEnds.handlePackets(report.device, report.packets);
        return;
      default:
        report satisfies never;
    }
    this.#holdProcess();
  }

  #handleEvent(event: PlaneEvent): void {
    if (event.type === 'accepted') {
      Atomics.add(this.#control, ControlWord.takenAccepted, 1);
      // Nobody waits for it any more: the listener was removed meanwhile, or the plane is about to end.
      if (this.#state !== 'running' || !this.#listeners.has(event.listener)) {
        libc.close(event.fd);
        return;
      }
    }
    if (this.#state !== 'closing' && this.#state !== 'ended') this.#listener(event);
    if (takesRoom(event)) Atomics.add(this.#control, ControlWord.taken, 1);
  }

  #handleEnd(failure: string): void {
    const wanted = this.#state === 'closing';
    this.#state = 'ended';
    dropExitHook(this.#endByExit);
    libc.close(this.#wakeFd);
    for (const resolve of this.#tickets.values()) resolve();
    this.#tickets.clear();
    if (!wanted) this.#listener({ type: 'plane-failed', text: failure });
  }
}

const MAX_KEYS = 4;

function requireLive(alive: boolean, what: string, id: number): void {
  if (!alive) throw new RangeError(`the plane has no ${what} ${id}`);
}

/** The worker has the same library: what is not there must be refused here, where the caller can see it. */
function requireAlgorithms({ cipher, digest }: KeyOptions): void {
  if (cipher !== 'none' && availableCiphers([cipher]).length === 0) throw new RangeError(`no cipher ${cipher} here`);
  if (isAeadCipher(cipher) || digest === 'none') return;
  if (availableDigests([digest]).length === 0) throw new RangeError(`no digest ${digest} here`);
}

interface OwnedDirectionKey extends DirectionKey {
  readonly cipher: Uint8Array<ArrayBuffer>;
  readonly hmac: Uint8Array<ArrayBuffer>;
}

function copyMaterial(material: DataKeyMaterial): { seal: OwnedDirectionKey; open: OwnedDirectionKey } {
  const copy = ({ cipher, hmac }: DirectionKey): OwnedDirectionKey => ({
    cipher: new Uint8Array(cipher),
    hmac: new Uint8Array(hmac),
  });
  return { seal: copy(material.seal), open: copy(material.open) };
}

/** Ends the workers of all planes that live when the process ends. */
const endAtExit = new Set<() => void>();

function handleProcessExit(): void {
  for (const end of endAtExit) end();
}

function holdExitHook(end: () => void): void {
  if (endAtExit.size === 0) process.on('exit', handleProcessExit);
  endAtExit.add(end);
}

function dropExitHook(end: () => void): void {
  endAtExit.delete(end);
  if (endAtExit.size === 0) process.off('exit', handleProcessExit);
}
