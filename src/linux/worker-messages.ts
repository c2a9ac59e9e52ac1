// What the main thread and the data workers say to each other.
//
// Main to a worker: calls, in order, over the worker's message port; an eventfd wakes the worker out of poll(2) where it
// sleeps, and only there: a wake-up costs more than anything else of a call. Worker to main: reports over the same port.
// A packet that the worker reads after a call was made meets its effect, because the worker looks for calls behind every
// read. Beside them two blocks of shared memory: the counters (data/counters.ts), which the main thread reads at any
// time, and the control words below.

import type { LaneCapacity } from '../data/event-lanes.ts';
import type { PeerOwners } from '../data/handover.ts';
import type { Opening } from '../data/opening.ts';
import type {
  DeviceChange,
  DeviceId,
  DeviceOptions,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  PeerHandle,
  PeerOptions,
  PeerSettings,
  PlaneEvent,
} from '../data/plane.ts';
import type { SharedUsage } from '../data/usage-limits.ts';
import type { SocketAddress } from '../ip/socket-address.ts';

/** Places in the Int32Array of control words. */
export const ControlWord = {
  /** Not 0: the worker ends at its next look, without another word. */
  exit: 0,
  /** How many events that take up room in a lane the main thread has worked off; this and those below wrap around. */
  taken: 1,
  /** How many accepted streams the main thread has handed to its listener. */
  takenAccepted: 2,
  /** How many calls the main thread has made; wraps around. Raised after the call can be fetched. */
  calls: 3,
  /** 1 while the worker may be inside native code, where the end of the process would abort it. */
  inside: 4,
  /** How many packets of devices in memory have been read from the worker, and taken by it. */
  deviceRead: 5,
  deviceTaken: 6,
  /** 1 while the worker waits in ppoll(2), is about to, has just done or moves a packet alone: whoever changes it to 0 writes the eventfd. */
  asleep: 7,
} as const;

export const CONTROL_WORDS_BYTES = 64;

/** What the worker is started with. */
export interface WorkerStart {
  readonly control: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly peerSlots: number;
  readonly linkSlots: number;
  readonly laneCapacity: LaneCapacity;
  /** The eventfd that wakes it. */
  readonly wakeFd: number;
  /** Whether it counts where its time goes. */
  readonly measure: boolean;
  /** Whether the process is the tunnel's alone: V8's settings and idle processor time are the worker's to use. */
  readonly hasProcess: boolean;
  /** Its place among the plane's workers, of which the others are here at theirs. */
  readonly index: number;
  readonly others: readonly (OtherWorkerStart | undefined)[];
}

/** What a worker knows of another one. */
export interface OtherWorkerStart {
  readonly control: SharedArrayBuffer;
  readonly wakeFd: number;
  /** The rings (handover-ring.ts) to it and from it. */
  readonly to: SharedArrayBuffer;
  readonly from: SharedArrayBuffer;
}

/**
 * What a worker does with a link. `sends`: another worker reads the same socket; `reads`: another one sends. `both-for-now`:
 * another one may read it, and does not yet: that one has `none-yet`. `none`: the link is another's, and known here because
 * of its peers.
 */
export type LinkPart = 'both' | 'both-for-now' | 'sends' | 'reads' | 'none-yet' | 'none';

/** The calls of the data plane as the worker takes them: ids are chosen by the main thread, promises are tickets. */
export interface WorkerCalls {
  /** `reads`: what the device gives is this worker's; any worker may write to it. */
  addDevice(id: DeviceId, options: DeviceOptions, reads: boolean): void;
  setDevice(id: DeviceId, change: DeviceChange): void;
  removeDevice(id: DeviceId, ticket: number): void;
  /** A packet from the program at the other end of a device in memory. */
  writeDevice(id: DeviceId, packet: Uint8Array): void;
  addLink(id: LinkId, options: LinkOptions, part: LinkPart): void;
  addListener(id: LinkId, fd: number): void;
  removeLink(id: LinkId, ticket: number): void;
  sendControl(link: LinkId, address: SocketAddress | undefined, bytes: Uint8Array): void;
  addPeer(id: PeerHandle, counterSlot: number, options: PeerOptions, owners: PeerOwners): void;
  setPeer(id: PeerHandle, change: Partial<PeerSettings>): void;
  /** Clears the peer's counters, so that its slot can be used again when the ticket comes back. */
  removePeer(id: PeerHandle, counterSlot: number, ticket: number): void;
  /** The material was moved here, not copied: the worker wipes it. */
  addKey(peer: PeerHandle, id: KeyHandle, options: KeyOptions, usage: SharedUsage | undefined): void;
  useKey(peer: PeerHandle, id: KeyHandle): void;
  removeKey(peer: PeerHandle, id: KeyHandle): void;
  /** The worker leaves reading the link, and opening what comes over it, to another one, and reports how far it had come. */
  giveOpening(link: LinkId, to: number): void;
  takeOpening(link: LinkId, openings: readonly Opening[]): void;
  sendInBand(peer: PeerHandle, bytes: Uint8Array): void;
  answerFloat(peer: PeerHandle, address: SocketAddress, accept: boolean): void;
  answerAddress(peer: PeerHandle, address: Uint8Array, accept: boolean): void;
  forgetIdleAddresses(device: DeviceId, idleMs: number): void;
}

/** One call: its name and its arguments. */
export type WorkerCall = {
  [K in keyof WorkerCalls]: readonly [K, ...Parameters<WorkerCalls[K]>];
}[keyof WorkerCalls];

export type WorkerReport =
  | { readonly type: 'ready' }
  /** What one turn of the worker's loop brought, in order. */
  | { readonly type: 'events'; readonly events: readonly PlaneEvent[] }
  /** What one turn wrote into a device in memory. */
  | { readonly type: 'device-packets'; readonly device: DeviceId; readonly packets: readonly Uint8Array[] }
  /** It has had no time left for a while, and moves packets that another worker could. */
  | { readonly type: 'busy' }
  | { readonly type: 'opening-given'; readonly link: LinkId; readonly openings: readonly Opening[] }
  /** The worker no longer touches the fd, or the counters, that the ticket was for. */
  | { readonly type: 'let-go'; readonly ticket: number };
