// The receiving half of the reliability layer: order, and what is to be acknowledged. Figures: docs/WIRE.md 2.1.

/** Message ids ahead of the next expected one that are kept. */
export const RECEIVE_WINDOW = 12;
/** Acknowledgements that wait at most, and how many past ones are repeated to fill a list. */
const ACKS_LIMIT = 8;

export type ReceiveVerdict = 'accepted' | 'replay' | 'out-of-window';

export interface ReceivedPacket {
  readonly messageId: number;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** Messages of one direction of one key state. */
export class ReliableReceive {
  #next: number;
  readonly #stored = new Map<number, ReceivedPacket>();
  #pendingAcks: number[] = [];
  #recentAcks: number[] = [];

  /** Messages before `firstId` were received and acknowledged elsewhere. */
  constructor(firstId = 0) {
    this.#next = firstId;
  }

  get hasPendingAcks(): boolean {
    return this.#pendingAcks.length > 0;
  }

  /** Stores a copy of a message; one that came before is acknowledged again and not delivered. */
  handleMessage(messageId: number, opcode: number, payload: Uint8Array): ReceiveVerdict {
    if (messageId >= this.#next + RECEIVE_WINDOW) return 'out-of-window';
    const replay = messageId < this.#next || this.#stored.has(messageId);
    if (!replay) this.#stored.set(messageId, { messageId, opcode, payload: payload.slice() });
    this.#acknowledge(messageId);
    return replay ? 'replay' : 'accepted';
  }

  /** The next message in order. */
  pollNext(): ReceivedPacket | undefined {
    const packet = this.#stored.get(this.#next);
    if (packet === undefined) return undefined;
    this.#stored.delete(this.#next);
    this.#next++;
    return packet;
  }

  /** Acknowledgements for one packet: those that wait, then recent ones again while there is room. */
  takeAcks(limit: number): number[] {
    const fresh = this.#pendingAcks.splice(0, limit);
    const acks = [...fresh];
    for (const id of this.#recentAcks) {
      if (acks.length >= limit) break;
      if (!acks.includes(id)) acks.push(id);
    }
    this.#recentAcks = [...fresh, ...this.#recentAcks.filter((id) => !fresh.includes(id))].slice(0, ACKS_LIMIT);
    return acks;
  }

  #acknowledge(messageId: number): void {
    if (this.#pendingAcks.length < ACKS_LIMIT && !this.#pendingAcks.includes(messageId)) {
      this.#pendingAcks.push(messageId);
    }
  }
}
