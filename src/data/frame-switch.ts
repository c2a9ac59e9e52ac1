// What a TAP device with several peers knows: which Ethernet address is behind which peer, which are being asked about,
// and the frames that wait for the answer. An address counts once the control plane has said yes to it.

import { EarlyPackets } from './early-packets.ts';
import { MacTable, readMac } from './mac-table.ts';
import type { PeerHandle } from './plane.ts';

/** Addresses of one peer that are asked about, or were refused a moment ago. While there are so many no other is asked about. */
const ASKS_MAX = 16;
/** How long a refused address is not asked about again. */
const REFUSED_MS = 10_000;

/** A question to the control plane: may this address be that peer's? */
export interface AddressAsk {
  readonly mac: number;
  /** What its frames wait under. */
  readonly id: number;
  state: 'new' | 'asked' | 'refused';
  /** When it came to this state. */
  sinceMs: number;
}

export class FrameSwitch {
  readonly macs = new MacTable();
  readonly waiting = new EarlyPackets();
  readonly #asks = new Map<PeerHandle, AddressAsk[]>();
  #nextId = 1;

  /**
   * A frame with its source at `at` came from a peer that does not have the address. undefined: it may not have it, or there
   * is no room for another question.
   */
  ask(peer: PeerHandle, view: DataView, at: number, nowMs: number): AddressAsk | undefined {
    const mac = readMac(view, at);
    // Nobody's: addresses of groups, and no address at all.
    if (mac === 0 || (view.getUint8(at) & 1) === 1) return undefined;
    const asks = this.#asksOf(peer);
    let free = asks.length < ASKS_MAX ? asks.length : -1;
    for (let place = 0; place < asks.length; place++) {
      const each = asks[place]!;
      const over = each.state === 'refused' && nowMs - each.sinceMs >= REFUSED_MS;
      if (over) free = place;
      else if (each.mac === mac) return each.state === 'refused' ? undefined : each;
    }
    if (free < 0) return undefined;
    const ask: AddressAsk = { mac, id: this.#nextId++, state: 'new', sinceMs: nowMs };
    asks[free] = ask;
    return ask;
  }

  /** The answer to a question; returns what frames wait under, undefined where nothing was asked. */
  answer(peer: PeerHandle, mac: number, accept: boolean, nowMs: number): number | undefined {
    if (accept) this.macs.learn(mac, peer, nowMs);
    const asks = this.#asks.get(peer) ?? [];
    const place = asks.findIndex((each) => each.mac === mac);
    const asked = asks[place];
    if (asked === undefined) return undefined;
    if (accept) asks.splice(place, 1);
    else {
      asked.state = 'refused';
      asked.sinceMs = nowMs;
    }
    return asked.id;
  }

  #asksOf(peer: PeerHandle): AddressAsk[] {
    const known = this.#asks.get(peer);
    if (known !== undefined) return known;
    const asks: AddressAsk[] = [];
    this.#asks.set(peer, asks);
    return asks;
  }

  /** The peer is gone, and with it its addresses and what waited for them. */
  leave(peer: PeerHandle): void {
    this.#asks.delete(peer);
    this.macs.forgetOwner(peer);
    this.waiting.forget(peer);
  }
}

/** Whether a frame goes to a group: broadcast and multicast. */
export function isGroupFrame(view: DataView, frame: number): boolean {
  return (view.getUint8(frame) & 1) === 1;
}
