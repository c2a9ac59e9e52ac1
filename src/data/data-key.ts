// One installed data-channel key, both directions: the library's key objects, the packet-id to come, the replay window,
// and where the text of a packet starts, which is fixed for a key and a header.

import type { AeadKey, CbcKey, FeedbackKey, MacKey, PacketCrypto } from '../crypto/provider.ts';
import { closeEpochKey, createEpochKey, EPOCH_TAG_BYTES, type EpochDataKey } from './epoch-key.ts';
import type { KeyHandle, KeyOptions } from './plane.ts';
import { ReplayWindow } from './replay-window.ts';
import { type SharedUsage, UsageLimits } from './usage-limits.ts';

/** Bytes of a packet-id and of an AEAD tag. */
export const PACKET_ID_BYTES = 4;
export const TAG_BYTES = 16;

/** What every kind of key has. */
export interface KeyState {
  readonly handle: KeyHandle;
  /** 3 bits. */
  readonly keyId: number;
  /** Bytes between the packet's header and its payload. */
  readonly overheadBytes: number;
  readonly usage: UsageLimits;
  /** The last packet-id sent, and the last one read from an authentic packet. */
  sealedId: number;
  openedId: number;
}

interface CountedKey extends KeyState {
  readonly window: ReplayWindow;
}

export interface AeadDataKey extends CountedKey {
  readonly kind: 'aead';
  readonly seal: AeadKey;
  readonly open: AeadKey;
  /** The implicit half of the nonce, as two words for each direction. */
  readonly sealNonce: readonly [number, number];
  readonly openNonce: readonly [number, number];
}

export interface CbcDataKey extends CountedKey {
  readonly kind: 'cbc';
  readonly seal: CbcKey;
  readonly open: CbcKey;
  readonly sealMac: MacKey | undefined;
  readonly openMac: MacKey | undefined;
  readonly ivBytes: number;
  readonly macBytes: number;
}

/** CFB and OFB. */
export interface FeedbackDataKey extends CountedKey {
  readonly kind: 'feedback';
  readonly seal: FeedbackKey;
  readonly open: FeedbackKey;
  readonly sealMac: MacKey | undefined;
  readonly openMac: MacKey | undefined;
  readonly ivBytes: number;
  readonly macBytes: number;
  /** Unix seconds beside our packet-ids, and the latest beside the peer's, whose ids begin anew with a later one. */
  readonly sealSeconds: number;
  windowSeconds: number;
  /** Those of the last packet that was authentic. */
  openedSeconds: number;
}

/** Cipher `none`: nothing is hidden, the HMAC (if any) still protects. */
export interface NullDataKey extends CountedKey {
  readonly kind: 'null';
  readonly sealMac: MacKey | undefined;
  readonly openMac: MacKey | undefined;
  readonly macBytes: number;
}

export type DataKey = AeadDataKey | CbcDataKey | FeedbackDataKey | NullDataKey | EpochDataKey;

/** Whether a cipher name is one of the AEAD ciphers of the protocol. */
export function isAeadCipher(cipher: string): boolean {
  return cipher.endsWith('-GCM') || cipher === 'CHACHA20-POLY1305';
}

/** Whether a cipher name is one of CFB or OFB. */
const isFeedbackCipher = (cipher: string): boolean => /-(?:CFB[18]?|OFB)$/.test(cipher);

/**
 * Installs a key; throws where the library does not know its cipher or digest. The material is not kept. `scratch`: 64
 * bytes of the arena, where an epoch key derives its successors.
 */
export function createDataKey(
  crypto: PacketCrypto,
  handle: KeyHandle,
  options: KeyOptions,
  windowPackets: number,
  windowSeconds: number,
  scratch: number,
  shared?: SharedUsage,
): DataKey {
  if (options.format === 'epoch') {
    return createEpochKey(crypto, handle, options, windowPackets, windowSeconds, scratch, shared);
  }
  const { material, cipher } = options;
  const state = {
    handle,
    keyId: options.keyId & 7,
    window: new ReplayWindow(windowPackets, windowSeconds),
    usage: new UsageLimits(options, shared),
    sealedId: 0,
    openedId: 0,
  };
  if (isAeadCipher(cipher)) {
    return {
      handle,
      keyId: state.keyId,
      window: state.window,
      usage: state.usage,
      sealedId: 0,
      openedId: 0,
      kind: 'aead',
      overheadBytes: PACKET_ID_BYTES + TAG_BYTES,
      seal: crypto.aeadKey(cipher, 'seal', material.seal.cipher),
      open: crypto.aeadKey(cipher, 'open', material.open.cipher),
      sealNonce: implicitNonce(material.seal.hmac),
      openNonce: implicitNonce(material.open.hmac),
    };
  }
  const authenticated = options.digest !== 'none';
  const sealMac = authenticated ? crypto.macKey(options.digest, material.seal.hmac) : undefined;
  const openMac = authenticated ? crypto.macKey(options.digest, material.open.hmac) : undefined;
  const macBytes = sealMac?.lengthBytes ?? 0;
  if (cipher === 'none') {
    return { ...state, kind: 'null', overheadBytes: macBytes + PACKET_ID_BYTES, sealMac, openMac, macBytes };
  }
  if (isFeedbackCipher(cipher)) {
    const seal = crypto.feedbackKey(cipher, 'seal', material.seal.cipher);
    const open = crypto.feedbackKey(cipher, 'open', material.open.cipher);
    const { ivBytes } = seal;
    const macs = { sealMac, openMac, macBytes, overheadBytes: macBytes + ivBytes };
    const times = { sealSeconds: options.madeSeconds ?? 1, windowSeconds: 0, openedSeconds: 0 };
    return { ...state, kind: 'feedback', seal, open, ivBytes, ...macs, ...times };
  }
  const seal = crypto.cbcKey(cipher, 'seal', material.seal.cipher);
  const open = crypto.cbcKey(cipher, 'open', material.open.cipher);
  const ivBytes = seal.blockBytes;
  const overheadBytes = macBytes + ivBytes + PACKET_ID_BYTES;
  return { ...state, kind: 'cbc', overheadBytes, seal, open, sealMac, openMac, ivBytes, macBytes };
}

/** Wipes the library's key objects. */
export function closeDataKey(key: DataKey): void {
  if (key.kind === 'epoch') {
    closeEpochKey(key);
    return;
  }
  if (key.kind !== 'null') {
    key.seal.close();
    key.open.close();
  }
  if (key.kind !== 'aead') {
    key.sealMac?.close();
    key.openMac?.close();
  }
}

/** The longest payload that still fits into `packetBytes` when sealed with this key behind a header of `headerBytes`. */
export function payloadCapacity(key: DataKey, headerBytes: number, packetBytes: number): number {
  const room = packetBytes - headerBytes - key.overheadBytes;
  if (key.kind === 'epoch') return room - EPOCH_TAG_BYTES;
  if (key.kind !== 'cbc') return room;
  // Padding takes at least one byte, and the packet-id counts as text of the cipher.
  const text = room + PACKET_ID_BYTES;
  return text - (text % key.ivBytes) - 1 - PACKET_ID_BYTES;
}

function implicitNonce(hmac: Uint8Array): readonly [number, number] {
  const view = new DataView(hmac.buffer, hmac.byteOffset, hmac.byteLength);
  return [view.getInt32(0), view.getInt32(4)];
}
