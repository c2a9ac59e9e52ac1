// Opening a data packet, in place; the layouts stand in seal.ts. The order is: length, authentication, decryption,
// padding, replay. Nothing that a stranger can send gets further than the authentication.

import type { PacketCrypto } from '../crypto/provider.ts';
import type { PacketSpan } from './arena.ts';
import {
  type AeadDataKey,
  type CbcDataKey,
  type DataKey,
  type FeedbackDataKey,
  type NullDataKey,
  PACKET_ID_BYTES,
  TAG_BYTES,
} from './data-key.ts';
import { acceptEpoch, openEpoch } from './epoch-key.ts';
import { V2_HEADER_BYTES } from './seal.ts';
import { FAILED_TAGS_MAX } from './usage-limits.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

const SHORT = dropCode('short');
const BAD_TAG = dropCode('bad-tag');
const BAD_MAC = dropCode('bad-mac');
const REPLAY = dropCode('replay');
const BAD_PADDING = dropCode('bad-padding');

/**
 * Opens the packet at `span`, which becomes its payload. `headerBytes` is 1 for DATA_V1, 4 for DATA_V2. After a drop the
 * bytes may be garbage: bad-tag and bad-mac have used them, so another key needs a copy.
 */
export function openPacket(
  crypto: PacketCrypto,
  key: DataKey,
  headerBytes: number,
  span: PacketSpan,
  nonce: number,
  nowMs: number,
): Verdict {
  const verdict = openText(crypto, key, headerBytes, span, nonce);
  if (verdict !== PASS) return verdict;
  if (key.kind === 'epoch') return acceptEpoch(key, span.length, nowMs);
  if (key.kind === 'feedback' && !isOfPresent(key)) return REPLAY;
  return key.window.accept(key.openedId, nowMs);
}

function openText(crypto: PacketCrypto, key: DataKey, headerBytes: number, span: PacketSpan, nonce: number): Verdict {
  switch (key.kind) {
    case 'aead':
      return openAead(crypto.arena.view, key, headerBytes, span, nonce);
    case 'cbc':
      return openCbc(crypto.arena.view, key, headerBytes, span);
    case 'feedback':
      return openFeedback(crypto.arena.view, key, headerBytes, span);
    case 'null':
      return openNull(crypto.arena.view, key, headerBytes, span);
    case 'epoch':
      return openEpoch(crypto.arena.view, key, headerBytes === V2_HEADER_BYTES, headerBytes, span, nonce);
    default:
      return key satisfies never;
  }
}

function openAead(view: DataView, key: AeadDataKey, headerBytes: number, span: PacketSpan, nonce: number): Verdict {
  const packetId = span.offset + headerBytes;
  const tag = packetId + PACKET_ID_BYTES;
  const text = tag + TAG_BYTES;
  const length = span.offset + span.length - text;
  if (length < 1) return SHORT;
  if (key.usage.failedTags >= FAILED_TAGS_MAX) return BAD_TAG;

  const id = view.getUint32(packetId);
  view.setUint32(nonce, id);
  view.setInt32(nonce + 4, key.openNonce[0]);
  view.setInt32(nonce + 8, key.openNonce[1]);
  const v2 = headerBytes === V2_HEADER_BYTES;
  const associated = v2 ? span.offset : packetId;
  const associatedLength = v2 ? V2_HEADER_BYTES + PACKET_ID_BYTES : PACKET_ID_BYTES;
  if (!key.open.open(nonce, associated, associatedLength, text, length, tag)) {
    key.usage.failedTags++;
    return BAD_TAG;
  }
  key.openedId = id;
  span.offset = text;
  span.length = length;
  return PASS;
}

function openCbc(view: DataView, key: CbcDataKey, headerBytes: number, span: PacketSpan): Verdict {
  const verdict = checkMac(key, headerBytes, span);
  if (verdict !== PASS) return verdict;

  const iv = span.offset + headerBytes + key.macBytes;
  const text = iv + key.ivBytes;
  const length = key.open.decrypt(iv, text, span.offset + span.length - text);
  if (length < 0) return BAD_PADDING;
  if (length < PACKET_ID_BYTES) return SHORT;
  key.openedId = view.getUint32(text);
  span.offset = text + PACKET_ID_BYTES;
  span.length = length - PACKET_ID_BYTES;
  return PASS;
}

function openFeedback(view: DataView, key: FeedbackDataKey, headerBytes: number, span: PacketSpan): Verdict {
  const verdict = checkMac(key, headerBytes, span);
  if (verdict !== PASS) return verdict;

  const iv = span.offset + headerBytes + key.macBytes;
  const text = iv + key.ivBytes;
  const end = span.offset + span.length;
  key.openedId = view.getUint32(iv);
  key.openedSeconds = view.getUint32(iv + PACKET_ID_BYTES);
  key.open.apply(iv, text, end - text);
  span.offset = text;
  span.length = end - text;
  return PASS;
}

/** The MAC stands before the IV and is over all that follows; something has to follow the IV. */
function checkMac(key: CbcDataKey | FeedbackDataKey, headerBytes: number, span: PacketSpan): Verdict {
  const mac = span.offset + headerBytes;
  const iv = mac + key.macBytes;
  const end = span.offset + span.length;
  if (end <= iv + key.ivBytes) return SHORT;
  return key.openMac === undefined || key.openMac.verify(iv, end - iv, mac) ? PASS : BAD_MAC;
}

/** A later time than any before begins a new count of packet-ids; an earlier one is a packet of a count that is over. */
function isOfPresent(key: FeedbackDataKey): boolean {
  if (key.openedSeconds < key.windowSeconds) return false;
  if (key.openedSeconds > key.windowSeconds) {
    if (key.windowSeconds !== 0) key.window.restart();
    key.windowSeconds = key.openedSeconds;
  }
  return true;
}

function openNull(view: DataView, key: NullDataKey, headerBytes: number, span: PacketSpan): Verdict {
  const mac = span.offset + headerBytes;
  const packetId = mac + key.macBytes;
  const end = span.offset + span.length;
  if (end < packetId + PACKET_ID_BYTES) return SHORT;
  if (key.openMac !== undefined && !key.openMac.verify(packetId, end - packetId, mac)) return BAD_MAC;
  key.openedId = view.getUint32(packetId);
  span.offset = packetId + PACKET_ID_BYTES;
  span.length = end - span.offset;
  return PASS;
}
