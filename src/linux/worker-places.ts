// Which worker does what. The kernel brings the data packets of a peer-id to one socket of a link that serves many; a
// client's one peer is opened by one worker and sealed for by another; what can't be divided is one worker's alone.

import type { PeerOwners } from '../data/handover.ts';
import type { DeviceId, DeviceOptions, Endpoint, LinkId, LinkOptions, PeerOptions } from '../data/plane.ts';
import type { LinkPart } from './worker-messages.ts';

type FdEndpoint = Extract<Endpoint, { kind: 'fd' }>;

type LinkPlace =
  /** A stream, or a socket alone: one worker, both ways. */
  | { readonly kind: 'one'; readonly worker: number }
  /** A datagram socket with one far end: the first worker seals, the second one opens. */
  | { readonly kind: 'halves' }
  /** A socket for each of so many workers. */
  | { readonly kind: 'spread'; readonly count: number };

const SEALS = 0;
const OPENS = 1;

export class WorkerPlaces {
  readonly #workers: number;
  readonly #links = new Map<LinkId, LinkPlace>();
  /** How many workers read each device. */
  readonly #readers = new Map<DeviceId, number>();
  /** Devices of frames: who has which address is learned, and known to the first worker alone. */
  readonly #frames = new Set<DeviceId>();
  #streams = 0;

  constructor(workers: number) {
    this.#workers = workers;
  }

  /** Each worker's fd, and whether it reads it; those without a queue of their own write to the first. */
  addDevice(
    id: DeviceId,
    { endpoint, layer }: Pick<DeviceOptions, 'endpoint' | 'layer'>,
  ): readonly { readonly fd: number; readonly reads: boolean }[] {
    const fds = endpoint.kind === 'fd' ? [endpoint.fd, ...(endpoint.queues ?? [])] : [-1];
    if (fds.length > this.#workers)
      throw new RangeError(`a device with ${fds.length} queues for ${this.#workers} workers`);
    this.#readers.set(id, fds.length);
    if (layer === 'tap') this.#frames.add(id);
    return this.#each((worker) => ({ fd: fds[worker] ?? fds[0]!, reads: worker < fds.length }));
  }

  removeDevice(id: DeviceId): void {
    this.#readers.delete(id);
    this.#frames.delete(id);
  }

  /** Each worker's fd, and what it does with it. */
  addLink(id: LinkId, options: LinkOptions, endpoint: FdEndpoint): readonly { fd: number; part: LinkPart }[] {
    const fds = [endpoint.fd, ...(endpoint.siblings ?? [])];
    if (fds.length > this.#workers)
      throw new RangeError(`a link with ${fds.length} sockets for ${this.#workers} workers`);
    const place = this.#placeOf(options, fds.length);
    this.#links.set(id, place);
    return this.#each((worker) => ({ fd: fds[worker] ?? endpoint.fd, part: partOf(place, worker) }));
  }

  removeLink(id: LinkId): void {
    this.#links.delete(id);
  }

  /** The worker that sends a link's control packets. */
  controlWorker(id: LinkId): number {
    const place = this.#links.get(id);
    return place?.kind === 'one' ? place.worker : 0;
  }

  /** The workers of a peer. */
  ownersOf({ device, link, receivePeerId }: Pick<PeerOptions, 'device' | 'link' | 'receivePeerId'>): PeerOwners {
    const place = this.#links.get(link);
    if (this.#frames.has(device)) return { opens: 0, seals: 0 };
    if (place?.kind === 'halves') return { opens: OPENS, seals: SEALS };
    const worker =
      place?.kind === 'spread' && receivePeerId !== undefined ? receivePeerId % place.count : this.controlWorker(link);
    return { opens: worker, seals: worker };
  }

  /** How the work is divided, for the log; nothing for one worker. */
  words(): readonly string[] {
    if (this.#workers === 1) return [];
    const kinds = new Set([...this.#links.values()].map(({ kind }) => kind));
    if (kinds.has('halves')) return ['two workers: one seals, one opens'];
    const readers = Math.max(0, ...this.#readers.values());
    const reads = readers < this.#workers ? [`${readers === 1 ? 'one' : readers} of them for the device`] : [];
    if (kinds.has('spread')) return [`${this.#workers} workers`, ...reads];
    return readers > 1 ? [`${this.#workers} workers, one for each stream`] : ['one worker'];
  }

  #placeOf({ framing, remote }: LinkOptions, sockets: number): LinkPlace {
    if (sockets > 1) return { kind: 'spread', count: sockets };
    if (this.#workers > 1 && framing !== 'tcp' && remote !== undefined) return { kind: 'halves' };
    // A stream's packets come out of the device at the worker that writes them into it, where each has a queue.
    const queued = [...this.#readers.values()].some((readers) => readers > 1);
    const mayBeAny = framing === 'tcp' && queued && this.#frames.size === 0;
    return { kind: 'one', worker: mayBeAny ? this.#streams++ % this.#workers : 0 };
  }

  #each<T>(describe: (worker: number) => T): T[] {
    return Array.from({ length: this.#workers }, (_, worker) => describe(worker));
  }
}

function partOf(place: LinkPlace, worker: number): LinkPart {
  switch (place.kind) {
    case 'one':
      return place.worker === worker ? 'both' : 'none';
    case 'halves':
      return worker === SEALS ? 'sends' : worker === OPENS ? 'reads' : 'none';
    case 'spread':
      return worker < place.count ? 'both' : 'none';
    default:
      return place satisfies never;
  }
}
