// The first byte of every packet: `opcode << 3 | key_id` (docs/WIRE.md 1).

/** Packet opcodes that are alive; 1 and 2 belonged to key method 1. */
export const Opcode = {
  softResetV1: 0x03,
  controlV1: 0x04,
  ackV1: 0x05,
  dataV1: 0x06,
  hardResetClientV2: 0x07,
  hardResetServerV2: 0x08,
  dataV2: 0x09,
  hardResetClientV3: 0x0a,
  controlWkcV1: 0x0b,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

const NAMES = new Map<number, string>([
  [Opcode.softResetV1, 'P_CONTROL_SOFT_RESET_V1'],
  [Opcode.controlV1, 'P_CONTROL_V1'],
  [Opcode.ackV1, 'P_ACK_V1'],
  [Opcode.dataV1, 'P_DATA_V1'],
  [Opcode.hardResetClientV2, 'P_CONTROL_HARD_RESET_CLIENT_V2'],
  [Opcode.hardResetServerV2, 'P_CONTROL_HARD_RESET_SERVER_V2'],
  [Opcode.dataV2, 'P_DATA_V2'],
  [Opcode.hardResetClientV3, 'P_CONTROL_HARD_RESET_CLIENT_V3'],
  [Opcode.controlWkcV1, 'P_CONTROL_WKC_V1'],
]);

/** Three bits on the wire. */
export type KeyId = number;

/** The opcode of a packet's first byte, or undefined for one that nobody sends any more. */
export function parseOpcode(firstByte: number): Opcode | undefined {
  const opcode = firstByte >> 3;
  return NAMES.has(opcode) ? (opcode as Opcode) : undefined;
}

/** The key-id of a packet's first byte. */
export function parseKeyId(firstByte: number): KeyId {
  return firstByte & 0x07;
}

/** A packet's first byte. */
export function writeOpcode(opcode: Opcode, keyId: KeyId): number {
  return (opcode << 3) | (keyId & 0x07);
}

/** The opcode's name as the C program logs it. */
export function formatOpcode(opcode: number): string {
  return NAMES.get(opcode) ?? 'P_???';
}

/** Whether the opcode starts a session (as opposed to a key of a running one). */
export function isHardReset(opcode: Opcode): boolean {
  return (
    opcode === Opcode.hardResetClientV2 || opcode === Opcode.hardResetServerV2 || opcode === Opcode.hardResetClientV3
  );
}
