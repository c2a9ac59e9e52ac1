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
  readonly format?: 'epoch' | undefined;
}

const isFeedback = (cipher: string) => /-(CFB|OFB)/.test(cipher);

const KEY_BYTES: Record<string, number> = {
  'AES-128': 16,
  'AES-192': 24,
  'AES-256': 32,
  'ARIA-128': 16,
  'ARIA-256': 32,
  'CAMELLIA-192': 24,
  CHACHA20: 32,
};
const DIGEST_BYTES: Record<string, number> = { SHA1: 20, SHA256: 32, SHA512: 64, none: 0 };

const isAead = (cipher: string) => cipher.endsWith('GCM') || cipher.startsWith('CHACHA');

/** Random key material for the near side of a cipher and digest. */
function randomMaterial({ cipher, digest, format }: FarKeyOptions): DataKeyMaterial {
  const prefix = Object.keys(KEY_BYTES).find((name) => cipher.startsWith(name));
  const cipherBytes = format === 'epoch' ? 32 : prefix === undefined ? 0 : KEY_BYTES[prefix]!;
  const hmacBytes = format === 'epoch' ? 0 : isAead(cipher) ? 8 : DIGEST_BYTES[digest]!;
  const direction = (): DirectionKey => ({
    cipher: Uint8Array.from(randomBytes(cipherBytes)),
    hmac: Uint8Array.from(randomBytes(hmacBytes)),
  });
  return { seal: direction(), open: direction() };
}

export interface OpenedPacket {
  readonly payload: Uint8Array;
  readonly packetId: number;
  readonly peerId: number | undefined;
  readonly keyId: number;
  /** Under the epoch format. */
  readonly epoch?: number;
}

const NOTHING = Buffer.alloc(0);

/** One key of the far end; `material` is the near side's. */
export class FarKey {
  readonly material: DataKeyMaterial;
  readonly #options: FarKeyOptions;
  /** The epoch that it seals with, under the epoch format. */
  epoch = 1;
  /** The Unix seconds that it seals with, under CFB and OFB. */
  seconds = 1_700_000_000;
  #packetId = 0;

  constructor(options: FarKeyOptions, material = randomMaterial(options)) {
    this.#options = options;
    this.material = material;
  }

  /** What the near side's `addKey` takes. */
  get keyOptions() {
    const { cipher, digest, keyId = 0, format } = this.#options;
    return { keyId, cipher, format, digest, material: this.material, limitBytes: 0, limitPackets: 0 };
  }

  /** A packet for the near side. */
  seal(payload: Uint8Array, packetId = ++this.#packetId): Uint8Array {
    const { cipher, digest, keyId = 0, peerId, format } = this.#options;
    const { open } = this.material;
    const header = Buffer.alloc(peerId === undefined ? 1 : 4);
    if (peerId === undefined) header[0] = (6 << 3) | keyId;
    else header.writeUInt32BE(((9 << 3) | keyId) * 2 ** 24 + peerId);
    if (format === 'epoch') return sealEpoch(cipher, open.cipher, this.epoch, packetId, header, payload);
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
    if (isFeedback(cipher)) {
      const iv = Buffer.alloc(16);
      id.copy(iv);
      iv.writeUInt32BE(this.seconds, 4);
      body = Buffer.concat([iv, createCipheriv(cipher.toLowerCase(), open.cipher, iv).update(payload)]);
    } else if (cipher !== 'none') {
      const iv = randomBytes(16);
      const sealing = createCipheriv(cipher.toLowerCase(), open.cipher, iv);
      body = Buffer.concat([iv, sealing.update(body), sealing.final()]);
    }
    return Uint8Array.from(Buffer.concat([header, mac(digest, open.hmac, body), body]));
  }

  /** The payload of a packet from the near side; throws when it is not what it should be. */
  open(packet: Uint8Array): OpenedPacket {
    const { cipher, digest, format } = this.#options;
    const { seal } = this.material;
    const bytes = Buffer.from(packet);
    const v2 = bytes[0]! >> 3 === 9;
    if (!v2 && bytes[0]! >> 3 !== 6) throw new Error(`opcode ${bytes[0]! >> 3} is no data packet`);
    const header = bytes.subarray(0, v2 ? 4 : 1);
    const rest = bytes.subarray(header.length);
    const common = { keyId: bytes[0]! & 7, peerId: v2 ? bytes.readUInt32BE(0) & 0xffffff : undefined };
    if (format === 'epoch') return { ...common, ...openEpoch(cipher, seal.cipher, v2 ? header : NOTHING, rest) };
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
    if (isFeedback(cipher)) {
      const iv = body.subarray(0, 16);
      if (iv.readUInt32BE(4) === 0) throw new Error('there is no time beside the packet-id');
      if (!iv.subarray(8).equals(Buffer.alloc(8))) throw new Error('the rest of the IV is not zero');
      const payload = createDecipheriv(cipher.toLowerCase(), seal.cipher, iv).update(body.subarray(16));
      return { ...common, payload: Uint8Array.from(payload), packetId: iv.readUInt32BE(0) };
    }
    if (cipher !== 'none') {
      const opening = createDecipheriv(cipher.toLowerCase(), seal.cipher, body.subarray(0, 16));
      body = Buffer.concat([opening.update(body.subarray(16)), opening.final()]);
    }
    return { ...common, payload: Uint8Array.from(body.subarray(4)), packetId: body.readUInt32BE(0) };
  }
}

/** HKDF-Expand-Label with `ovpn ` for a prefix; at most 32 bytes. */
function expandLabel(secret: Uint8Array, label: string, lengthBytes: number): Buffer {
  const text = `ovpn ${label}`;
  const info = Buffer.concat([Buffer.of(0, lengthBytes, text.length), Buffer.from(text, 'latin1'), Buffer.of(0)]);
  return createHmac('sha256', secret).update(info).update(Buffer.of(1)).digest().subarray(0, lengthBytes);
}

/** Key and nonce mask of an epoch, from the secret of the first. */
export function deriveEpoch(
  cipher: string,
  first: Uint8Array,
  epoch: number,
): { readonly secret: Buffer; readonly key: Buffer; readonly mask: Buffer } {
  let secret = Buffer.from(first);
  for (let at = 1; at < epoch; at++) secret = Buffer.from(expandLabel(secret, 'datakey upd', 32));
  const prefix = Object.keys(KEY_BYTES).find((name) => cipher.startsWith(name))!;
  return {
    secret,
    key: expandLabel(secret, 'data_key', KEY_BYTES[prefix]!),
    mask: expandLabel(secret, 'data_iv', 12),
  };
}

function epochNonce(id: Uint8Array, mask: Uint8Array): Uint8Array {
  return mask.map((byte, index) => byte ^ (id[index] ?? 0));
}

function sealEpoch(
  cipher: string,
  first: Uint8Array,
  epoch: number,
  counter: number,
  header: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  const { key, mask } = deriveEpoch(cipher, first, epoch);
  const id = Buffer.alloc(8);
  id.writeUInt16BE(epoch);
  id.writeUIntBE(counter, 2, 6);
  const sealing = createCipheriv(nodeName(cipher), key, epochNonce(id, mask), { authTagLength: 16 });
  sealing.setAAD(header.length > 1 ? Buffer.concat([header, id]) : id);
  const text = Buffer.concat([sealing.update(payload), sealing.final()]);
  return Uint8Array.from(Buffer.concat([header, id, text, sealing.getAuthTag()]));
}

function openEpoch(cipher: string, first: Uint8Array, header: Uint8Array, rest: Buffer) {
  const id = rest.subarray(0, 8);
  const epoch = id.readUInt16BE(0);
  const { key, mask } = deriveEpoch(cipher, first, epoch);
  const opening = createDecipheriv(nodeName(cipher), key, epochNonce(id, mask), { authTagLength: 16 });
  opening.setAAD(Buffer.concat([header, id]));
  opening.setAuthTag(rest.subarray(-16));
  const payload = Buffer.concat([opening.update(rest.subarray(8, -16)), opening.final()]);
  return { payload: Uint8Array.from(payload), packetId: id.readUIntBE(2, 6), epoch };
}

function nodeName(cipher: string): CipherGCMTypes {
  return cipher.toLowerCase() as CipherGCMTypes;
}

function mac(digest: string, key: Uint8Array, body: Uint8Array): Buffer {
  return digest === 'none' ? Buffer.alloc(0) : createHmac(digest, key).update(body).digest();
}
