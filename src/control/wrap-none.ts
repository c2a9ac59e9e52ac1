// No wrapping: header and body as they are. Only TLS protects what follows.

import { CONTROL_HEADER_BYTES } from '../wire/control-packet.ts';
import { concatBytes } from '../wire/writer.ts';
import type { ControlWrap } from './wrap.ts';

export function createNoWrap(): ControlWrap {
  return {
    kind: 'none',
    overheadBytes: 0,
    appendedBytes: () => 0,
    seal: (header, body) => concatBytes(header, body),
    open(packet) {
      if (packet.length <= CONTROL_HEADER_BYTES) return { ok: false, drop: 'short' };
      return {
        ok: true,
        header: packet.subarray(0, CONTROL_HEADER_BYTES),
        body: packet.subarray(CONTROL_HEADER_BYTES),
      };
    },
    close() {},
  };
}
