// The sending half of the reliability layer: message ids, retransmission. Figures: docs/WIRE.md 2.1.

/** Packets under way at most. */
export const SEND_WINDOW = 6;
/** Later packets acknowledged before one is taken for lost. */
const FAST_RETRANSMIT_ACKS = 3;
/**
 * Doubling stops at this many first timeouts. The C program goes on doubling and sends a packet six times within the
 * hand-window; over the noisy wire of the tests (30 % loss) that failed 10 handshakes of 300, with this bound none.
 */
const TIMEOUT_CAP_FACTOR = 4;

interface Entry {
  readonly messageId: number;
  readonly opcode: number;
  readonly payload: Uint8Array;
  dueMs: number;
  timeoutMs: number;
  laterAcks: number;
  sent: boolean;
}

export interface ReliablePacket {
  readonly messageId: number;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** Messages of one direction of one key state, oldest first, until they are acknowledged. */
export class ReliableSend {
  readonly #timeoutMs: number;
  #entries: Entry[] = [];
  #nextId: number;
  #retransmits = 0;

  /** Messages before `firstId` were sent and acknowledged elsewhere. */
  constructor(timeoutMs: number, firstId = 0) {
    this.#timeoutMs = timeoutMs;
    this.#nextId = firstId;
  }

  /** Places that are free in the window. */
  get room(): number {
    const oldest = this.#entries[0]?.messageId ?? this.#nextId;
    return Math.max(0, SEND_WINDOW - (this.#nextId - oldest));
  }

  /** Whether everything queued was acknowledged. */
  get empty(): boolean {
    return this.#entries.length === 0;
  }

  /** The id that the next queued message gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Whether a message was sent and acknowledged. */
  isAcknowledged(messageId: number): boolean {
    return messageId < this.#nextId && !this.#entries.some((entry) => entry.messageId === messageId);
  }

  get retransmits(): number {
    return this.#retransmits;
  }

  /** Takes a message for sending at once. Only while there is `room`. */
  queue(opcode: number, payload: Uint8Array, nowMs: number): void {
    if (this.room === 0) throw new RangeError('the send window is full');
    const messageId = this.#nextId++;
    const fresh = { dueMs: nowMs, timeoutMs: this.#timeoutMs, laterAcks: 0, sent: false };
    this.#entries.push({ messageId, opcode, payload, ...fresh });
  }

  /** Ids that are not under way are ignored. Returns whether anything was new. */
  handleAcks(ids: readonly number[]): boolean {
    const before = this.#entries.length;
    for (const id of ids) {
      const index = this.#entries.findIndex((entry) => entry.messageId === id && entry.sent);
      if (index < 0) continue;
      this.#entries.splice(index, 1);
      for (const entry of this.#entries) if (entry.messageId < id) entry.laterAcks++;
    }
    return this.#entries.length < before;
  }

  /** The oldest message that is due, with its next retransmission set. */
  pollDue(nowMs: number): ReliablePacket | undefined {
    const entry = this.#entries.find((each) => this.#isDue(each, nowMs));
    if (entry === undefined) return undefined;
    if (entry.sent) this.#retransmits++;
    entry.sent = true;
    entry.laterAcks = 0;
    entry.dueMs = nowMs + entry.timeoutMs;
    entry.timeoutMs = Math.min(this.#timeoutMs * TIMEOUT_CAP_FACTOR, entry.timeoutMs * 2);
    return entry;
  }

  /** Messages that never left, for the last words of an ended session. */
  pollUnsent(): ReliablePacket | undefined {
    const entry = this.#entries.find((each) => !each.sent);
    if (entry !== undefined) entry.sent = true;
    return entry;
  }

  /** Makes everything due at once: a peer that answers for the first time has likely missed what was sent before. */
  retransmitAll(nowMs: number): void {
    for (const entry of this.#entries) {
      entry.dueMs = nowMs;
      entry.timeoutMs = this.#timeoutMs;
    }
  }

  /** When the next message is due; undefined when none is under way. */
  nextDueMs(): number | undefined {
    let due: number | undefined;
    for (const entry of this.#entries) {
      const at = entry.laterAcks >= FAST_RETRANSMIT_ACKS ? 0 : entry.dueMs;
      if (due === undefined || at < due) due = at;
    }
    return due;
  }

  #isDue(entry: Entry, nowMs: number): boolean {
    return entry.dueMs <= nowMs || entry.laterAcks >= FAST_RETRANSMIT_ACKS;
  }
}
