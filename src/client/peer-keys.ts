// The session's data keys as the plane knows them. The session names a key before the plane does; this is the one place
// that holds both names.

import type { DataPlane, KeyHandle, PeerHandle } from '../data/plane.ts';
import type { SessionEvent } from '../session/event.ts';

export interface PeerKeys {
  /** Installs the key for receiving and wipes its material. */
  add(key: Extract<SessionEvent, { type: 'data-key' }>): void;
  use(sessionHandle: number): void;
  drop(sessionHandle: number): void;
  sessionHandle(planeHandle: KeyHandle): number | undefined;
}

/** Keys of one peer. */
export function createPeerKeys(plane: DataPlane, peer: PeerHandle): PeerKeys {
  const planeHandles = new Map<number, KeyHandle>();
  return {
    add(key) {
      const { keyId, cipher, digest, material, limitBytes, limitPackets } = key;
      planeHandles.set(key.handle, plane.addKey(peer, { keyId, cipher, digest, material, limitBytes, limitPackets }));
      for (const direction of [material.seal, material.open]) {
        direction.cipher.fill(0);
        direction.hmac.fill(0);
      }
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
