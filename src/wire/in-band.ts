// Messages inside the data channel: pings, and the options consistency check's leftovers (OCC), of which EXIT is alive.

import { Reader } from './reader.ts';
import { concatBytes, Writer } from './writer.ts';

/** Sent when nothing else was for a while; never written to the tun device. */
export const PING: Uint8Array = Uint8Array.of(
  ...[0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48],
);

/** In front of every OCC message. */
export const OCC_PREFIX: Uint8Array = Uint8Array.of(
  ...[0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c],
);

const OccType = {
  request: 0x00,
  reply: 0x01,
  mtuLoadRequest: 0x02,
  mtuLoad: 0x03,
  mtuRequest: 0x04,
  mtuReply: 0x05,
  exit: 0x06,
} as const;

/** Largest packet that an MTU load request may ask for. */
const MTU_LOAD_LIMIT = 0xffff;

export type InBandMessage =
  | { readonly type: 'ping' }
  | { readonly type: 'occ-request' }
  | { readonly type: 'occ-reply'; readonly optionsString: string }
  | { readonly type: 'mtu-load-request'; readonly sizeBytes: number }
  | { readonly type: 'mtu-load' }
  | { readonly type: 'mtu-request' }
  | { readonly type: 'mtu-reply'; readonly receiveBytes: number; readonly sendBytes: number }
  | { readonly type: 'exit' };

/** The message in a decrypted payload, or undefined for a packet of the tunnel (or a broken message). */
export function parseInBand(bytes: Uint8Array): InBandMessage | undefined {
  if (bytes.length === PING.length && startsWith(bytes, PING)) return { type: 'ping' };
  if (bytes.length <= OCC_PREFIX.length || !startsWith(bytes, OCC_PREFIX)) return undefined;
  const reader = new Reader(bytes.subarray(OCC_PREFIX.length));
  switch (reader.u8()) {
    case OccType.request:
      return { type: 'occ-request' };
    case OccType.reply:
      return { type: 'occ-reply', optionsString: readText(reader.rest()) };
    case OccType.mtuLoadRequest: {
      const sizeBytes = reader.u16();
      return reader.failed ? undefined : { type: 'mtu-load-request', sizeBytes };
    }
    case OccType.mtuLoad:
      return { type: 'mtu-load' };
    case OccType.mtuRequest:
      return { type: 'mtu-request' };
    case OccType.mtuReply: {
      const receiveBytes = reader.u16();
      const sendBytes = reader.u16();
      return reader.failed ? undefined : { type: 'mtu-reply', receiveBytes, sendBytes };
    }
    case OccType.exit:
      return { type: 'exit' };
    default:
      return undefined;
  }
}

/** Bytes of a message, without compression framing, fragment header or encryption. */
export function writeInBand(message: InBandMessage): Uint8Array {
  switch (message.type) {
    case 'ping':
      return PING.slice();
    case 'occ-request':
      return occ(OccType.request);
    case 'occ-reply': {
      const text = new TextEncoder().encode(message.optionsString);
      return concatBytes(occ(OccType.reply), text, Uint8Array.of(0));
    }
    case 'mtu-load-request':
      return concatBytes(occ(OccType.mtuLoadRequest), new Writer(2).u16(message.sizeBytes & MTU_LOAD_LIMIT).finish());
    case 'mtu-load':
      return occ(OccType.mtuLoad);
    case 'mtu-request':
      return occ(OccType.mtuRequest);
    case 'mtu-reply':
      return concatBytes(
        occ(OccType.mtuReply),
        new Writer(4).u16(message.receiveBytes).u16(message.sendBytes).finish(),
      );
    case 'exit':
      return occ(OccType.exit);
    default:
      return message satisfies never;
  }
}

function occ(type: number): Uint8Array {
  return concatBytes(OCC_PREFIX, Uint8Array.of(type));
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).replace(/[^\x20-\x7e]/g, '?');
}
