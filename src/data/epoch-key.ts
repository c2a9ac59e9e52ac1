// A data-channel key in the epoch format (OpenVPN 2.7), both directions, and what is done to its packets in place.
//
//   V1  op(1)          epoch(2) counter(6)  ciphertext  tag(16)         associated data: epoch and counter
//   V2  op(1) peer(3)  epoch(2) counter(6)  ciphertext  tag(16)         associated data: the first 12 bytes
//
//   nonce   epoch, counter and four zeros, XORed with the epoch's mask
//
// Each side says by its packets which epoch it seals with. A side that meets a later one than its own moves up to it, and
// a side that wants its peer to move goes ahead: so both follow whoever sees a limit first, without a word.
//
// Source: docs/WIRE.md 7.2; observed with OpenVPN 2.7.8. The path: epoch-secret.ts (the schedule of keys), epoch-sending.ts,
// epoch-receiving.ts, then here.

import type { DirectionKey } from '../crypto/data-keys.ts';
import type { PacketCrypto } from '../crypto/provider.ts';
import type { PacketSpan } from './arena.ts';
import type { KeyState } from './data-key.ts';
import { EpochReceiving, type ReceivingEpoch } from './epoch-receiving.ts';
import { EpochSecret } from './epoch-secret.ts';
import { EpochSending } from './epoch-sending.ts';
import type { KeyHandle, KeyOptions } from './plane.ts';
import {
  blockLimit,
  blocksOf,
  FAILED_TAGS_MAX,
  FAILED_TAGS_NOTICE,
  type SharedUsage,
  UsageLimits,
} from './usage-limits.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Epoch and counter. */
const EPOCH_ID_BYTES = 8;
/** What comes behind the payload. */
export const EPOCH_TAG_BYTES = 16;

const SHORT = dropCode('short');
const UNKNOWN_EPOCH = dropCode('unknown-epoch');
const BAD_TAG = dropCode('bad-tag');

/** `sealedId` and `openedId` are counters of 48 bits, each of its epoch. */
export interface EpochDataKey extends KeyState {
  readonly kind: 'epoch';
  readonly sending: EpochSending;
  readonly receiving: EpochReceiving;
  /** Blocks and packets that one epoch's key may carry, either way; infinity for no limit. */
  readonly limitBlocks: number;
  /** The epoch of the packet in hand, which was opened. */
  opened: ReceivingEpoch;
}

/** `material` has E(1) of each direction, 32 bytes, as `cipher`. `scratch`: EPOCH_SCRATCH_BYTES of the arena. */
export function createEpochKey(
  crypto: PacketCrypto,
  handle: KeyHandle,
  options: KeyOptions,
  windowPackets: number,
  windowSeconds: number,
  scratch: number,
  shared: SharedUsage | undefined,
): EpochDataKey {
  const { cipher, material } = options;
  const limitBlocks = blockLimit(options);
  const secret = (direction: DirectionKey) => new EpochSecret(crypto, direction.cipher, scratch);
  const receiving = new EpochReceiving(secret(material.open), cipher, windowPackets, windowSeconds);
  return {
    kind: 'epoch',
    handle,
    keyId: options.keyId & 7,
    overheadBytes: EPOCH_ID_BYTES,
    usage: new UsageLimits(options, shared),
    sealedId: 0,
    openedId: 0,
    sending: new EpochSending(secret(material.seal), cipher, limitBlocks),
    receiving,
    limitBlocks,
    opened: receiving.current,
  };
}

/** Wipes the library's key objects and the secrets of both directions. */
export function closeEpochKey(key: EpochDataKey): void {
  key.sending.close();
  key.receiving.close();
}

/** Takes the id of the next packet, which has so many bytes of payload; false when there is none left. */
export function takeEpochId(key: EpochDataKey, lengthBytes: number): boolean {
  key.sending.moveTo(key.usage.askedEpoch); // by the thread that opens, if that is another
  key.sealedId = key.sending.take(blocksOf(lengthBytes));
  key.usage.sendingEpoch = key.sending.current.epoch;
  return key.sealedId !== 0;
}

/** Seals `length` bytes at `text` under the id that was taken, behind the header of the packet at `start`. Returns its end. */
export function sealEpoch(
  view: DataView,
  key: EpochDataKey,
  v2: boolean,
  start: number,
  text: number,
  length: number,
  nonce: number,
): number {
  const packetId = text - EPOCH_ID_BYTES;
  const { current } = key.sending;
  view.setUint16(packetId, current.epoch);
  view.setUint16(packetId + 2, key.sealedId / 2 ** 32);
  view.setUint32(packetId + 4, key.sealedId);
  writeNonce(view, nonce, packetId, current.mask);
  const tag = text + length;
  const associated = v2 ? start : packetId;
  current.key.seal(nonce, associated, text - associated, text, length, tag);
  return tag + EPOCH_TAG_BYTES;
}

/** Opens the packet at `span`, which becomes its payload. Nothing follows from it before `acceptEpoch`. */
export function openEpoch(
  view: DataView,
  key: EpochDataKey,
  v2: boolean,
  headerBytes: number,
  span: PacketSpan,
  nonce: number,
): Verdict {
  const packetId = span.offset + headerBytes;
  const text = packetId + EPOCH_ID_BYTES;
  const length = span.offset + span.length - EPOCH_TAG_BYTES - text;
  if (length < 1) return SHORT;
  const epoch = key.receiving.find(view.getUint16(packetId));
  if (epoch === undefined) return UNKNOWN_EPOCH;
  if (epoch.failedTags >= FAILED_TAGS_MAX) return BAD_TAG;

  writeNonce(view, nonce, packetId, epoch.mask);
  const associated = v2 ? span.offset : packetId;
  if (!epoch.key.open(nonce, associated, text - associated, text, length, text + length)) {
    epoch.failedTags++;
    return BAD_TAG;
  }
  key.opened = epoch;
  key.openedId = view.getUint16(packetId + 2) * 2 ** 32 + view.getUint32(packetId + 4);
  span.offset = text;
  span.length = length;
  return PASS;
}

/** What follows from an authentic packet of so many bytes: its epoch counts, its id is not taken again. */
export function acceptEpoch(key: EpochDataKey, lengthBytes: number, nowMs: number): Verdict {
  const { sending, receiving, opened } = key;
  if (opened.epoch > receiving.current.epoch) {
    receiving.moveTo(opened);
    moveSending(key, opened.epoch);
  }
  const verdict = opened.window.accept(key.openedId, nowMs);
  if (verdict !== PASS) return verdict;
  opened.blocks += blocksOf(lengthBytes);
  // The peer should leave this epoch, and does when it sees a later one.
  const { current } = receiving;
  if (sending.current.epoch === current.epoch && isWornOut(current, key.limitBlocks)) {
    moveSending(key, current.epoch + 1);
  }
  key.usage.sendingEpoch = sending.current.epoch;
  return PASS;
}

/** Where another thread seals, its key moves at its next packet; this one only notes where it stands. */
function moveSending({ sending, usage }: EpochDataKey, epoch: number): void {
  sending.moveTo(epoch);
  usage.askedEpoch = epoch;
}

function isWornOut({ blocks, window, failedTags }: ReceivingEpoch, limitBlocks: number): boolean {
  return blocks + window.highest > limitBlocks || failedTags > FAILED_TAGS_NOTICE;
}

function writeNonce(view: DataView, nonce: number, packetId: number, mask: readonly [number, number, number]): void {
  view.setInt32(nonce, view.getInt32(packetId) ^ mask[0]);
  view.setInt32(nonce + 4, view.getInt32(packetId + 4) ^ mask[1]);
  view.setInt32(nonce + 8, mask[2]);
}
