// When a key is replaced, when its successor is used, and how long it lives on.

import type { CipherFacts } from '../crypto/cipher-table.ts';
import type { SessionOptions } from './options.ts';

type Times = Pick<SessionOptions, 'handWindowMs' | 'renegotiateMs' | 'renegotiateSpreadMs'>;

/** When renegotiation of a key is due: earlier by chance, so that many peers do not renegotiate at once. */
export function renegotiateAtMs(options: Times, readyMs: number, randomBytes: (length: number) => Uint8Array): number {
  const { renegotiateMs, renegotiateSpreadMs } = options;
  if (renegotiateMs === 0) return Number.POSITIVE_INFINITY;
  if (renegotiateSpreadMs === 0) return readyMs + renegotiateMs;
  const [high = 0, low = 0] = randomBytes(2);
  return readyMs + renegotiateMs - Math.floor(renegotiateSpreadMs * (((high << 8) | low) / 0xffff));
}

/** When sending moves to a key that replaces another: the peer has long finished by then. */
export function useAtMs(options: Times, startedMs: number): number {
  const half = options.renegotiateMs / 2;
  return startedMs + (options.renegotiateMs === 0 ? options.handWindowMs : Math.min(options.handWindowMs, half));
}

/**
 * What one data key may carry; 0 for no limit. The limit of small blocks holds unless the profile sets one; that of
 * AES-GCM counts blocks and is the plane's.
 */
export function keyLimits(
  options: Pick<SessionOptions, 'renegotiateBytes' | 'renegotiatePackets' | 'limitBlocks'>,
  cipher: CipherFacts,
): { readonly limitBytes: number; readonly limitPackets: number; readonly limitBlocks: number | undefined } {
  const { renegotiateBytes, renegotiatePackets, limitBlocks } = options;
  return { limitBytes: renegotiateBytes ?? cipher.limitBytes, limitPackets: renegotiatePackets, limitBlocks };
}

/** The line for the log when this side begins: what reached its limit. */
export function softResetLine(
  options: Pick<SessionOptions, 'renegotiateMs' | 'renegotiateBytes'>,
  ageMs: number,
  payloadBytes: number,
): string {
  const seconds = `sec=${Math.floor(ageMs / 1000)}/${Math.floor(options.renegotiateMs / 1000)}`;
  return `TLS: soft reset ${seconds} bytes=${payloadBytes}/${options.renegotiateBytes ?? -1}`;
}
