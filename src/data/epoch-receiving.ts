// The epochs of the opening direction: the one that the peer seals with, the one before it for packets that are late, and
// those that may come next. Which one counts is the peer's choice, and only an authentic packet makes it.
//
// A key that may come is derived when a packet names its epoch for the first time, and kept. Whoever forges packets costs
// at most so many derivations as there are such epochs; nothing else follows from a packet that is not authentic.

import { EPOCH_MAX, type EpochKey, type EpochSecret } from './epoch-secret.ts';
import { ReplayWindow, type WindowContent } from './replay-window.ts';
import { FAILED_TAGS_NOTICE } from './usage-limits.ts';

/** Epochs after the current one that packets are taken of; the C program's figure. */
const EPOCHS_AHEAD = 16;

/** An epoch of the peer's: its key, what came under it, and how often a tag was wrong. */
export interface ReceivingEpoch extends EpochKey {
  readonly window: ReplayWindow;
  blocks: number;
  failedTags: number;
}

interface EpochReceived {
  readonly epoch: number;
  readonly window: WindowContent;
  readonly blocks: number;
  readonly failedTags: number;
}

/** What came under the epochs that packets were authentic of. */
export interface EpochsReceived {
  readonly current: EpochReceived;
  readonly previous: EpochReceived | undefined;
}

export class EpochReceiving {
  readonly #cipher: string;
  readonly #limitBlocks: number;
  readonly #windowPackets: number;
  readonly #windowSeconds: number;
  /** Stands at the current epoch. */
  readonly #secret: EpochSecret;
  #current: ReceivingEpoch;
  #previous: ReceivingEpoch | undefined;
  /** Epoch `n` at `n % EPOCHS_AHEAD`, where its key was needed already. */
  readonly #ahead: (ReceivingEpoch | undefined)[] = new Array(EPOCHS_AHEAD).fill(undefined);

  /** Begins where the secret stands, which is its own from then on. `limitBlocks`: blocks and packets of one epoch. */
  constructor(secret: EpochSecret, cipher: string, limitBlocks: number, windowPackets: number, windowSeconds: number) {
    this.#limitBlocks = limitBlocks;
    this.#cipher = cipher;
    this.#windowPackets = windowPackets;
    this.#windowSeconds = windowSeconds;
    this.#secret = secret;
    this.#current = this.#derive(secret.epoch);
  }

  get current(): ReceivingEpoch {
    return this.#current;
  }

  /** Whether the peer should leave the current epoch. */
  get isWornOut(): boolean {
    const { blocks, window, failedTags } = this.#current;
    return blocks + window.highest > this.#limitBlocks || failedTags > FAILED_TAGS_NOTICE;
  }

  /** The epoch that a packet names, if packets of it are taken now. */
  find(epoch: number): ReceivingEpoch | undefined {
    const current = this.#current;
    if (epoch === current.epoch) return current;
    if (epoch === this.#previous?.epoch) return this.#previous;
    const ahead = epoch - current.epoch;
    // So near the end the C program has no keys ahead; a renegotiation is long under way.
    if (ahead < 1 || ahead > EPOCHS_AHEAD || epoch >= EPOCH_MAX - EPOCHS_AHEAD) return undefined;
    const place = epoch % EPOCHS_AHEAD;
    let found = this.#ahead[place];
    if (found === undefined) {
      found = this.#derive(epoch);
      this.#ahead[place] = found;
    }
    return found;
  }

  /** An authentic packet came of an epoch that was found ahead: the peer seals with it now. */
  moveTo(next: ReceivingEpoch): void {
    this.#previous?.key.close();
    this.#previous = this.#current;
    this.#current = next;
    for (let place = 0; place < EPOCHS_AHEAD; place++) {
      const waiting = this.#ahead[place];
      if (waiting === undefined || waiting.epoch > next.epoch) continue;
      if (waiting !== next) waiting.key.close();
      this.#ahead[place] = undefined;
    }
    this.#secret.moveTo(next.epoch);
  }

  get received(): EpochsReceived {
    return { current: contentOf(this.#current), previous: this.#previous && contentOf(this.#previous) };
  }

  /** Stands where another one stood that began where this one still is. */
  resume({ current, previous }: EpochsReceived): void {
    this.#current.key.close();
    if (previous !== undefined) this.#previous = this.#derive(previous.epoch, previous);
    this.#current = this.#derive(current.epoch, current);
    this.#secret.moveTo(current.epoch);
  }

  close(): void {
    this.#current.key.close();
    this.#previous?.key.close();
    for (const waiting of this.#ahead) waiting?.key.close();
    this.#secret.wipe();
  }

  #derive(epoch: number, received?: EpochReceived): ReceivingEpoch {
    const { key, mask } = this.#secret.keyOf(epoch, this.#cipher, 'open');
    const window = new ReplayWindow(this.#windowPackets, this.#windowSeconds);
    if (received !== undefined) window.resume(received.window);
    return { epoch, key, mask, window, blocks: received?.blocks ?? 0, failedTags: received?.failedTags ?? 0 };
  }
}

function contentOf({ epoch, window, blocks, failedTags }: ReceivingEpoch): EpochReceived {
  return { epoch, window: window.content, blocks, failedTags };
}
