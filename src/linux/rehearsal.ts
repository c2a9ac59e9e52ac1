// Before its first packets a data worker walks their way with some of its own: from a device through seal, socket and open
// back into the device. V8 makes the best code of what has run some hundred times, and a tunnel with little traffic would
// take an hour to get there, each packet meeting slow code in cold caches until then.
//
// What is rehearsed is the first connection as the main thread has asked for it, with a device, a socket, an address and
// a key of the rehearsal's own: a socket pair stands for the device, a datagram socket that is its own far end for the
// link. A loop of its own moves the packets, on the worker's memory, between two turns of the worker's loop and only
// while that has nothing to do, one packet at a time. It begins when a key is first used and ends after some hundred
// milliseconds, or at the first packet that does not come back.

import type { KeyOptions } from '../data/plane.ts';
import { nativeBytes } from './libc.ts';
import { randomBytesAt } from './openssl.ts';
import { type CreateStageLoop, openStage, type Stage, type StagedConnection } from './rehearsal-stage.ts';
import type { WorkerCall } from './worker-messages.ts';

export class Rehearsal {
  readonly #createLoop: CreateStageLoop;
  /** Whether there is something to rehearse now. */
  isDue = false;
  readonly #connection: StagedConnection = {};
  #stage: Stage | undefined;
  #roundsLeft: number;

  /** In a round one packet of every kind goes out and comes in. */
  constructor(rounds: number, createLoop: CreateStageLoop) {
    this.#roundsLeft = rounds;
    this.#createLoop = createLoop;
  }

  /** Looks at what the main thread asks of the worker. */
  handleCall(call: WorkerCall): void {
    if (this.#roundsLeft === 0 || this.#stage !== undefined) return;
    const connection = this.#connection;
    switch (call[0]) {
      case 'addDevice':
        connection.device ??= call[2];
        break;
      case 'addLink':
        connection.link ??= call[2];
        break;
      case 'addPeer':
        connection.peer ??= call[3];
        break;
      case 'setPeer':
        if (connection.peer !== undefined) connection.peer = { ...connection.peer, ...call[2] };
        break;
      case 'addKey':
        connection.key ??= { ...call[3], material: ownMaterial(call[3]) };
        break;
      case 'useKey':
        this.#stage = openStage(connection, this.#createLoop);
        this.isDue = this.#stage !== undefined;
        if (!this.isDue) this.#roundsLeft = 0;
        break;
      default:
    }
  }

  /** One packet's way out and in. */
  step(): void {
    if (this.#stage === undefined) return;
    const isBack = this.#stage.step();
    if (this.#stage.isRoundOver) this.#roundsLeft--;
    if (!isBack || this.#roundsLeft === 0) this.close();
  }

  /** Ends it, wherever it is. */
  close(): void {
    this.#roundsLeft = 0;
    this.isDue = false;
    this.#stage?.close();
    this.#stage = undefined;
  }
}

/** Random bytes instead of the connection's own, the same for both directions, so that what is sealed can be opened. */
function ownMaterial({ material: { seal } }: KeyOptions): KeyOptions['material'] {
  const { address, bytes } = nativeBytes(seal.cipher.length + seal.hmac.length);
  randomBytesAt(address, bytes.length);
  const [cipher, hmac] = [bytes.slice(0, seal.cipher.length), bytes.slice(seal.cipher.length)];
  return { seal: { cipher, hmac }, open: { cipher, hmac } };
}
