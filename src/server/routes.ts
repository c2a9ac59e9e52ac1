// Addresses on their way to clients: learned (programs are asked, the plane is told) and forgotten again. The table
// itself is route-table.ts.

import type { ServerOptions } from '../config/server-options.ts';
import type { DataPlane, DeviceId } from '../data/plane.ts';
import { messageOf } from '../error.ts';
import { formatMac, parseMac } from '../ip/mac-address.ts';
import { formatPrefix, parsePrefix } from '../ip/prefix.ts';
import { Level, type Log } from '../log.ts';
import type { ClockPort } from '../ports.ts';
import type { ClientAddresses } from './client-addresses.ts';
import type { Grant } from './connect.ts';
import type { ServerHooks } from './hooks.ts';
import { clientInfo } from './identity.ts';
import type { Instance } from './instance.ts';
import { quotaLine, type RouteEntry, RouteTable, routeAddress } from './route-table.ts';
import type { ServerScripts } from './scripts.ts';

export interface RoutesPorts {
  readonly plane: DataPlane;
  readonly clock: ClockPort;
  readonly scripts: ServerScripts;
  readonly hooks: ServerHooks;
  readonly log: Log;
}

/** What a server's device has for addresses, and when learned ones grow old. */
export interface RoutesOptions {
  /** The server's addresses in the tunnel; the Ethernet address as `02:00:00:00:00:01`. */
  readonly own: readonly string[];
  /** tap: clients have the Ethernet addresses that their frames come from, and no others. */
  readonly layer: 'tun' | 'tap';
  readonly stale: ServerOptions['staleRoutes'];
}

/** How long an address without a client stays known, for the client to come back to. */
const REAP_MS = 5000;

export class Routes {
  readonly #options: RoutesOptions;
  readonly #ports: RoutesPorts;
  readonly #table: RouteTable<Instance>;
  /** How many addresses a client may have that was let in. */
  readonly #quotas = new WeakMap<Instance, number>();
  /** How many of its places are kept for addresses that programs are being asked about. */
  readonly #reserved = new WeakMap<Instance, number>();
  /** Addresses that programs are being told the end of. */
  readonly #forgetting = new Map<string, Promise<void>>();
  readonly #learning = new Set<Promise<void>>();
  #lastForgotten: Promise<void> = Promise.resolve();
  #cancelReap: (() => void) | undefined;
  #cancelStale = (): void => {};

  constructor(options: RoutesOptions, ports: RoutesPorts) {
    this.#options = options;
    this.#ports = ports;
    const macOf = (address: string): string => {
      const mac = parseMac(address);
      return mac === undefined ? address : formatMac(mac);
    };
    this.#table = new RouteTable(options.own.map(macOf));
  }

  /** Has the device's addresses grow old from now on, where the configuration wants it. */
  watchStale(device: DeviceId): void {
    const { layer, stale } = this.#options;
    if (layer !== 'tap' || stale === undefined) return;
    const { clock, plane, log } = this.#ports;
    log(
      Level.multi,
      `Initializing stale route check timer to run every ${stale.intervalSeconds} seconds and to removing routes with activity timeout older than ${stale.ageSeconds} seconds`,
    );
    const again = (): void => {
      this.#cancelStale = clock.at(clock.now().monoMs + stale.intervalSeconds * 1000, () => {
        plane.forgetIdleAddresses(device, stale.ageSeconds * 1000);
        again();
      });
    };
    again();
  }

  entries(): readonly RouteEntry<Instance>[] {
    return this.#table.entries();
  }

  /** Learns what a client was given; from now on packets go to it and may come from it. */
  learn(instance: Instance, grant: Pick<Grant, 'addresses' | 'routes' | 'maxRoutes'>): Promise<void> {
    const learning = this.#learnAll(instance, grant).finally(() => this.#learning.delete(learning));
    this.#learning.add(learning);
    return learning;
  }

  async #learnAll(
    instance: Instance,
    { addresses, routes, maxRoutes }: Pick<Grant, 'addresses' | 'routes' | 'maxRoutes'>,
  ): Promise<void> {
    const { log, label } = instance;
    const { v4, v6 } = addresses;
    if (this.#options.layer === 'tap') {
      this.#quotas.set(instance, maxRoutes);
      if (routes.length > 0) {
        log(
          Level.multiErrors,
          `MULTI: --iroute options rejected for ${label} -- iroute only works with tun-style tunnels`,
        );
      }
      return;
    }
    if (v4 !== undefined && (await this.#learn(instance, v4.local, maxRoutes))) {
      log(Level.multi, `MULTI: primary virtual IP for ${label}: ${v4.local}`);
    }
    if (v6 !== undefined && (await this.#learn(instance, v6.local, maxRoutes))) {
      log(Level.multi, `MULTI: primary virtual IPv6 for ${label}: ${v6.local}`);
    }
    for (const route of routes) {
      log(Level.multi, `MULTI: internal route ${route} -> ${label}`);
      await this.#learn(instance, route, maxRoutes);
    }
    if (instance.phase === 'up') this.#tellPlane(instance);
  }

  /** A frame of a client came from an Ethernet address that it does not have: the plane is told whether it has it from now on. */
  learnMac(instance: Instance, address: Uint8Array): void {
    const { plane, log } = this.#ports;
    const failed = (error: unknown): false => {
      log(Level.error, `learning ${formatMac(address)}: ${messageOf(error)}`);
      return false;
    };
    const learning = this.#learn(instance, formatMac(address), this.#quotas.get(instance) ?? 0)
      .catch(failed)
      .then((accept) => {
        if (instance.phase === 'up') plane.answerAddress(instance.peer, address, accept);
      })
      .catch(failed)
      .then(() => {})
      .finally(() => this.#learning.delete(learning));
    this.#learning.add(learning);
  }

  /** The plane has forgotten Ethernet addresses that nobody used. */
  forgetMacs(addresses: readonly Uint8Array[]): void {
    for (const address of addresses.map(formatMac)) {
      const owner = this.#table.ownerOf(address);
      if (owner !== undefined) void this.#takeBack(owner, address);
    }
  }

  /** Whether another client that is there has an address. */
  isTaken(instance: Instance, address: string): boolean {
    const owner = this.#table.ownerOf(routeAddress(address));
    return owner !== undefined && owner !== instance;
  }

  /** A client that is up has other addresses of its own from now on; undefined: none of that family. */
  async readdress(instance: Instance, before: ClientAddresses, now: ClientAddresses): Promise<void> {
    for (const [old, next] of [
      [before.v4?.local, now.v4?.local],
      [before.v6?.local, now.v6?.local],
    ]) {
      if (old === next) continue;
      if (old !== undefined) await this.#takeBack(instance, old);
      // One for one: the client has no more addresses than before.
      if (next !== undefined) await this.#learn(instance, next, Number.POSITIVE_INFINITY);
    }
    if (instance.phase === 'up') this.#tellPlane(instance);
  }

  /** The client is gone. Its addresses are forgotten a little later: it may come back. */
  release(instance: Instance): void {
    this.#table.release(instance);
    const { clock } = this.#ports;
    this.#cancelReap ??= clock.at(clock.now().monoMs + REAP_MS, () => {
      this.#cancelReap = undefined;
      this.#reap();
    });
  }

  /** Settles when no program is being told of an address any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#learning);
  }

  /** Forgets what is left. */
  async close(): Promise<void> {
    this.#cancelStale();
    this.#cancelReap?.();
    this.#cancelReap = undefined;
    this.#reap();
    await Promise.all(this.#forgetting.values());
  }

  async #learn(instance: Instance, text: string, maxRoutes: number): Promise<boolean> {
    const { log, label } = instance;
    const address = routeAddress(text);
    // A program that still removes the address would undo what it is told now.
    await this.#forgetting.get(address);
    if (instance.phase !== 'up') return false;
    const reserved = this.#reserved.get(instance) ?? 0;
    const verdict = this.#table.check(instance, address, maxRoutes - reserved);
    if (verdict === 'quota') log(Level.multiErrors, quotaLine(maxRoutes, label));
    if (verdict === 'local')
      log(Level.multiErrors, `MULTI: ${address} is the server's own address and goes to no client`);
    if (verdict !== 'add' && verdict !== 'update') return verdict === 'known';
    const owner = this.#table.ownerOf(address);
    if (!(await this.#askProgram(instance, verdict, address))) return false;
    const isThere = instance.phase === 'up';
    const ownerNow = this.#table.ownerOf(address);
    const verdictNow = this.#table.check(instance, address, Number.POSITIVE_INFINITY);
    // Another got it, or it was forgotten, while the program thought: what the program was told holds no more.
    if (isThere && (verdictNow !== verdict || (ownerNow !== undefined && ownerNow !== owner))) {
      return this.#learn(instance, text, maxRoutes);
    }
    // Who is gone leaves an address that programs know of; they must hear of its end, too.
    if (!isThere && ownerNow !== owner) return false;
    this.#tellHook(verdict, address, instance);
    const loser = this.#table.learn(instance, address, this.#ports.clock.now().unixSeconds);
    if (loser?.phase === 'up') this.#tellPlane(loser);
    if (!isThere) {
      this.release(instance);
      return false;
    }
    log(Level.multi, `MULTI: Learn: ${address} -> ${label}`);
    return true;
  }

  /** A place among the client's addresses is kept until the program has answered. */
  async #askProgram(instance: Instance, verdict: 'add' | 'update', address: string): Promise<boolean> {
    const reserve = (change: number): void => {
      this.#reserved.set(instance, (this.#reserved.get(instance) ?? 0) + change);
    };
    reserve(1);
    try {
      return await this.#ports.scripts.learnAddress(verdict, address, instance.facts);
    } finally {
      reserve(-1);
    }
  }

  async #takeBack(instance: Instance, text: string): Promise<void> {
    const address = routeAddress(text);
    if (this.#table.forget(instance, address)) await this.#forget(address);
  }

  #tellPlane(instance: Instance): void {
    const prefixes = this.#table.addressesOf(instance).flatMap((address) => {
      const prefix = parsePrefix(address);
      return prefix === undefined ? [] : [formatPrefix(prefix)];
    });
    this.#ports.plane.setPeer(instance.peer, { prefixes });
  }

  /** Programs hear of one address after the other. */
  #reap(): void {
    for (const address of this.#table.reap()) {
      const before = this.#lastForgotten;
      const gone = before.then(() => this.#forget(address)).finally(() => this.#forgetting.delete(address));
      this.#forgetting.set(address, gone);
      this.#lastForgotten = gone;
    }
  }

  async #forget(address: string): Promise<void> {
    try {
      await this.#ports.scripts.learnAddress('delete', address, undefined);
    } catch (error) {
      this.#ports.log(Level.error, `forgetting ${address}: ${messageOf(error)}`);
    }
    this.#tellHook('delete', address, undefined);
  }

  /** A hook is told, not asked: nobody waits for it, and its failure is its own. */
  #tellHook(type: 'add' | 'update' | 'delete', address: string, instance: Instance | undefined): void {
    const { hooks, plane, log } = this.#ports;
    const prefix = parsePrefix(address);
    if (hooks.onAddress === undefined || prefix === undefined) return;
    const client = instance === undefined ? undefined : clientInfo(instance, plane.peerStatistics(instance.peer));
    const change = { type, prefix: formatPrefix(prefix), client };
    void (async () => hooks.onAddress?.(change))().catch((error: unknown) => {
      log(Level.error, `onAddress failed: ${messageOf(error)}`);
    });
  }
}
