// While a tunnel is still idle its data worker walks the packets' way with some of its own: from a device through seal, socket
// and open back into the device. V8 makes the best code of what has run some thousand times, and a tunnel with little traffic
// would take hours to get there, each packet meeting slow code in cold caches until then.
//
// What is rehearsed is the first connection of the usual kind as the main thread has asked for it, with a device, a socket, an
// address and a key of the rehearsal's own (rehearsal-stage.ts). A loop of its own moves the packets, on the worker's memory,
// between two turns of the worker's loop and only while that has nothing to do, one packet at a time. It begins once a key
// is used and ends after some hundred milliseconds, or at the first packet that does not come back.

import type {
  DeviceId,
  DeviceOptions,
  KeyHandle,
  KeyOptions,
  LinkId,
  LinkOptions,
  PeerHandle,
  PeerOptions,
} from '../data/plane.ts';
import { bootMs } from './clock.ts';
import { type CreateStageLoop, isStaged, openStage, type Stage, type StagedConnection } from './rehearsal-stage.ts';
import type { WorkerCall } from './worker-messages.ts';

/** A slow machine, or one that is busy with other things, is left alone after so long. */
const LONGEST_MS = 3_000;

export class Rehearsal {
  readonly #createLoop: CreateStageLoop;
  /** Whether there is something to rehearse now. */
  isDue = false;
  readonly #devices = new Map<DeviceId, DeviceOptions>();
  readonly #links = new Map<LinkId, LinkOptions>();
  readonly #peers = new Map<PeerHandle, PeerOptions>();
  readonly #keys = new Map<KeyHandle, KeyOptions>();
  #connection: StagedConnection | undefined;
  #stage: Stage | undefined;
  #untilMs = 0;
  #roundsLeft: number;

  /** In a round one packet of every kind goes out and comes in. */
  constructor(rounds: number, createLoop: CreateStageLoop) {
    this.#roundsLeft = rounds;
    this.#createLoop = createLoop;
  }

  /** Looks at what the main thread asks of the worker. */
  handleCall(call: WorkerCall): void {
    if (this.#roundsLeft === 0 || this.isDue) return;
    switch (call[0]) {
      case 'addDevice':
        this.#devices.set(call[1], call[2]);
        break;
      case 'removeDevice':
        this.#devices.delete(call[1]);
        break;
      case 'addLink':
        this.#links.set(call[1], call[2]);
        break;
      case 'removeLink':
        this.#links.delete(call[1]);
        break;
      case 'addPeer':
        this.#peers.set(call[1], call[3]);
        break;
      case 'setPeer':
        this.#change(call[1], call[2]);
        break;
      case 'removePeer':
        this.#peers.delete(call[1]);
        break;
      case 'addKey':
        this.#keys.set(call[2], call[3]);
        break;
      case 'removeKey':
        this.#keys.delete(call[2]);
        break;
      case 'useKey':
        this.#use(call[1], call[2]);
        break;
      default:
    }
  }

  #change(id: PeerHandle, change: Partial<PeerOptions>): void {
    const peer = this.#peers.get(id);
    if (peer !== undefined) this.#peers.set(id, { ...peer, ...change });
  }

  #use(peerId: PeerHandle, keyId: KeyHandle): void {
    const [peer, key] = [this.#peers.get(peerId), this.#keys.get(keyId)];
    if (peer === undefined || key === undefined) return;
    const [device, link] = [this.#devices.get(peer.device), this.#links.get(peer.link)];
    if (device === undefined || link === undefined || !isStaged(device, link)) return;
    this.#connection = { device, link, peer, key };
    this.isDue = true;
  }

  /** One packet's way out and in. Whatever goes wrong ends the rehearsal and nothing else. */
  step(): void {
    try {
      this.#stage ??= this.#open();
      if (this.#stage?.step() !== true) this.close();
      else if (this.#stage.isRoundOver && --this.#roundsLeft === 0) this.close();
      else if (this.#stage.nowMs > this.#untilMs) this.close();
    } catch {
      this.close();
    }
  }

  #open(): Stage | undefined {
    this.#untilMs = bootMs() + LONGEST_MS;
    return this.#connection && openStage(this.#connection, this.#createLoop);
  }

  /** Ends it, wherever it is. */
  close(): void {
    this.#roundsLeft = 0;
    this.isDue = false;
    this.#connection = undefined;
    for (const known of [this.#devices, this.#links, this.#peers, this.#keys]) known.clear();
    this.#stage?.close();
    this.#stage = undefined;
  }
}
