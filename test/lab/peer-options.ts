import type { PeerOptions } from '../../src/data/plane.ts';

/** A peer of a data plane that nothing was agreed with and everything may be sent to, but for what the caller says. */
export function peerOptions(
  options: Pick<PeerOptions, 'device' | 'link' | 'address' | 'receivePeerId' | 'sendPeerId'> & Partial<PeerOptions>,
): PeerOptions {
  return {
    replayWindowPackets: 64,
    replayWindowSeconds: 15,
    compression: 'none',
    decompress: 'none',
    fragmentBytes: 0,
    mssBytes4: 0,
    mssBytes6: 0,
    pingIntervalMs: 0,
    prefixes: ['0.0.0.0/0', '::/0'],
    dropRecursive: false,
    mayFloat: false,
    ...options,
  };
}
