// The test of a cipher by the data path itself: packets of every length are sealed and opened as a tunnel would, under
// both headers and, with AEAD, in the epoch format too, and each is tried with one bit changed first, which must be refused.

import type { DataKeyMaterial } from '../crypto/data-keys.ts';
import type { PacketCrypto } from '../crypto/provider.ts';
import { HEADROOM_BYTES, type PacketSpan, TAILROOM_BYTES } from './arena.ts';
import { closeDataKey, createDataKey, type DataKey } from './data-key.ts';
import { EPOCH_SCRATCH_BYTES } from './epoch-secret.ts';
import { openPacket } from './open.ts';
import { sealPacket, V1_HEADER_BYTES, V2_HEADER_BYTES } from './seal.ts';
import { PASS } from './verdict.ts';

export interface SelfTest {
  /** OpenVPN's name, upper case, or `none`. */
  readonly cipher: string;
  /** Digest of CBC and of no cipher; `none` for packets that nothing protects. */
  readonly digest: string;
  /** Both directions alike: what is sealed is opened by the same key. */
  readonly material: DataKeyMaterial;
  /** E(1) of both directions, alike, of 32 bytes: the epoch format is tried with it; an AEAD cipher's only. */
  readonly epoch: DataKeyMaterial | undefined;
  /** The longest payload. */
  readonly maxBytes: number;
  /** Told before each length. */
  readonly onLength: (lengthBytes: number) => void;
}

const PEER_ID = 5;
const NONCE_BYTES = EPOCH_SCRATCH_BYTES;
const WINDOW_PACKETS = 64;
const WINDOW_SECONDS = 15;

/** Bytes of an arena that the test needs. */
export const selfTestArenaBytes = (maxBytes: number): number =>
  3 * (maxBytes + HEADROOM_BYTES + TAILROOM_BYTES) + NONCE_BYTES;

/** What went wrong, in the C program's words where it has them; undefined where every packet came back as it was. Throws for names that the library does not know. */
export function testCipher(crypto: PacketCrypto, test: SelfTest): string | undefined {
  const { cipher, digest, maxBytes } = test;
  const keyOf = (material: DataKeyMaterial, format?: 'epoch'): DataKey => {
    const options = { keyId: 0, cipher, digest, material, format, limitBytes: 0, limitPackets: 0 };
    return createDataKey(crypto, 0, options, WINDOW_PACKETS, WINDOW_SECONDS, 0);
  };
  const key = keyOf(test.material);
  const epochKey = test.epoch === undefined ? undefined : keyOf(test.epoch, 'epoch');
  try {
    for (let length = 1; length <= maxBytes; length++) {
      test.onLength(length);
      const problem =
        roundTrip(crypto, key, length, maxBytes, PEER_ID) ??
        roundTrip(crypto, key, length, maxBytes, undefined) ??
        (epochKey === undefined ? undefined : roundTrip(crypto, epochKey, length, maxBytes, PEER_ID));
      if (problem !== undefined) return problem;
    }
    return undefined;
  } finally {
    closeDataKey(key);
    if (epochKey !== undefined) closeDataKey(epochKey);
  }
}

function roundTrip(
  crypto: PacketCrypto,
  key: DataKey,
  length: number,
  maxBytes: number,
  peerId: number | undefined,
): string | undefined {
  const { bytes } = crypto.arena;
  const slot = maxBytes + HEADROOM_BYTES + TAILROOM_BYTES;
  const [nonce, source, work, changed] = [0, NONCE_BYTES, NONCE_BYTES + slot + HEADROOM_BYTES, NONCE_BYTES + 2 * slot];
  crypto.random(source, length);
  bytes.copyWithin(work, source, source + length);
  const span: PacketSpan = { offset: work, length };
  if (sealPacket(crypto, key, peerId, span, nonce) !== PASS) return `SELF TEST FAILED, not sealed, src.len=${length}`;

  const header = peerId === undefined ? V1_HEADER_BYTES : V2_HEADER_BYTES;
  if (isAuthenticated(key)) {
    bytes.copyWithin(changed, span.offset, span.offset + span.length);
    const at = changed + header + ((length * 7) % (span.length - header));
    bytes[at] = (bytes[at] as number) ^ (1 << (length & 7));
    const other: PacketSpan = { offset: changed, length: span.length };
    if (openPacket(crypto, key, header, other, nonce, 0) === PASS) {
      return `SELF TEST FAILED, a changed packet was taken, src.len=${length}`;
    }
  }
  if (openPacket(crypto, key, header, span, nonce, 0) !== PASS)
    return `SELF TEST FAILED, not opened, src.len=${length}`;
  if (span.length !== length) return `SELF TEST FAILED, src.len=${length} buf.len=${span.length}`;
  for (let i = 0; i < length; i++) {
    const [before, after] = [bytes[source + i], bytes[span.offset + i]];
    if (before !== after) return `SELF TEST FAILED, pos=${i} in=${before} out=${after}`;
  }
  return undefined;
}

const isAuthenticated = (key: DataKey): boolean =>
  key.kind === 'aead' || key.kind === 'epoch' || key.openMac !== undefined;
