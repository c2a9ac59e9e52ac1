// The key schedule of the epoch format. A direction has one secret for each epoch: it gives that epoch's key and nonce
// mask, then the secret of the next epoch, and nothing leads back.
//
//   E(1)      the first 32 bytes of the direction's cipher half of key2
//   E(n+1)    expand(E(n), "datakey upd", 32)
//   key       expand(E(n), "data_key", key length of the cipher)
//   mask      expand(E(n), "data_iv", 12)
//
//   expand    HKDF-Expand of SHA-256 (RFC 5869) with  length u16 | label length + 5 u8 | "ovpn " | label | 0 u8 :
//             up to 32 bytes it is the start of  HMAC(secret, those | 1)
//
// Source: docs/WIRE.md 7.2; vectors checked against OpenVPN 2.7.8: test/vectors/epoch-keys.txt.

import { cipherFacts } from '../crypto/cipher-table.ts';
import { EPOCH_SECRET_BYTES } from '../crypto/data-keys.ts';
import type { AeadKey, PacketCrypto } from '../crypto/provider.ts';

/** Bytes of the arena that the schedule works in. */
export const EPOCH_SCRATCH_BYTES = 64;
/** The last epoch that 16 bits can name. */
export const EPOCH_MAX = 0xffff;

const MASK_BYTES = 12;
const LABEL_PREFIX = 'ovpn ';
const DIGEST_PLACE = 32;

/** One epoch's key in one direction. `mask`: three words that the nonce is XORed with. */
export interface EpochKey {
  readonly epoch: number;
  readonly key: AeadKey;
  readonly mask: readonly [number, number, number];
}

/** Where a direction's schedule stands. Wiped as it moves on. */
export class EpochSecret {
  readonly #crypto: PacketCrypto;
  readonly #scratch: number;
  readonly #secret: Uint8Array;
  #epoch: number;

  /** `first`: E(1), of which a copy is kept. `scratch`: EPOCH_SCRATCH_BYTES of the arena, free whenever a call is made. */
  constructor(crypto: PacketCrypto, first: Uint8Array, scratch: number, epoch = 1) {
    if (first.length !== EPOCH_SECRET_BYTES) throw new RangeError(`an epoch secret has ${EPOCH_SECRET_BYTES} bytes`);
    this.#crypto = crypto;
    this.#scratch = scratch;
    this.#secret = first.slice();
    this.#epoch = epoch;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Moves on to a later epoch; the way there is not kept. */
  moveTo(epoch: number): void {
    while (this.#epoch < epoch) {
      const next = this.#expand('datakey upd', EPOCH_SECRET_BYTES);
      this.#secret.set(next);
      next.fill(0);
      this.#epoch++;
    }
  }

  /** The key of a later epoch, or of this one, without moving on. */
  keyOf(epoch: number, cipher: string, direction: 'seal' | 'open'): EpochKey {
    if (epoch === this.#epoch) return this.#key(cipher, direction);
    const ahead = new EpochSecret(this.#crypto, this.#secret, this.#scratch, this.#epoch);
    try {
      ahead.moveTo(epoch);
      return ahead.#key(cipher, direction);
    } finally {
      ahead.wipe();
    }
  }

  wipe(): void {
    this.#secret.fill(0);
  }

  #key(cipher: string, direction: 'seal' | 'open'): EpochKey {
    const keyBytes = cipherFacts(cipher)?.keyBytes ?? 0;
    const bytes = this.#expand('data_key', keyBytes);
    const mask = this.#expand('data_iv', MASK_BYTES);
    try {
      const words = new DataView(mask.buffer);
      return {
        epoch: this.#epoch,
        key: this.#crypto.aeadKey(cipher, direction, bytes),
        mask: [words.getInt32(0), words.getInt32(4), words.getInt32(8)],
      };
    } finally {
      bytes.fill(0);
      mask.fill(0);
    }
  }

  /** At most 32 bytes, which the caller wipes. */
  #expand(label: string, lengthBytes: number): Uint8Array<ArrayBuffer> {
    const { bytes, view } = this.#crypto.arena;
    const scratch = this.#scratch;
    const text = LABEL_PREFIX + label;
    view.setUint16(scratch, lengthBytes);
    view.setUint8(scratch + 2, text.length);
    for (let index = 0; index < text.length; index++) view.setUint8(scratch + 3 + index, text.charCodeAt(index));
    const context = scratch + 3 + text.length;
    view.setUint8(context, 0);
    view.setUint8(context + 1, 1);
    const mac = this.#crypto.macKey('SHA256', this.#secret);
    try {
      mac.sign(scratch, context + 2 - scratch, scratch + DIGEST_PLACE);
      return bytes.slice(scratch + DIGEST_PLACE, scratch + DIGEST_PLACE + lengthBytes) as Uint8Array<ArrayBuffer>;
    } finally {
      mac.close();
      bytes.fill(0, scratch, scratch + EPOCH_SCRATCH_BYTES);
    }
  }
}
