// Every client that the server keeps state for, by the ways in which it is looked for: peer of the plane, stream, address
// of datagrams, name. Peer-ids are given out here, the lowest free one first.

import type { LinkId, PeerHandle } from '../data/plane.ts';
import type { SocketAddress } from '../ip/socket-address.ts';
import { formatHex } from '../wire/hex.ts';
import type { Instance } from './instance.ts';

export class InstanceTable implements Iterable<Instance> {
  readonly #byId: (Instance | undefined)[] = [];
  readonly #byPeer = new Map<PeerHandle, Instance>();
  readonly #byAddress = new Map<string, Instance[]>();
  readonly #byStream = new Map<LinkId, Instance>();
  #capacity: number;
  #size = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** No more than these from now on; who is there stays. */
  set capacity(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#size;
  }

  /** The peer-id that the next instance gets; undefined when the server is full. */
  freeId(): number | undefined {
    if (this.#size >= this.#capacity) return undefined;
    const hole = this.#byId.indexOf(undefined);
    return hole >= 0 ? hole : this.#byId.length;
  }

  add(instance: Instance): void {
    this.#byId[instance.id] = instance;
    this.#byPeer.set(instance.peer, instance);
    this.#size++;
    if (instance.transport === 'tcp') this.#byStream.set(instance.link, instance);
    else this.#place(instance, instance.address);
  }

  remove(instance: Instance): void {
    if (this.#byId[instance.id] !== instance) return;
    this.#byId[instance.id] = undefined;
    this.#byPeer.delete(instance.peer);
    this.#size--;
    if (instance.transport === 'tcp') this.#byStream.delete(instance.link);
    else this.#displace(instance, instance.address);
  }

  /** The instance is at another address from now on. */
  move(instance: Instance, from: SocketAddress): void {
    this.#displace(instance, from);
    this.#place(instance, instance.address);
  }

  ofId(id: number): Instance | undefined {
    return this.#byId[id];
  }

  ofPeer(peer: PeerHandle): Instance | undefined {
    return this.#byPeer.get(peer);
  }

  ofStream(link: LinkId): Instance | undefined {
    return this.#byStream.get(link);
  }

  /** Those whose datagrams come from an address: a live one, and one that is on its way in. */
  at(link: LinkId, address: SocketAddress): readonly Instance[] {
    return this.#byAddress.get(keyOf(link, address)) ?? [];
  }

  named(name: string): Instance[] {
    return [...this].filter((instance) => instance.name === name);
  }

  *[Symbol.iterator](): Iterator<Instance> {
    for (const instance of [...this.#byId]) if (instance !== undefined) yield instance;
  }

  #place(instance: Instance, address: SocketAddress): void {
    const key = keyOf(instance.link, address);
    const list = this.#byAddress.get(key);
    if (list === undefined) this.#byAddress.set(key, [instance]);
    else list.push(instance);
  }

  #displace(instance: Instance, address: SocketAddress): void {
    const key = keyOf(instance.link, address);
    const list = this.#byAddress.get(key)?.filter((each) => each !== instance) ?? [];
    if (list.length === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, list);
  }
}

function keyOf(link: LinkId, { address, port, scopeId }: SocketAddress): string {
  return `${link} ${formatHex(address)} ${port} ${scopeId}`;
}
