// What devices and links of the data worker have in common.

import type { PlaneCore } from '../data/plane-core.ts';
import { dropCode } from '../data/verdict.ts';
import { errnoName, errnoText } from './errno.ts';
import type { Outbox } from './outbox.ts';
import type { PacketMemory } from './packet-memory.ts';
import type { Pollable, PollSet } from './poll-set.ts';

/** The surroundings of one fd in the worker. */
export interface PumpContext {
  readonly core: PlaneCore;
  readonly memory: PacketMemory;
  readonly polls: PollSet;
  readonly outbox: Outbox;
  /** The plane's counters; the calls of fds are counted here, packets by the engine. */
  readonly counters: Float64Array;
  /** Without a packet for so long, the next is taken for one alone. */
  readonly pauseMs: number;
  /** Monotonic milliseconds of this turn of the loop. */
  nowMs(): number;
  /** Carries out the calls that the main thread has made; to be called between reading a packet and handing it on. */
  takeCalls(): void;
  /** To be called when a `path` has changed. */
  tellPath(): void;
}

/** An fd that the worker reads and can be told to leave alone. */
export interface Pump extends Pollable {
  /** From now on the fd is not touched, not even for a packet in hand. */
  letGo(): void;
}

/** One that moves packets. */
export interface PacketPump extends Pump {
  /** How, in a few words for the log. */
  readonly path: string;
}

/** Packets that are read from one fd before the others have their turn; the last read may bring more. */
export const READ_BUDGET = 128;

export const LINK_FULL = dropCode('link-full');
export const LINK_ERROR = dropCode('link-error');
export const DEVICE_ERROR = dropCode('device-error');

const JOIN_MS = 1_000;

/**
 * Joins repetitions: an error is told at once, the same again not before a second has passed, whatever others come between:
 * on a socket that serves many, ICMP from anywhere makes them.
 */
export class ErrorReporter {
  readonly #tell: (code: string, text: string, errno: number) => void;
  /** By number, of which the system has some hundred. */
  readonly #quietUntilMs = new Map<number, number>();

  constructor(tell: (code: string, text: string, errno: number) => void) {
    this.#tell = tell;
  }

  handleError(number: number, nowMs: number): void {
    if (nowMs < (this.#quietUntilMs.get(number) ?? 0)) return;
    this.#quietUntilMs.set(number, nowMs + JOIN_MS);
    this.#tell(errnoName(number), errnoText(number), number);
  }
}
