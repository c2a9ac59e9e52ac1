// The epochs of the sealing direction: one key at a time, replaced by the next before it has carried too much.

import { EPOCH_MAX, type EpochKey, type EpochSecret } from './epoch-secret.ts';

/** The last counter of an epoch: 48 bits. */
export const EPOCH_COUNTER_MAX = 2 ** 48 - 1;

export class EpochSending {
  /** The last one sent in this epoch. */
  counter = 0;
  readonly #cipher: string;
  readonly #secret: EpochSecret;
  readonly #limitBlocks: number;
  #current: EpochKey;
  #blocks = 0;

  /** Begins where the secret stands, which is its own from then on. `limitBlocks`: blocks and packets of one epoch. */
  constructor(secret: EpochSecret, cipher: string, limitBlocks: number) {
    this.#cipher = cipher;
    this.#secret = secret;
    this.#limitBlocks = limitBlocks;
    this.#current = secret.keyOf(secret.epoch, cipher, 'seal');
  }

  get current(): EpochKey {
    return this.#current;
  }

  /**
   * The counter of the next packet, which has so many blocks; moves on to the next epoch where this one is used up. 0
   * after the last epoch: nothing may be sealed any more.
   */
  take(blocks: number): number {
    if (this.#usedUp) this.moveTo(this.#current.epoch + 1);
    if (this.#usedUp) return 0;
    this.#blocks += blocks;
    return ++this.counter;
  }

  /** Seals with a later epoch from now on. The key of this one is gone, and its counters with it. */
  moveTo(epoch: number): void {
    if (epoch <= this.#current.epoch || epoch > EPOCH_MAX) return;
    this.#current.key.close();
    this.#secret.moveTo(epoch);
    this.#current = this.#secret.keyOf(epoch, this.#cipher, 'seal');
    this.counter = 0;
    this.#blocks = 0;
  }

  close(): void {
    this.#current.key.close();
    this.#secret.wipe();
  }

  get #usedUp(): boolean {
    return this.counter >= EPOCH_COUNTER_MAX || this.#blocks + this.counter > this.#limitBlocks;
  }
}
