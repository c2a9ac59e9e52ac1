// The other end of a data channel, written from the wire description with node:crypto and nothing of src/data, so that
// seal and open are not only tested against each other.

import { type CipherGCMTypes, createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { DataKeyMaterial, DirectionKey } from '../../src/crypto/data-keys.ts';

export interface FarKeyOptions {
  readonly cipher: string;
  readonly digest: string;
  readonly keyId?: number;
  /** In the header of what it sends; undefined for DATA_V1. */
  readonly peerId?: number | undefined;
}

const KEY_BYTES: Record<string, number> = { 'AES-128': 16, 'AES-192': 24, 'AES-256': 32, CHACHA20: 32 };
const DIGEST_BYTES: Record<string, number> = { SHA1: 20, SHA256: 32, SHA512: 64, none: 0 };

const isAead = (cipher: string) => cipher.endsWith('GCM') || cipher.startsWith('CHACHA');

/** Random key material for the near side of a cipher and digest. */
function randomMaterial(cipher: string, digest: string): DataKeyMaterial {
  const prefix = Object.keys(KEY_BYTES).find((name) => cipher.startsWith(name));
  const direction = (): DirectionKey => ({
    cipher: Uint8Array.from(randomBytes(prefix === undefined ? 0 : KEY_BYTES[prefix]!)),
    hmac: Uint8Array.from(randomBytes(isAead(cipher) ? 8 : DIGEST_BYTES[digest]!)),
  });
  return { seal: direction(), open: direction() };
}

/** One key of the far end; `material` is the near side's. */
export class FarKey {
  readonly material: DataKeyMaterial;
  readonly #options: FarKeyOptions;
  #packetId = 0;

  constructor(options: FarKeyOptions, material = randomMaterial(options.cipher, options.digest)) {
    this.#options = options;
    this.material = material;
  }

  /** What the near side's `addKey` takes. */
  get keyOptions() {
    const { cipher, digest, keyId = 0 } = this.#options;
    return { keyId, cipher, digest, material: this.material, limitBytes: 0, limitPackets: 0 };
  }

  /** A packet for the near side. */
  seal(payload: Uint8Array, packetId = ++this.#packetId): Uint8Array {
    const { cipher, digest, keyId = 0, peerId } = this.#options;
    const { open } = this.material;
    const header = Buffer.alloc(peerId === undefined ? 1 : 4);
    if (peerId === undefined) header[0] = (6 << 3) | keyId;
    else header.writeUInt32BE(((9 << 3) | keyId) * 2 ** 24 + peerId);
    const id = Buffer.alloc(4);
    id.writeUInt32BE(packetId);
    if (isAead(cipher)) {
      const nonce = Buffer.concat([id, open.hmac]);
      const sealing = createCipheriv(nodeName(cipher), open.cipher, nonce, { authTagLength: 16 });
      sealing.setAAD(peerId === undefined ? id : Buffer.concat([header, id]));
      const text = Buffer.concat([sealing.update(payload), sealing.final()]);
      return Uint8Array.from(Buffer.concat([header, id, sealing.getAuthTag(), text]));
    }
    let body = Buffer.concat([id, payload]);
    if (cipher !== 'none') {
      const iv = randomBytes(16);
      const sealing = createCipheriv(cipher.toLowerCase(), open.cipher, iv);
      body = Buffer.concat([iv, sealing.update(body), sealing.final()]);
    }
    return Uint8Array.from(Buffer.concat([header, mac(digest, open.hmac, body), body]));
  }

  /** The payload of a packet from the near side; throws when it is not what it should be. */
  open(packet: Uint8Array): { payload: Uint8Array; packetId: number; peerId: number | undefined; keyId: number } {
    const { cipher, digest } = this.#options;
    const { seal } = this.material;
    const bytes = Buffer.from(packet);
    const v2 = bytes[0]! >> 3 === 9;
    if (!v2 && bytes[0]! >> 3 !== 6) throw new Error(`opcode ${bytes[0]! >> 3} is no data packet`);
    const header = bytes.subarray(0, v2 ? 4 : 1);
    const rest = bytes.subarray(header.length);
    const common = { keyId: bytes[0]! & 7, peerId: v2 ? bytes.readUInt32BE(0) & 0xffffff : undefined };
    if (isAead(cipher)) {
      const id = rest.subarray(0, 4);
      const opening = createDecipheriv(nodeName(cipher), seal.cipher, Buffer.concat([id, seal.hmac]), {
        authTagLength: 16,
      });
      opening.setAAD(v2 ? Buffer.concat([header, id]) : id);
      opening.setAuthTag(rest.subarray(4, 20));
      const payload = Buffer.concat([opening.update(rest.subarray(20)), opening.final()]);
      return { ...common, payload: Uint8Array.from(payload), packetId: id.readUInt32BE(0) };
    }
    const macBytes = DIGEST_BYTES[digest]!;
    let body = rest.subarray(macBytes);
    if (!mac(digest, seal.hmac, body).equals(rest.subarray(0, macBytes))) throw new Error('the HMAC is wrong');
    if (cipher !== 'none') {
      const opening = createDecipheriv(cipher.toLowerCase(), seal.cipher, body.subarray(0, 16));
      body = Buffer.concat([opening.update(body.subarray(16)), opening.final()]);
    }
    return { ...common, payload: Uint8Array.from(body.subarray(4)), packetId: body.readUInt32BE(0) };
  }
}

function nodeName(cipher: string): CipherGCMTypes {
  return cipher.toLowerCase() as CipherGCMTypes;
}

function mac(digest: string, key: Uint8Array, body: Uint8Array): Buffer {
  return digest === 'none' ? Buffer.alloc(0) : createHmac(digest, key).update(body).digest();
}
