// The addresses that clients are given. IPv4 and IPv6 come from one row of slots: slot n is the n-th address (under
// net30 the n-th block of four) of both pools, so a client that keeps its slot keeps both. Facts: OpenVPN 2.7.8.

import { formatAddress, parseAddress } from '../ip/address.ts';
import { addressPlus, ipv4FromNumber, ipv4ToNumber } from '../ip/address-arithmetic.ts';

/** Addresses that a pool may span. */
const SLOTS_LIMIT = 65_536;

export interface PoolShape {
  /** First and last address. */
  readonly pool4: { readonly first: string; readonly last: string } | undefined;
  readonly pool6: { readonly first: string; readonly prefixLength: number } | undefined;
  /** Whether a slot is a block of four IPv4 addresses (`topology net30` on a tun device) instead of one. */
  readonly blocks: boolean;
  readonly duplicateCn: boolean;
}

/** What a slot means. */
export interface PoolLease {
  readonly slot: number;
  /** The client's own addresses. */
  readonly address4: string | undefined;
  readonly address6: string | undefined;
  /** The server's end of a /30 block; undefined outside net30. */
  readonly serverAddress4: string | undefined;
}

/** A slot with a name, as it is written down: the IPv4 address is the block's first under net30. */
export interface PoolRecord {
  readonly name: string;
  readonly slot: number;
  readonly address4: string | undefined;
  readonly address6: string | undefined;
}

interface Slot {
  inUse: boolean;
  /** Never given to another name than its own. */
  fixed: boolean;
  name: string | undefined;
  releasedUnixSeconds: number;
}

/**
 * Builds a pool; a text says why it can't be one (the C program stops with the same words). `notes` are for the log.
 * Addresses that cannot be read are an error of the caller's and make the same kind of text.
 */
export function makeAddressPool(
  shape: PoolShape,
):
  | { readonly pool: AddressPool; readonly sizes: readonly string[]; readonly notes: readonly string[] }
  | { readonly problem: string } {
  const sizes: string[] = [];
  const notes: string[] = [];
  let base4: number | undefined;
  let size4: number | undefined;
  if (shape.pool4 !== undefined) {
    const first = ipv4ToNumber(shape.pool4.first);
    const last = ipv4ToNumber(shape.pool4.last);
    if (first === undefined || last === undefined || first > last) {
      return {
        problem: `--ifconfig-pool start IP [${shape.pool4.first}] is greater than end IP [${shape.pool4.last}]`,
      };
    }
    if (last - first >= SLOTS_LIMIT) {
      return {
        problem: `--ifconfig-pool address range is too large [${shape.pool4.first} -> ${shape.pool4.last}].  Current maximum is ${SLOTS_LIMIT} addresses, as defined by IFCONFIG_POOL_MAX variable.`,
      };
    }
    base4 = shape.blocks ? first - (first % 4) : first;
    size4 = shape.blocks ? (last - (last % 4) + 4 - base4) / 4 : last - first + 1;
    if (size4 < 2) return { problem: `IPv4 pool size is too small (${size4}), must be at least 2` };
    sizes.push(`IFCONFIG POOL IPv4: base=${ipv4FromNumber(base4)} size=${size4}`);
  }
  let base6: Uint8Array | undefined;
  let size6: number | undefined;
  if (shape.pool6 !== undefined) {
    const start = start6(shape.pool6.first, shape.pool6.prefixLength);
    if (start === undefined) return { problem: `--ifconfig-ipv6-pool cannot start at ${shape.pool6.first}` };
    base6 = start.base;
    size6 = start.size;
    if (size6 < 2) return { problem: `IPv6 pool size is too small (${size6}), must be at least 2` };
    const { prefixLength } = shape.pool6;
    sizes.push(`IFCONFIG POOL IPv6: base=${formatAddress(base6)} size=${size6} netbits=${prefixLength}`);
  }
  if (size4 === undefined && size6 === undefined) return { problem: 'a pool has IPv4 or IPv6 addresses' };
  if (size4 !== undefined && size6 !== undefined && size4 < size6) {
    notes.push(
      `NOTE: IPv4 pool size is ${size4}, IPv6 pool size is ${size6}. IPv4 pool size limits the number of clients that can be served from the pool`,
    );
  }
  if (size4 !== undefined && size6 !== undefined && size4 > size6) {
    notes.push(
      `WARNING: IPv4 pool size is ${size4}, IPv6 pool size is ${size6}. IPv6 pool size limits the number of clients that can be served from the pool. This is likely a MISTAKE - please check your configuration`,
    );
  }
  const size = Math.min(size4 ?? SLOTS_LIMIT, size6 ?? SLOTS_LIMIT);
  return { pool: new AddressPool(size, base4, base6, shape.blocks, shape.duplicateCn), sizes, notes };
}

/** Slots and who has them. Addresses that a client was given statically are not looked at: C hands them out, too. */
export class AddressPool {
  readonly size: number;
  readonly #base4: number | undefined;
  readonly #base6: Uint8Array | undefined;
  readonly #blocks: boolean;
  readonly #duplicateCn: boolean;
  /** Holes are slots that nobody has had yet. */
  readonly #slots: (Slot | undefined)[];

  /** Use `makeAddressPool`. */
  constructor(
    size: number,
    base4: number | undefined,
    base6: Uint8Array | undefined,
    blocks: boolean,
    duplicateCn: boolean,
  ) {
    this.size = size;
    this.#base4 = base4;
    this.#base6 = base6;
    this.#blocks = blocks;
    this.#duplicateCn = duplicateCn;
    this.#slots = new Array<Slot | undefined>(size).fill(undefined);
  }

  /** Slots that clients have now. */
  get used(): number {
    return this.#slots.reduce((count, slot) => count + (slot?.inUse === true ? 1 : 0), 0);
  }

  /**
   * The free slot that the name had before, else the one that has been free for longest (never used ones first, in
   * order); under duplicate-cn the first free one. undefined when all are taken. No name (undefined) remembers nothing.
   */
  acquire(name: string | undefined): PoolLease | undefined {
    const at = this.#find(name);
    if (at === undefined) return undefined;
    const fixed = this.#slots[at]?.fixed ?? false;
    this.#slots[at] = { inUse: true, fixed, name: this.#duplicateCn ? undefined : name, releasedUnixSeconds: 0 };
    return this.lease(at);
  }

  /** Gives a slot back; it stays remembered under its name. Slots out of range are ignored. */
  release(slot: number, nowUnixSeconds: number): void {
    const entry = this.#slots[slot];
    if (entry === undefined) return;
    entry.inUse = false;
    entry.releasedUnixSeconds = nowUnixSeconds;
  }

  /** Gives a slot back as if it had never been used: the client got a static address in its place. */
  forget(slot: number): void {
    const entry = this.#slots[slot];
    if (entry === undefined) return;
    entry.inUse = false;
    entry.name = undefined;
    entry.releasedUnixSeconds = 0;
  }

  /** Remembers a name for a slot, as read from a file. `fixed`: nobody else gets it (the file is never written). */
  remember(slot: number, name: string, fixed: boolean, nowUnixSeconds: number): void {
    if (slot < 0 || slot >= this.size) return;
    this.#slots[slot] = { inUse: false, fixed, name, releasedUnixSeconds: nowUnixSeconds };
  }

  /** The addresses of a slot. */
  lease(slot: number): PoolLease {
    const base = this.#base4;
    const first = base === undefined ? undefined : base + slot * (this.#blocks ? 4 : 1);
    return {
      slot,
      address4: first === undefined ? undefined : ipv4FromNumber(first + (this.#blocks ? 2 : 0)),
      serverAddress4: first === undefined || !this.#blocks ? undefined : ipv4FromNumber(first + 1),
      address6: this.#base6 === undefined ? undefined : formatAddress(addressPlus(this.#base6, slot)),
    };
  }

  /** The slot of an IPv4 or IPv6 address, undefined when it is no address of the pool's. */
  slotOf(address: string): number | undefined {
    const bytes = parseAddress(address);
    if (bytes === undefined) return undefined;
    const distance = bytes.length === 4 ? this.#distance4(number32(bytes, 0)) : this.#distance6(bytes);
    return distance !== undefined && distance >= 0 && distance < this.size ? distance : undefined;
  }

  /** Every slot with a name, in order. */
  records(): PoolRecord[] {
    const records: PoolRecord[] = [];
    for (const [slot, entry] of this.#slots.entries()) {
      if (entry?.name === undefined) continue;
      const { address4, address6 } = this.lease(slot);
      const first = this.#blocks && this.#base4 !== undefined ? ipv4FromNumber(this.#base4 + slot * 4) : address4;
      records.push({ name: entry.name, slot, address4: first, address6 });
    }
    return records;
  }

  #find(name: string | undefined): number | undefined {
    let oldest: number | undefined;
    let oldestUnixSeconds = 0;
    for (let at = 0; at < this.size; at++) {
      const entry = this.#slots[at];
      if (entry?.inUse) continue;
      if (this.#duplicateCn) return at;
      if (name !== undefined && entry?.name === name) return at;
      const released = entry?.releasedUnixSeconds ?? 0;
      if (entry?.fixed || (oldest !== undefined && released >= oldestUnixSeconds)) continue;
      oldest = at;
      oldestUnixSeconds = released;
    }
    return oldest;
  }

  #distance4(address: number): number | undefined {
    if (this.#base4 === undefined || address < this.#base4) return undefined;
    return this.#blocks ? Math.floor((address - this.#base4) / 4) : address - this.#base4;
  }

  #distance6(address: Uint8Array): number | undefined {
    const base = this.#base6;
    if (base === undefined) return undefined;
    for (let index = 0; index < 12; index++) if (base[index] !== address[index]) return undefined;
    return number32(address, 12) - number32(base, 12);
  }
}

/** Where the IPv6 pool starts, and how many addresses it has. A host part of zero is left out: it is every router's. */
function start6(first: string, prefixLength: number): { base: Uint8Array; size: number } | undefined {
  const address = parseAddress(first);
  if (address?.length !== 16 || prefixLength < 0 || prefixLength > 127) return undefined;
  const hostBits = 128 - prefixLength;
  let host = number32(address, 12) % 2 ** Math.min(32, hostBits);
  let base = address;
  if (host === 0) {
    host = 1;
    base = addressPlus(address, 1);
  }
  return { base, size: prefixLength >= 112 ? 2 ** hostBits - host : SLOTS_LIMIT };
}

function number32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}
