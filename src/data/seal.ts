// Sealing a data packet, in place, from the payload outward.
//
//   AEAD  V1  op(1)          packet-id(4) tag(16) ciphertext          associated data: packet-id
//         V2  op(1) peer(3)  packet-id(4) tag(16) ciphertext          associated data: the first 8 bytes
//   CBC       op [peer(3)]   HMAC(d) IV(b) CBC(packet-id(4) payload padding)      HMAC over IV and ciphertext
//   CFB, OFB  op [peer(3)]   HMAC(d) IV(b) CFB(payload)     IV: packet-id(4) Unix seconds(4) zeros; HMAC over IV and ciphertext
//   none      op [peer(3)]   HMAC(d) packet-id(4) payload                         HMAC over packet-id and payload
//   epoch     in epoch-key.ts

import type { Arena, PacketCrypto } from '../crypto/provider.ts';
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
import { sealEpoch, takeEpochId } from './epoch-key.ts';
import { PACKET_ID_MAX } from './usage-limits.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Opcodes of data packets, and how many bytes their headers take. */
export const DATA_V1 = 6;
export const DATA_V2 = 9;
export const V1_HEADER_BYTES = 1;
export const V2_HEADER_BYTES = 4;

const PACKET_ID_EXHAUSTED = dropCode('packet-id-exhausted');

/** Seals the payload at `span`, which becomes the packet. `peerId` undefined writes DATA_V1. `nonce`: 12 bytes of scratch. */
export function sealPacket(
  crypto: PacketCrypto,
  key: DataKey,
  peerId: number | undefined,
  span: PacketSpan,
  nonce: number,
): Verdict {
  if (!takeId(key, span.length)) return PACKET_ID_EXHAUSTED;
  const text = span.offset;
  const start = text - key.overheadBytes - (peerId === undefined ? V1_HEADER_BYTES : V2_HEADER_BYTES);
  writeHeader(crypto.arena.view, start, key.keyId, peerId);
  const end = sealText(crypto, key, peerId !== undefined, start, text, span.length, nonce);
  span.offset = start;
  span.length = end - start;
  return PASS;
}

function takeId(key: DataKey, lengthBytes: number): boolean {
  if (key.kind === 'epoch') return takeEpochId(key, lengthBytes);
  if (key.sealedId >= PACKET_ID_MAX) return false;
  key.sealedId++;
  return true;
}

function writeHeader(view: DataView, start: number, keyId: number, peerId: number | undefined): void {
  if (peerId === undefined) view.setUint8(start, (DATA_V1 << 3) | keyId);
  else view.setInt32(start, (((DATA_V2 << 3) | keyId) << 24) | (peerId & 0xffffff));
}

/** Returns where the packet ends. */
function sealText(
  crypto: PacketCrypto,
  key: DataKey,
  v2: boolean,
  start: number,
  text: number,
  length: number,
  nonce: number,
): number {
  switch (key.kind) {
    case 'aead':
      return sealAead(crypto.arena.view, key, v2, start, text, length, nonce);
    case 'cbc':
      return sealCbc(crypto, key, text, length);
    case 'feedback':
      return sealFeedback(crypto.arena, key, text, length);
    case 'null':
      return sealNull(crypto.arena.view, key, text, length);
    case 'epoch':
      return sealEpoch(crypto.arena.view, key, v2, start, text, length, nonce);
    default:
      return key satisfies never;
  }
}

function sealAead(
  view: DataView,
  key: AeadDataKey,
  v2: boolean,
  start: number,
  text: number,
  length: number,
  nonce: number,
): number {
  const tag = text - TAG_BYTES;
  const packetId = tag - PACKET_ID_BYTES;
  view.setUint32(packetId, key.sealedId);
  view.setUint32(nonce, key.sealedId);
  view.setInt32(nonce + 4, key.sealNonce[0]);
  view.setInt32(nonce + 8, key.sealNonce[1]);
  if (v2) key.seal.seal(nonce, start, V2_HEADER_BYTES + PACKET_ID_BYTES, text, length, tag);
  else key.seal.seal(nonce, packetId, PACKET_ID_BYTES, text, length, tag);
  return text + length;
}

function sealCbc(crypto: PacketCrypto, key: CbcDataKey, text: number, length: number): number {
  const plain = text - PACKET_ID_BYTES;
  const iv = plain - key.ivBytes;
  crypto.arena.view.setUint32(plain, key.sealedId);
  crypto.random(iv, key.ivBytes);
  const end = plain + key.seal.encrypt(iv, plain, PACKET_ID_BYTES + length);
  key.sealMac?.sign(iv, end - iv, iv - key.macBytes);
  return end;
}

function sealFeedback({ bytes, view }: Arena, key: FeedbackDataKey, text: number, length: number): number {
  const iv = text - key.ivBytes;
  bytes.fill(0, iv, text);
  view.setUint32(iv, key.sealedId);
  view.setUint32(iv + PACKET_ID_BYTES, key.sealSeconds);
  key.seal.apply(iv, text, length);
  key.sealMac?.sign(iv, key.ivBytes + length, iv - key.macBytes);
  return text + length;
}

function sealNull(view: DataView, key: NullDataKey, text: number, length: number): number {
  const packetId = text - PACKET_ID_BYTES;
  view.setUint32(packetId, key.sealedId);
  key.sealMac?.sign(packetId, PACKET_ID_BYTES + length, packetId - key.macBytes);
  return text + length;
}
