// Values on their way to a bus: checked before they are written, because a bus ends the connection of whoever sends what
// breaks its rules, and the bounds here are below its own.

import { BusError, BusErrorName, BusVariant } from '../tunnel/bus-port.ts';

/** Half of what a system bus takes in one message (32 MiB): room for padding and headers. */
const BODY_LIMIT_BYTES = 0x100_0000;
const DEPTH_LIMIT = 32;

/** What makes the library's variant of a signature and a value. */
export type MakeVariant = (signature: string, value: unknown) => unknown;

/** The values as the library takes them. Throws BusError. */
export function writableBody(body: readonly unknown[], makeVariant: MakeVariant): unknown[] {
  let bytes = 0;
  const take = (count: number): void => {
    bytes += count;
    if (bytes > BODY_LIMIT_BYTES) {
      throw new BusError(BusErrorName.limitsExceeded, `A message of more than ${BODY_LIMIT_BYTES} bytes is not sent.`);
    }
  };
  const writable = (value: unknown, depth: number): unknown => {
    if (depth > DEPTH_LIMIT) {
      throw new BusError(BusErrorName.limitsExceeded, `Values nested deeper than ${DEPTH_LIMIT} are not sent.`);
    }
    if (typeof value === 'string') {
      if (value.includes('\0')) throw new BusError(BusErrorName.invalidArgs, 'A string with a zero byte is not sent.');
      take(5 + Buffer.byteLength(value));
      return value;
    }
    if (value instanceof Uint8Array) {
      take(4 + value.length);
      return Buffer.from(value.buffer, value.byteOffset, value.length);
    }
    take(8);
    if (value instanceof BusVariant) {
      take(value.signature.length);
      return makeVariant(value.signature, writable(value.value, depth + 1));
    }
    if (Array.isArray(value)) return value.map((element) => writable(element, depth + 1));
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value).map(([key, element]) => [
        writable(key, depth + 1),
        writable(element, depth + 1),
      ]);
      return Object.fromEntries(entries);
    }
    return value;
  };
  return body.map((value) => writable(value, 0));
}
