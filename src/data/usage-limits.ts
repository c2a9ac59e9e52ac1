// How far a key may be used. Packet-ids never wrap: past the notice the session must renegotiate, past the end nothing
// is sealed. AES-GCM has a bound on what one key may carry, which asks for a new one in time; in the epoch format the next
// epoch is the new key, and only the last epochs ask for a renegotiation. Bytes and packets are the session's own limits
// (`--reneg-bytes`, `--reneg-pkts`). Each reason is told once. Figures: OpenVPN 2.7.8.

/** Packet-ids from here on ask for a new key; the C program's figure. */
export const PACKET_ID_NOTICE = 0xff000000;
/** The last packet-id that is sent. */
export const PACKET_ID_MAX = 0xffffffff;
/** Epochs from here on ask for a new key. */
export const EPOCH_NOTICE = 0xf000;
/** Failed tags after which a key opens nothing more (RFC 9147 derives it for AES-GCM; the C program has it for all). */
export const FAILED_TAGS_MAX = 2 ** 36;
/** Failed tags after which another key is asked for. */
export const FAILED_TAGS_NOTICE = 2 ** 35;

/**
 * Blocks and packets that one AES-GCM key may carry: q + s <= p^(1/2) * 2^(129/2) - 1 of draft-irtf-cfrg-aead-limits with
 * p = 2^-57.
 */
const AES_GCM_BLOCKS = 2 ** 36 - 1;
const BLOCK_BYTES = 16;

export type UsageReason = 'bytes' | 'packets' | 'packet-id' | 'cipher' | 'failed-tags' | 'epoch';

export interface UsageLimitsOptions {
  readonly cipher: string;
  readonly format?: 'epoch' | undefined;
  /** 0 for none. */
  readonly limitBytes: number;
  readonly limitPackets: number;
  /** For tests: blocks and packets that one AES-GCM key may carry, if that is less than what it may. */
  readonly limitBlocks?: number | undefined;
}

/**
 * What has gone through one key whose directions two threads have, in shared memory: bytes and packets of the one, then of
 * the other, then the epoch that the one that opens asks the one that seals to move to; this is the one at `place`.
 */
export interface SharedUsage {
  readonly counts: Float64Array;
  readonly place: 0 | 1;
}

/** What one key has opened, where its limits count that apart from what it has sealed. */
export interface OpenedUsage {
  readonly blocks: number;
  readonly failedTags: number;
}

/** Blocks of the cipher that so many bytes take. */
export function blocksOf(lengthBytes: number): number {
  return Math.ceil(lengthBytes / BLOCK_BYTES);
}

/** Blocks and packets that one key of a cipher may carry; infinity where there is no bound. */
export function blockLimit({ cipher, limitBlocks }: Pick<UsageLimitsOptions, 'cipher' | 'limitBlocks'>): number {
  if (!cipher.endsWith('-GCM')) return Number.POSITIVE_INFINITY;
  return Math.min(limitBlocks ?? AES_GCM_BLOCKS, AES_GCM_BLOCKS);
}

const TOLD: Readonly<Record<UsageReason, number>> = {
  bytes: 1,
  packets: 2,
  'packet-id': 4,
  cipher: 8,
  'failed-tags': 16,
  epoch: 32,
};

const ASKED_EPOCH = 4;
/** Bytes of shared memory that a SharedUsage takes. */
export const SHARED_USAGE_BYTES = 5 * 8;

/** What has gone through one key, both ways. */
export class UsageLimits {
  /** Tags that were wrong; in the epoch format each epoch has its own count. */
  failedTags = 0;
  /** The epoch that is sealed with; 0 in the other formats. */
  sendingEpoch = 0;
  readonly #limitBytes: number;
  readonly #limitPackets: number;
  readonly #noticeBlocks: number;
  readonly #noticeId: number;
  readonly #shared: SharedUsage | undefined;
  /** The same where bytes or packets are limited: where not, nobody needs to know of the other thread's. */
  readonly #counted: SharedUsage | undefined;
  #bytes = 0;
  #packets = 0;
  #sealedBlocks = 0;
  #openedBlocks = 0;
  #told = 0;

  constructor(options: UsageLimitsOptions, shared?: SharedUsage) {
    this.#shared = shared;
    const epochs = options.format === 'epoch';
    this.#limitBytes = options.limitBytes > 0 ? options.limitBytes : Number.POSITIVE_INFINITY;
    this.#limitPackets = options.limitPackets > 0 ? options.limitPackets : Number.POSITIVE_INFINITY;
    this.#counted = options.limitBytes > 0 || options.limitPackets > 0 ? shared : undefined;
    // Seven eighths, in whole numbers: a renegotiation takes its time.
    this.#noticeBlocks = epochs ? Number.POSITIVE_INFINITY : Math.floor(blockLimit(options) / 8) * 7;
    this.#noticeId = epochs ? Number.POSITIVE_INFINITY : PACKET_ID_NOTICE;
  }

  /** Counts a packet that was sealed; the reason for a new key when it has just become one. */
  handleSealed(lengthBytes: number, packetId: number): UsageReason | undefined {
    this.#sealedBlocks += blocksOf(lengthBytes);
    return this.#reason(lengthBytes, this.#sealedBlocks + packetId, packetId);
  }

  /** Counts a packet that was opened. */
  handleOpened(lengthBytes: number, packetId: number): UsageReason | undefined {
    this.#openedBlocks += blocksOf(lengthBytes);
    return this.#reason(lengthBytes, this.#openedBlocks + packetId, 0);
  }

  get opened(): OpenedUsage {
    return { blocks: this.#openedBlocks, failedTags: this.failedTags };
  }

  /** Another thread opened so far. Its bytes and packets stay in its own count. */
  resumeOpened({ blocks, failedTags }: OpenedUsage): void {
    this.#openedBlocks = blocks;
    this.failedTags = failedTags;
  }

  /** The epoch that the thread which opens asks for; 0 for none, or where there is no other thread. */
  get askedEpoch(): number {
    return this.#shared?.counts[ASKED_EPOCH] ?? 0;
  }

  set askedEpoch(epoch: number) {
    if (this.#shared !== undefined) this.#shared.counts[ASKED_EPOCH] = epoch;
  }

  /** The bytes, or packets, of the thread that has the other direction. */
  #others(which: 0 | 1): number {
    return this.#counted === undefined ? 0 : (this.#counted.counts[2 - 2 * this.#counted.place + which] ?? 0);
  }

  #reason(lengthBytes: number, blocks: number, sealedId: number): UsageReason | undefined {
    this.#bytes += lengthBytes;
    this.#packets++;
    if (this.#counted !== undefined) {
      const { counts, place } = this.#counted;
      counts[2 * place] = this.#bytes;
      counts[2 * place + 1] = this.#packets;
    }
    const bytes = this.#bytes + this.#others(0);
    const packets = this.#packets + this.#others(1);
    if (sealedId >= this.#noticeId && this.#tell('packet-id')) return 'packet-id';
    if (bytes >= this.#limitBytes && this.#tell('bytes')) return 'bytes';
    if (packets >= this.#limitPackets && this.#tell('packets')) return 'packets';
    if (blocks > this.#noticeBlocks && this.#tell('cipher')) return 'cipher';
    if (this.sendingEpoch >= EPOCH_NOTICE && this.#tell('epoch')) return 'epoch';
    if (this.failedTags > FAILED_TAGS_NOTICE && this.#tell('failed-tags')) return 'failed-tags';
    return undefined;
  }

  /** Whether the reason is new. */
  #tell(reason: UsageReason): boolean {
    const bit = TOLD[reason];
    if ((this.#told & bit) !== 0) return false;
    this.#told |= bit;
    return true;
  }
}
