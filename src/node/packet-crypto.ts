// Packet cryptography by node:crypto: the portable implementation, and the one that tests compare others with. It makes
// a cipher object for each packet (about 7 µs); linux/ has one without.

import type { CipherGCMTypes } from 'node:crypto';
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  getCipherInfo,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto';
import type { AeadKey, Arena, CbcKey, DigestName, FeedbackKey, MacKey, PacketCrypto } from '../crypto/provider.ts';
import { SallyportError } from '../error.ts';
import { measureDigest } from './crypto-provider.ts';

const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/** Packet cryptography on `arena`. A cipher, digest or key length that can't be is misuse and throws. */
export function createNodePacketCrypto(arena: Arena): PacketCrypto {
  return {
    arena,
    aeadKey: (cipher, direction, key) => aeadKey(arena.bytes, cipher, direction, key),
    cbcKey: (cipher, direction, key) => cbcKey(arena.bytes, cipher, direction, key),
    feedbackKey: (cipher, direction, key) => feedbackKey(arena.bytes, cipher, direction, key),
    macKey: (digest, key) => macKey(arena.bytes, digest, key),
    random: (start, length) => {
      randomFillSync(arena.bytes, start, length);
    },
  };
}

function aeadKey(bytes: Uint8Array, cipher: string, direction: 'seal' | 'open', material: Uint8Array): AeadKey {
  const name = checkCipher(cipher, material, (mode) => mode === 'gcm' || cipher === 'CHACHA20-POLY1305');
  const algorithm = name as CipherGCMTypes;
  const secret = createSecret(material);
  return {
    seal(nonce, associated, associatedLength, text, length, tag) {
      if (direction !== 'seal') throw new TypeError('an opening key cannot seal');
      const iv = bytes.subarray(nonce, nonce + NONCE_BYTES);
      const sealing = createCipheriv(algorithm, secret.use(), iv, { authTagLength: TAG_BYTES });
      sealing.setAAD(bytes.subarray(associated, associated + associatedLength));
      bytes.set(sealing.update(bytes.subarray(text, text + length)), text);
      sealing.final();
      bytes.set(sealing.getAuthTag(), tag);
    },
    open(nonce, associated, associatedLength, text, length, tag) {
      if (direction !== 'open') throw new TypeError('a sealing key cannot open');
      const iv = bytes.subarray(nonce, nonce + NONCE_BYTES);
      const opening = createDecipheriv(algorithm, secret.use(), iv, { authTagLength: TAG_BYTES });
      opening.setAAD(bytes.subarray(associated, associated + associatedLength));
      opening.setAuthTag(bytes.subarray(tag, tag + TAG_BYTES));
      bytes.set(opening.update(bytes.subarray(text, text + length)), text);
      try {
        opening.final();
        return true;
      } catch {
        return false;
      }
    },
    close: secret.wipe,
  };
}

function cbcKey(bytes: Uint8Array, cipher: string, direction: 'seal' | 'open', material: Uint8Array): CbcKey {
  const name = checkCipher(cipher, material, (mode) => mode === 'cbc');
  const blockBytes = getCipherInfo(name)?.blockSize ?? 16;
  const secret = createSecret(material);
  return {
    blockBytes,
    encrypt(iv, text, length) {
      if (direction !== 'seal') throw new TypeError('an opening key cannot encrypt');
      const sealing = createCipheriv(name, secret.use(), bytes.subarray(iv, iv + blockBytes));
      const body = sealing.update(bytes.subarray(text, text + length));
      const last = sealing.final();
      bytes.set(body, text);
      bytes.set(last, text + body.length);
      return body.length + last.length;
    },
    decrypt(iv, text, length) {
      if (direction !== 'open') throw new TypeError('a sealing key cannot decrypt');
      const key = secret.use();
      if (length === 0 || length % blockBytes !== 0) return -1;
      const opening = createDecipheriv(name, key, bytes.subarray(iv, iv + blockBytes));
      try {
        const body = opening.update(bytes.subarray(text, text + length));
        const last = opening.final();
        bytes.set(body, text);
        bytes.set(last, text + body.length);
        return body.length + last.length;
      } catch {
        return -1;
      }
    },
    close: secret.wipe,
  };
}

function feedbackKey(bytes: Uint8Array, cipher: string, direction: 'seal' | 'open', material: Uint8Array): FeedbackKey {
  const name = checkCipher(cipher, material, (mode) => mode === 'cfb' || mode === 'ofb');
  const ivBytes = getCipherInfo(name)?.ivLength ?? 16;
  const secret = createSecret(material);
  const create = direction === 'seal' ? createCipheriv : createDecipheriv;
  return {
    ivBytes,
    apply(iv, text, length) {
      const stream = create(name, secret.use(), bytes.subarray(iv, iv + ivBytes));
      bytes.set(stream.update(bytes.subarray(text, text + length)), text);
      stream.final();
    },
    close: secret.wipe,
  };
}

function macKey(bytes: Uint8Array, digest: DigestName, material: Uint8Array): MacKey {
  const lengthBytes = measureDigest(digest);
  if (lengthBytes === undefined) throw unsupported(`digest '${digest}'`);
  const secret = createSecret(material);
  const mac = (start: number, length: number): Buffer =>
    createHmac(digest, secret.use())
      .update(bytes.subarray(start, start + length))
      .digest();
  return {
    lengthBytes,
    sign: (start, length, out) => bytes.set(mac(start, length), out),
    verify: (start, length, given) => timingSafeEqual(mac(start, length), bytes.subarray(given, given + lengthBytes)),
    close: secret.wipe,
  };
}

/** The library's name for an OpenVPN cipher name, once mode and key length are right. */
function checkCipher(cipher: string, key: Uint8Array, isMode: (mode: string) => boolean): string {
  const info = getCipherInfo(cipher.toLowerCase());
  if (info === undefined || !isMode(info.mode)) throw unsupported(`cipher '${cipher}'`);
  const name = cipher.toLowerCase();
  if (getCipherInfo(name, { keyLength: key.length }) === undefined)
    throw new RangeError(`cipher '${cipher}' has keys of ${info.keyLength} bytes, not ${key.length}`);
  try {
    createCipheriv(name as CipherGCMTypes, key, new Uint8Array(info.ivLength ?? 0), { authTagLength: TAG_BYTES });
  } catch (cause) {
    throw unsupported(`cipher '${cipher}'`, cause);
  }
  return name;
}

const unsupported = (what: string, cause?: unknown): SallyportError =>
  new SallyportError(`${what} is not supported by this Node's OpenSSL`, {
    code: 'SALLYPORT_CONFIG',
    blame: 'config',
    hint: 'use AES-256-GCM, or AES-256-CBC with SHA256',
    cause,
  });

/** A copy of the key that can be wiped; using it afterwards is misuse. */
function createSecret(material: Uint8Array): { use(): Uint8Array; wipe(): void } {
  const key = material.slice();
  let closed = false;
  return {
    use() {
      if (closed) throw new TypeError('the key is closed');
      return key;
    },
    wipe() {
      key.fill(0);
      closed = true;
    },
  };
}
