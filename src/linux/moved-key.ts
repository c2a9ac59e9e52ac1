// A data key on its way to a worker: looked at here, where the caller hears of what can't be, copied once, and wiped there.

import type { DataKeyMaterial, DirectionKey } from '../crypto/data-keys.ts';
import { isAeadCipher } from '../data/data-key.ts';
import type { KeyOptions } from '../data/plane.ts';
import { availableCiphers, availableDigests } from './openssl.ts';

interface OwnedDirectionKey extends DirectionKey {
  readonly cipher: Uint8Array<ArrayBuffer>;
  readonly hmac: Uint8Array<ArrayBuffer>;
}

/** Throws RangeError for an algorithm that the library lacks: the worker has the same one. */
export function requireAlgorithms({ cipher, digest }: KeyOptions): void {
  if (cipher !== 'none' && availableCiphers([cipher]).length === 0) throw new RangeError(`no cipher ${cipher} here`);
  if (isAeadCipher(cipher) || digest === 'none') return;
  if (availableDigests([digest]).length === 0) throw new RangeError(`no digest ${digest} here`);
}

/** A copy for one worker, and its buffers, which are to be moved: so no further copy stays behind in a message. */
export function movableMaterial({ seal, open }: DataKeyMaterial): {
  readonly material: { readonly seal: OwnedDirectionKey; readonly open: OwnedDirectionKey };
  readonly buffers: readonly ArrayBuffer[];
} {
  const material = { seal: copyOf(seal), open: copyOf(open) };
  const buffers = [material.seal, material.open].flatMap(({ cipher, hmac }) => [cipher.buffer, hmac.buffer]);
  return { material, buffers };
}

const copyOf = ({ cipher, hmac }: DirectionKey): OwnedDirectionKey => ({
  cipher: new Uint8Array(cipher),
  hmac: new Uint8Array(hmac),
});
