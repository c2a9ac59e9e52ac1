// tls-crypt and the client's side of tls-crypt-v2: control packets encrypted and authenticated.
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
import { concatBytes, Writer } from '../wire/writer.ts';
import { ReplayWindow } from './replay-window.ts';
import { SendCounter } from './send-counter.ts';
import type { ControlWrap, WrapContext } from './wrap.ts';
import type { WrapOptions } from './wrap-options.ts';

const PACKET_ID_BYTES = 8;
const TAG_BYTES = 32;
const IV_BYTES = 16;
const KEY_BYTES = 32;
/** A client that can do early negotiation says so by the top byte of its first packet-id. */
const EARLY_NEGOTIATION_FIRST_ID = 0x0f000001;

/** tls-crypt with one static key for everybody. */
export function createTlsCryptWrap(staticKey: Uint8Array, context: WrapContext): ControlWrap {
  const crypt = new TlsCrypt(staticKey, context, new SendCounter());
  return {
    kind: 'tls-crypt',
    overheadBytes: PACKET_ID_BYTES + TAG_BYTES,
    appendedBytes: () => 0,
    seal: (header, body, unixSeconds) => crypt.seal(header, body, unixSeconds),
    open: (packet, unixSeconds) => crypt.open(packet, unixSeconds),
    close: () => crypt.close(),
  };
}

/** tls-crypt-v2 with this client's own key, whose wrapped form the server asks for. */
export function createTlsCryptV2ClientWrap(
  options: Extract<WrapOptions, { kind: 'tls-crypt-v2-client' }>,
  context: WrapContext,
): ControlWrap {
  const crypt = new TlsCrypt(options.clientKey, context, new SendCounter(EARLY_NEGOTIATION_FIRST_ID));
  const wrappedKey = options.wrappedKey.slice();
  const carriesKey = (opcode: number | undefined) =>
    opcode === Opcode.hardResetClientV3 || opcode === Opcode.controlWkcV1;
  return {
    kind: 'tls-crypt-v2-client',
    overheadBytes: PACKET_ID_BYTES + TAG_BYTES,
    appendedBytes: (opcode) => (carriesKey(opcode) ? wrappedKey.length : 0),
    seal(header, body, unixSeconds) {
      const sealed = crypt.seal(header, body, unixSeconds);
      return carriesKey(parseOpcode(header[0] ?? 0)) ? concatBytes(sealed, wrappedKey) : sealed;
    },
    open: (packet, unixSeconds) => crypt.open(packet, unixSeconds),
    close: () => crypt.close(),
  };
}

class TlsCrypt {
  readonly #crypto: CryptoProvider;
  readonly #sendCipher: Uint8Array;
  readonly #sendMac: Uint8Array;
  readonly #receiveCipher: Uint8Array;
  readonly #receiveMac: Uint8Array;
  readonly #counter: SendCounter;
  readonly #window: ReplayWindow;

  constructor(staticKey: Uint8Array, context: WrapContext, counter: SendCounter) {
    const halves = staticKeyDirections(staticKey, tlsCryptDirection(context.tlsRole));
    this.#crypto = context.crypto;
    this.#sendCipher = halves.out.cipher.slice(0, KEY_BYTES);
    this.#sendMac = halves.out.hmac.slice(0, KEY_BYTES);
    this.#receiveCipher = halves.in.cipher.slice(0, KEY_BYTES);
    this.#receiveMac = halves.in.hmac.slice(0, KEY_BYTES);
    this.#counter = counter;
    this.#window = new ReplayWindow(context.replayWindowPackets, context.replayWindowSeconds);
  }

  seal(header: Uint8Array, body: Uint8Array, unixSeconds: number): Uint8Array {
    const { packetId, time } = this.#counter.take(unixSeconds);
    const id = new Writer(PACKET_ID_BYTES).u32(packetId).u32(time).finish();
    const tag = this.#crypto.hmac('SHA256', this.#sendMac, header, id, body);
    return concatBytes(header, id, tag, this.#crypto.aes256Ctr(this.#sendCipher, tag.subarray(0, IV_BYTES), body));
  }

  open(packet: Uint8Array, unixSeconds: number): ReturnType<ControlWrap['open']> {
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
    const packetId = fields.u32();
    const time = fields.u32();
    if (!this.#window.accept(packetId, time, unixSeconds)) return { ok: false, drop: 'replay', packetId, time };
    return { ok: true, header, body };
  }

  close(): void {
    for (const key of [this.#sendCipher, this.#sendMac, this.#receiveCipher, this.#receiveMac]) key.fill(0);
  }
}
