// No wrapping: header and body as they are. Only TLS protects what follows.

import { CONTROL_HEADER_BYTES } from '../wire/control-packet.ts';
import { concatBytes } from '../wire/writer.ts';
import type { WrapCodec } from './wrap-codec.ts';

export function createNoWrap(): WrapCodec {
  return {
    overheadBytes: 0,
    appendedBytes: () => 0,
    seal: (header, body) => concatBytes(header, body),
    open(packet) {
      if (packet.length <= CONTROL_HEADER_BYTES) return { ok: false, drop: 'short' };
      return {
        ok: true,
        header: packet.subarray(0, CONTROL_HEADER_BYTES),
        body: packet.subarray(CONTROL_HEADER_BYTES),
        id: undefined,
      };
    },
    close() {},
  };
}
