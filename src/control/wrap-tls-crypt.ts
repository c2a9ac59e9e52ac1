// tls-crypt, and both sides of tls-crypt-v2: control packets encrypted and authenticated.
//
//   op(1) | sid(8) | packet id(4) | time(4) | tag(32) | ciphertext [| WKc under opcodes 10 and 11 of tls-crypt-v2]
//   tag = HMAC-SHA256(Ka, the first 17 bytes | plaintext);  ciphertext = AES-256-CTR(Ke, IV = tag[0..15], plaintext)
//
// Source: docs/WIRE.md 3.3 and 3.4; observed with OpenVPN 2.6.14 and 2.7.

import type { CryptoProvider } from '../crypto/provider.ts';
import { staticKeyDirections, tlsCryptDirection } from '../crypto/static-key-directions.ts';
import { CONTROL_HEADER_BYTES } from '../wire/control-packet.ts';
import { Opcode, parseOpcode } from '../wire/opcode.ts';
import { Reader } from '../wire/reader.ts';
import { splitWrappedKey } from '../wire/tls-crypt-v2.ts';
import { concatBytes, Writer } from '../wire/writer.ts';
import type { PacketId, Unwrapped, WrapCodec } from './wrap-codec.ts';

const PACKET_ID_BYTES = 8;
const TAG_BYTES = 32;
const IV_BYTES = 16;
const KEY_BYTES = 32;

/** Whose key, and which end of the TLS connection we are: it decides the direction. */
export interface TlsCryptContext {
  readonly crypto: CryptoProvider;
  readonly tlsRole: 'client' | 'server';
}

/** tls-crypt with one static key for everybody. */
export function createTlsCrypt(staticKey: Uint8Array, context: TlsCryptContext): WrapCodec {
  return new TlsCrypt(staticKey, context);
}

/** tls-crypt-v2 with this client's own key, whose wrapped form is appended where the server needs it. */
export function createTlsCryptV2Client(
  clientKey: Uint8Array,
  wrapped: Uint8Array,
  context: TlsCryptContext,
): WrapCodec {
  const crypt = new TlsCrypt(clientKey, context);
  const wrappedKey = wrapped.slice();
  return {
    overheadBytes: crypt.overheadBytes,
    appendedBytes: (opcode) => (carriesWrappedKey(opcode) ? wrappedKey.length : 0),
    seal(header, body, id) {
      const sealed = crypt.seal(header, body, id);
      return carriesWrappedKey(parseOpcode(header[0] ?? 0)) ? concatBytes(sealed, wrappedKey) : sealed;
    },
    open: (packet) => crypt.open(packet),
    close: () => crypt.close(),
  };
}

/** tls-crypt-v2 with the key of one client: what that client appends is taken off, and looked at no more. */
export function createTlsCryptV2Server(clientKey: Uint8Array, context: TlsCryptContext): WrapCodec {
  const crypt = new TlsCrypt(clientKey, context);
  return {
    overheadBytes: crypt.overheadBytes,
    appendedBytes: () => 0,
    seal: (header, body, id) => crypt.seal(header, body, id),
    open(packet) {
      if (!carriesWrappedKey(parseOpcode(packet[0] ?? 0))) return crypt.open(packet);
      const split = splitWrappedKey(packet);
      return split === undefined ? { ok: false, drop: 'bad-wrapped-key' } : crypt.open(split.packet);
    },
    close: () => crypt.close(),
  };
}

/** Whether packets of this opcode end in a wrapped key. */
export const carriesWrappedKey = (opcode: number | undefined): boolean =>
  opcode === Opcode.hardResetClientV3 || opcode === Opcode.controlWkcV1;

class TlsCrypt implements WrapCodec {
  readonly overheadBytes = PACKET_ID_BYTES + TAG_BYTES;
  readonly #crypto: CryptoProvider;
  readonly #sendCipher: Uint8Array;
  readonly #sendMac: Uint8Array;
  readonly #receiveCipher: Uint8Array;
  readonly #receiveMac: Uint8Array;

  constructor(staticKey: Uint8Array, { crypto, tlsRole }: TlsCryptContext) {
    const halves = staticKeyDirections(staticKey, tlsCryptDirection(tlsRole));
    this.#crypto = crypto;
    this.#sendCipher = halves.out.cipher.slice(0, KEY_BYTES);
    this.#sendMac = halves.out.hmac.slice(0, KEY_BYTES);
    this.#receiveCipher = halves.in.cipher.slice(0, KEY_BYTES);
    this.#receiveMac = halves.in.hmac.slice(0, KEY_BYTES);
  }

  appendedBytes(): number {
    return 0;
  }

  seal(header: Uint8Array, body: Uint8Array, { packetId, time }: PacketId): Uint8Array {
    const id = new Writer(PACKET_ID_BYTES).u32(packetId).u32(time).finish();
    const tag = this.#crypto.hmac('SHA256', this.#sendMac, header, id, body);
    return concatBytes(header, id, tag, this.#crypto.aes256Ctr(this.#sendCipher, tag.subarray(0, IV_BYTES), body));
  }

  open(packet: Uint8Array): Unwrapped {
    const reader = new Reader(packet);
    const header = reader.bytes(CONTROL_HEADER_BYTES);
    const id = reader.bytes(PACKET_ID_BYTES);
    const tag = reader.bytes(TAG_BYTES);
    const ciphertext = reader.rest();
    if (reader.failed || ciphertext.length === 0) return { ok: false, drop: 'short' };
    const body = this.#crypto.aes256Ctr(this.#receiveCipher, tag.subarray(0, IV_BYTES), ciphertext);
    if (!this.#crypto.equal(tag, this.#crypto.hmac('SHA256', this.#receiveMac, header, id, body))) {
      return { ok: false, drop: 'bad-hmac' };
    }
    const fields = new Reader(id);
    return { ok: true, header, body, id: { packetId: fields.u32(), time: fields.u32() } };
  }

  close(): void {
    for (const key of [this.#sendCipher, this.#sendMac, this.#receiveCipher, this.#receiveMac]) key.fill(0);
  }
}
