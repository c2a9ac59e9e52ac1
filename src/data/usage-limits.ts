// How far a key may be used. Packet-ids never wrap: past the notice the session must renegotiate, past the end nothing
// is sealed. AES-GCM has a bound on what one key may encrypt; bytes and packets are the session's own limits
// (`--reneg-bytes`, `--reneg-pkts`). Each reason is told once.

/** Packet-ids from here on ask for a new key; the C program's figure. */
export const PACKET_ID_NOTICE = 0xff000000;
/** The last packet-id that is sent. */
export const PACKET_ID_MAX = 0xffffffff;
/** Failed tags after which a key opens nothing more (RFC 9147 derives it for AES-GCM; the C program has it for all). */
export const FAILED_TAGS_MAX = 2 ** 36;
/** Blocks and packets under one AES-GCM key, and the share of them at which a new key is asked for. */
const AES_GCM_BLOCKS = 2 ** 36 - 1;
const NOTICE_SHARE = 7 / 8;

export type UsageReason = 'bytes' | 'packets' | 'packet-id';

export interface UsageLimitsOptions {
  readonly cipher: string;
  /** 0 for none. */
  readonly limitBytes: number;
  readonly limitPackets: number;
}

/**
 * What has gone through one key whose directions two threads have, in shared memory: bytes and packets of the one, then of
 * the other; this is the one at `place`.
 */
export interface SharedUsage {
  readonly counts: Float64Array;
  readonly place: 0 | 1;
}

/** What has gone through one key, both ways. */
export class UsageLimits {
  readonly #limitBytes: number;
  readonly #limitPackets: number;
  readonly #limitBlocks: number;
  readonly #shared: SharedUsage | undefined;
  #bytes = 0;
  #packets = 0;
  #sealedBlocks = 0;
  #openedBlocks = 0;
  #bytesTold = false;
  #packetsTold = false;
  #packetIdTold = false;

  constructor(options: UsageLimitsOptions, shared?: SharedUsage) {
    this.#shared = shared;
    this.#limitBytes = options.limitBytes > 0 ? options.limitBytes : Number.POSITIVE_INFINITY;
    this.#limitPackets = options.limitPackets > 0 ? options.limitPackets : Number.POSITIVE_INFINITY;
    this.#limitBlocks = options.cipher.endsWith('-GCM') ? AES_GCM_BLOCKS * NOTICE_SHARE : Number.POSITIVE_INFINITY;
  }

  /** Counts a packet that was sealed; the reason for a new key when it has just become one. */
  handleSealed(lengthBytes: number, packetId: number): UsageReason | undefined {
    this.#sealedBlocks += Math.ceil(lengthBytes / 16);
    this.#count(lengthBytes);
    if (packetId >= PACKET_ID_NOTICE && !this.#packetIdTold) {
      this.#packetIdTold = true;
      return 'packet-id';
    }
    return this.#reason(packetId);
  }

  /** Counts a packet that was opened. */
  handleOpened(lengthBytes: number, packetId: number): UsageReason | undefined {
    this.#openedBlocks += Math.ceil(lengthBytes / 16);
    this.#count(lengthBytes);
    return this.#reason(packetId);
  }

  #count(lengthBytes: number): void {
    this.#bytes += lengthBytes;
    this.#packets++;
    if (this.#shared === undefined) return;
    const { counts, place } = this.#shared;
    counts[2 * place] = this.#bytes;
    counts[2 * place + 1] = this.#packets;
  }

  /** The bytes, or packets, of the thread that has the other direction. */
  #others(which: 0 | 1): number {
    return this.#shared === undefined ? 0 : (this.#shared.counts[2 - 2 * this.#shared.place + which] ?? 0);
  }

  #reason(packetId: number): UsageReason | undefined {
    const bytes = this.#bytes + this.#others(0);
    if (!this.#bytesTold && (bytes >= this.#limitBytes || this.#blocks(packetId) >= this.#limitBlocks)) {
      this.#bytesTold = true;
      return 'bytes';
    }
    if (!this.#packetsTold && this.#packets + this.#others(1) >= this.#limitPackets) {
      this.#packetsTold = true;
      return 'packets';
    }
    return undefined;
  }

  /** The bound holds for each direction, whose keys differ. */
  #blocks(packetId: number): number {
    return Math.max(this.#sealedBlocks, this.#openedBlocks) + packetId;
  }
}
