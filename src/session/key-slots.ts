// Which keys live: one under negotiation, the current one, and the lame duck that it replaced. All that have data keys
// are open for receiving; sending moves to a new key late, so that the peer is surely ready (docs/WIRE.md 10).

import type { Opcode } from '../wire/opcode.ts';
import { closeKey, type SessionKey } from './session-key.ts';

/** First 0, then 1 to 7 and round again. */
export function nextKeyId(keyId: number): number {
  return keyId === 7 ? 1 : keyId + 1;
}

export class KeySlots {
  #negotiating: SessionKey | undefined;
  #current: SessionKey | undefined;
  #lameDuck: SessionKey | undefined;
  /** Whose data key is used for sending. */
  #sending: SessionKey | undefined;
  /** Of keys that are gone. */
  #pastRetransmits = 0;

  get negotiating(): SessionKey | undefined {
    return this.#negotiating;
  }

  get current(): SessionKey | undefined {
    return this.#current;
  }

  get lameDuck(): SessionKey | undefined {
    return this.#lameDuck;
  }

  get sending(): SessionKey | undefined {
    return this.#sending;
  }

  /** Keys that speak on the control channel, newest first. */
  get speaking(): SessionKey[] {
    return [this.#negotiating, this.#current].filter((key) => key !== undefined);
  }

  /** The key that a control packet belongs to. */
  find(keyId: number): SessionKey | undefined {
    return this.speaking.find((key) => key.state.keyId === keyId);
  }

  /** Whether this side may begin a key of its own or answer one of the peer's. */
  get mayRenegotiate(): boolean {
    return this.#negotiating === undefined && this.#current?.handle !== undefined;
  }

  negotiate(key: SessionKey): void {
    this.#negotiating = key;
  }

  /**
   * The negotiated key is ready: it becomes the current one. Returns the keys that are gone. The lame duck only opens
   * data packets from now on; its TLS session, by far the most that it holds, ends here and not in an hour.
   */
  promote(): SessionKey[] {
    const gone = this.#lameDuck === undefined ? [] : [this.#lameDuck];
    this.#lameDuck = this.#current;
    this.#current = this.#negotiating;
    this.#negotiating = undefined;
    if (this.#lameDuck !== undefined) closeKey(this.#lameDuck);
    for (const key of gone) this.#close(key);
    return gone;
  }

  /** Gives up the negotiation; the current key stays. */
  abandon(): SessionKey | undefined {
    const key = this.#negotiating;
    this.#negotiating = undefined;
    if (key !== undefined) this.#close(key);
    return key;
  }

  dropLameDuck(): SessionKey | undefined {
    const key = this.#lameDuck;
    this.#lameDuck = undefined;
    if (key !== undefined) this.#close(key);
    return key;
  }

  use(key: SessionKey): void {
    this.#sending = key;
  }

  /** Control packets sent again, by all keys there ever were. */
  get retransmits(): number {
    return this.#live.reduce((sum, key) => sum + key.state.retransmits, this.#pastRetransmits);
  }

  close(): void {
    for (const key of this.#live) this.#close(key);
    this.#negotiating = undefined;
    this.#current = undefined;
    this.#lameDuck = undefined;
    this.#sending = undefined;
  }

  get #live(): SessionKey[] {
    return [this.#negotiating, this.#current, this.#lameDuck].filter((key) => key !== undefined);
  }

  #close(key: SessionKey): void {
    this.#pastRetransmits += key.state.retransmits;
    closeKey(key);
  }
}

/** The largest payload of a control packet of this opcode, in the C program's arithmetic (ssl.c). */
export function payloadLimit(
  maxControlPacketBytes: number,
  wrap: { readonly overheadBytes: number; appendedBytes(opcode: number): number },
  opcode: Opcode,
): number {
  const outer = 40 + 8;
  const header = 1 + 8;
  const acks = 1 + 4 * ACKS_WITH_MESSAGE + 8;
  const messageId = 4;
  const overhead = outer + header + acks + messageId + wrap.overheadBytes + wrap.appendedBytes(opcode);
  return Math.max(PAYLOAD_FLOOR_BYTES, maxControlPacketBytes - overhead);
}

/** Acknowledgements that ride on a message at most. */
export const ACKS_WITH_MESSAGE = 4;
/** Sent even where max-packet-size leaves no room. */
const PAYLOAD_FLOOR_BYTES = 16;
