// tls-auth: an HMAC over control packets.
//
//   op(1) | sid(8) | HMAC(digest length) | packet id(4) | time(4) | body
//   HMAC over: packet id | time | op | sid | body
//
// Source: docs/WIRE.md 3.2; observed with OpenVPN 2.6.14.

import type { CryptoProvider } from '../crypto/provider.ts';
import { staticKeyDirections } from '../crypto/static-key-directions.ts';
import { CONTROL_HEADER_BYTES } from '../wire/control-packet.ts';
import { Reader } from '../wire/reader.ts';
import { concatBytes, Writer } from '../wire/writer.ts';
import type { WrapCodec } from './wrap-codec.ts';
import type { WrapOptions } from './wrap-options.ts';

const PACKET_ID_BYTES = 8;

/** Throws for a digest that the library does not know: the configuration is checked before. */
export function createTlsAuth(
  options: Extract<WrapOptions, { kind: 'tls-auth' }>,
  { crypto }: { readonly crypto: CryptoProvider },
): WrapCodec {
  const macBytes = crypto.digestLength(options.digest);
  if (macBytes === undefined) throw new TypeError(`unknown digest ${options.digest}`);
  const halves = staticKeyDirections(options.staticKey, options.direction);
  const sendKey = halves.out.hmac.slice(0, macBytes);
  const receiveKey = halves.in.hmac.slice(0, macBytes);

  return {
    overheadBytes: macBytes + PACKET_ID_BYTES,
    appendedBytes: () => 0,
    seal(header, body, { packetId, time }) {
      const id = new Writer(PACKET_ID_BYTES).u32(packetId).u32(time).finish();
      return concatBytes(header, crypto.hmac(options.digest, sendKey, id, header, body), id, body);
    },
    open(packet) {
      const reader = new Reader(packet);
      const header = reader.bytes(CONTROL_HEADER_BYTES);
      const mac = reader.bytes(macBytes);
      const id = reader.bytes(PACKET_ID_BYTES);
      const body = reader.rest();
      if (reader.failed || body.length === 0) return { ok: false, drop: 'short' };
      if (!crypto.equal(mac, crypto.hmac(options.digest, receiveKey, id, header, body))) {
        return { ok: false, drop: 'bad-hmac' };
      }
      const fields = new Reader(id);
      return { ok: true, header, body, id: { packetId: fields.u32(), time: fields.u32() } };
    },
    close() {
      sendKey.fill(0);
      receiveKey.fill(0);
    },
  };
}
