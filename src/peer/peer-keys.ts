// The session's data keys as the plane knows them. The session names a key before the plane does; this is the one place
// that holds both names.

import { cipherFacts, digestBytes } from '../crypto/cipher-table.ts';
import type { DirectionKey } from '../crypto/data-keys.ts';
import type { DataPlane, KeyHandle, KeyOptions, PeerHandle } from '../data/plane.ts';
import { Level, type Log } from '../log.ts';
import type { SessionEvent } from '../session/event.ts';

export interface PeerKeys {
  /** Installs the key for receiving and wipes its material. */
  add(key: Extract<SessionEvent, { type: 'data-key' }>): void;
  use(sessionHandle: number): void;
  drop(sessionHandle: number): void;
  sessionHandle(planeHandle: KeyHandle): number | undefined;
}

/** Keys of one peer. */
export function createPeerKeys(plane: DataPlane, peer: PeerHandle, log: Log): PeerKeys {
  const planeHandles = new Map<number, KeyHandle>();
  return {
    add(key) {
      const { keyId, cipher, format, digest, material, madeSeconds, limitBytes, limitPackets, limitBlocks } = key;
      logKey(key, log);
      const rest = { madeSeconds, limitBytes, limitPackets, limitBlocks };
      planeHandles.set(key.handle, plane.addKey(peer, { keyId, cipher, format, digest, material, ...rest }));
      wipe(material.seal);
      wipe(material.open);
    },
    use(sessionHandle) {
      const handle = planeHandles.get(sessionHandle);
      if (handle !== undefined) plane.useKey(peer, handle);
    },
    drop(sessionHandle) {
      const handle = planeHandles.get(sessionHandle);
      if (handle === undefined) return;
      planeHandles.delete(sessionHandle);
      plane.removeKey(peer, handle);
    },
    sessionHandle(planeHandle) {
      for (const [mine, theirs] of planeHandles) if (theirs === planeHandle) return mine;
      return undefined;
    },
  };
}

function logKey({ cipher, format, digest }: Pick<KeyOptions, 'cipher' | 'format' | 'digest'>, log: Log): void {
  const facts = cipherFacts(cipher);
  const macBits = facts?.kind === 'aead' ? 0 : (digestBytes(digest) ?? 0) * 8;
  for (const direction of ['Outgoing', 'Incoming']) {
    const what = `${direction} ${format === 'epoch' ? 'Epoch Data key 1' : 'Data Channel'}:`;
    if (facts !== undefined && facts.kind !== 'none') {
      log(Level.mtuInfo, `${what} Cipher '${cipher}' initialized with ${facts.keyBytes * 8} bit key`);
    }
    if (macBits > 0)
      log(Level.mtuInfo, `${what} Using ${macBits} bit message hash '${digest}' for HMAC authentication`);
  }
}

function wipe(direction: DirectionKey): void {
  direction.cipher.fill(0);
  direction.hmac.fill(0);
}
