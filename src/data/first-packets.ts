// The shortest packets of a client that has no peer yet. In clear: opcode 1, session id 8, count of acks 1, then for each
// ack 4 and once 8 for our session id, which is the cookie; message id 4. Behind the two of tls-crypt-v2 stands the
// client's key, 290 bytes and more, and they are wrapped.

import { Opcode } from '../wire/opcode.ts';

/** Bytes by opcode; no other can be first. */
export const SHORTEST_FIRST = {
  [Opcode.hardResetClientV2]: 14,
  [Opcode.ackV1]: 22,
  [Opcode.controlV1]: 26,
  [Opcode.hardResetClientV3]: 336,
  [Opcode.controlWkcV1]: 336,
} as const;
