// Which worker does what. The kernel brings the data packets of a peer-id to one socket of a link that serves many. A
// client's one peer is the first worker's, both ways, until that one has no time left: then the second one opens. What can't
// be divided is one worker's alone.

import type { PeerOwners } from '../data/handover.ts';
import type { DeviceId, DeviceOptions, Endpoint, LinkId, LinkOptions, PeerOptions } from '../data/plane.ts';
import type { LinkPart } from './worker-messages.ts';

type FdEndpoint = Extract<Endpoint, { kind: 'fd' }>;

type LinkPlace =
  /** A stream, or a socket alone: one worker, both ways. */
  | { readonly kind: 'one'; readonly worker: number }
  /** A datagram socket with one far end: the first worker seals, and opens until it has given that to the second. */
  | { readonly kind: 'halves'; readonly state: 'whole' | 'dividing' | 'divided' }
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

  /** The links whose packets a worker could have help with. */
  divisible(): readonly LinkId[] {
    return [...this.#links].filter(([, place]) => place.kind === 'halves' && place.state === 'whole').map(([id]) => id);
  }

  /** A link is being divided: the workers that give and take the opening of its packets, and of peers that come from now on. */
  divide(id: LinkId): { readonly gives: number; readonly takes: number } {
    this.#links.set(id, { kind: 'halves', state: 'dividing' });
    return { gives: SEALS, takes: OPENS };
  }

  /** The opening was given; who takes it, unless the link is gone meanwhile. */
  handleGiven(id: LinkId): number | undefined {
    if (this.#links.get(id)?.kind !== 'halves') return undefined;
    this.#links.set(id, { kind: 'halves', state: 'divided' });
    return OPENS;
  }

  /** The worker that sends a link's control packets. */
  controlWorker(id: LinkId): number {
    const place = this.#links.get(id);
    return place?.kind === 'one' ? place.worker : 0;
  }

  /** The workers that need a peer's keys: who opens, or may some time, before who seals. */
  keyHolders({ opens, seals }: PeerOwners, link: LinkId): readonly number[] {
    return this.#links.get(link)?.kind === 'halves' ? [OPENS, SEALS] : [...new Set([opens, seals])];
  }

  /** The workers of a peer. */
  ownersOf({ device, link, receivePeerId }: Pick<PeerOptions, 'device' | 'link' | 'receivePeerId'>): PeerOwners {
    const place = this.#links.get(link);
    if (this.#frames.has(device)) return { opens: 0, seals: 0 };
    if (place?.kind === 'halves') return { opens: place.state === 'whole' ? SEALS : OPENS, seals: SEALS };
    const worker =
      place?.kind === 'spread' && receivePeerId !== undefined ? receivePeerId % place.count : this.controlWorker(link);
    return { opens: worker, seals: worker };
  }

  /** How the work is divided, for the log; nothing for one worker. */
  words(): readonly string[] {
    if (this.#workers === 1) return [];
    const places = [...this.#links.values()];
    const kinds = new Set(places.map(({ kind }) => kind));
    const isDivided = places.some((place) => place.kind === 'halves' && place.state === 'divided');
    if (isDivided) return ['two workers: one seals, one opens'];
    if (kinds.has('halves')) return ['two workers: the second one helps when the first has no time left'];
    const readers = Math.max(0, ...this.#readers.values());
    const reads = readers < this.#workers ? [`${readers === 1 ? 'one' : readers} of them for the device`] : [];
    if (kinds.has('spread')) return [`${this.#workers} workers`, ...reads];
    return readers > 1 ? [`${this.#workers} workers, one for each stream`] : ['one worker'];
  }

  #placeOf({ framing, remote }: LinkOptions, sockets: number): LinkPlace {
    if (sockets > 1) return { kind: 'spread', count: sockets };
    const isAlone = framing === 'tcp' || remote === undefined || this.#frames.size > 0;
    if (this.#workers > 1 && !isAlone) return { kind: 'halves', state: 'whole' };
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
      return worker === SEALS ? 'both-for-now' : worker === OPENS ? 'none-yet' : 'none';
    case 'spread':
      return worker < place.count ? 'both' : 'none';
    default:
      return place satisfies never;
  }
}
